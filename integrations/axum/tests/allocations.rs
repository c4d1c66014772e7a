//! Bounds the allocations that the layer adds to a request, compared with the same service without the layer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without")]

#[path = "../../tower/tests/support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, Version};
use http_body_util::Empty;
use opentelemetry::trace::{Tracer, TracerProvider};
use telemark_axum::{HttpServerLayer, Route, ServerConfig};
use tower::{Layer, Service, service_fn};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn counted() {
    // The allocator is also called while thread-locals are destroyed.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counted();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` or `realloc`, and thus from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        counted();
        // SAFETY: as for `dealloc`; the caller's promise about `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn request(traceparent: Option<&str>) -> Request<Body> {
    let mut request = Request::get("/users/7?color=blue")
        .version(Version::HTTP_11)
        .header("host", "shop.example:8080")
        .header("user-agent", "curl/8.9.1")
        .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 5151))))
        .extension(SocketAddr::from(([192, 0, 2, 7], 5151)))
        .extension(Route("/users/{id}".into()));
    if let Some(value) = traceparent {
        request = request.header("traceparent", value);
    }
    request.body(Body::empty()).unwrap()
}

/// Counts the allocations for one request, from the call to the end of the body, in a service that has already served other
/// requests. `export` removes the spans between requests, like a worker.
fn allocations<S, B>(mut service: S, traceparent: Option<&str>, export: impl Fn()) -> usize
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let mut once = || {
        let request = request(traceparent);
        let before = COUNT.with(Cell::get);
        let response = service.call(request).now_or_never().unwrap().unwrap();
        drop(response);
        let count = COUNT.with(Cell::get) - before;
        export();
        count
    };
    for _ in 0..3 {
        once();
    }
    once()
}

fn handler() -> impl Service<Request<Body>, Response = Response<Empty<Bytes>>, Error = Infallible> {
    service_fn(async |_request: Request<Body>| Ok::<_, Infallible>(Response::new(Empty::new())))
}

fn router() -> Router {
    Router::new().route("/users/{id}", get(async || "hello"))
}

#[test]
fn stays_below_its_bounds() {
    support::propagate();
    // Without an exporter, only the start and the end of a span are counted.
    let upstream = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let telemark = telemark_sdk::testing::TestTelemetry::new();
    let export = || {
        telemark.spans();
        telemark.exporter.clear();
    };
    check_service("opentelemetry_sdk", &upstream, || {}, [5, 7, 5]);
    check_service("telemark-sdk", telemark.provider(), export, [5, 7, 5]);
    check_router("opentelemetry_sdk", &upstream, || {}, [10, 12, 10]);
    check_router("telemark-sdk", telemark.provider(), export, [10, 12, 10]);

    // Neither metrics nor exemplars allocate. The clock does not advance, because the first exemplar in each bucket allocates.
    let config = ServerConfig::new().with_active_requests().with_body_sizes().with_clock(|| UNIX_EPOCH);
    let layer = HttpServerLayer::new().with_config(config).with_tracer(telemark.tracer("allocations"));
    let layer = layer.with_meter(&telemark.meter("allocations"));
    let serve = |parent: Option<&str>| allocations(layer.layer(handler()), parent, export);
    check("a service with metrics, telemark-sdk", serve, [5, 7, 5]);
    let metrics = telemark.metrics();
    assert!(metrics.contains("http.server.request.duration") && metrics.contains(" # "), "{metrics}");
}

/// The bounds apply to a root span, a span below a sampled parent, and a span below an unsampled parent, in this order.
fn check(what: &str, serve: impl Fn(Option<&str>) -> usize, bounds: [usize; 3]) {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";
    let parents = [None, Some(format!("{trace}01")), Some(format!("{trace}00"))];
    let counts = parents.map(|parent| serve(parent.as_deref()));
    println!("{what}: {counts:?}");
    let within = counts.iter().zip(bounds).all(|(count, bound)| *count <= bound);
    assert!(within, "{what}: {counts:?} allocations, at most {bounds:?} are allowed");
}

fn check_service<P>(what: &str, provider: &P, export: impl Fn(), bounds: [usize; 3])
where
    P: TracerProvider<Tracer: Clone + Send + Sync + 'static>,
    <P::Tracer as Tracer>::Span: Send + Sync,
{
    assert_eq!(allocations(handler(), None, || {}), 0, "the handler itself");
    let layer = HttpServerLayer::new().with_tracer(provider.tracer("allocations"));
    check(&format!("a service, {what}"), |parent| allocations(layer.layer(handler()), parent, &export), bounds);
}

/// Bounds the allocations that the layer adds to a bare router. Five of them are axum's boxes around the service, its future and
/// its body.
fn check_router<P>(what: &str, provider: &P, export: impl Fn(), bounds: [usize; 3])
where
    P: TracerProvider<Tracer: Clone + Send + Sync + 'static>,
    <P::Tracer as Tracer>::Span: Send + Sync,
{
    let traced = router().layer(telemark_axum::layer().with_tracer(provider.tracer("allocations")));
    let added = |parent: Option<&str>| {
        allocations(traced.clone().into_service::<Body>(), parent, &export)
            - allocations(router().into_service::<Body>(), parent, || {})
    };
    check(&format!("axum, {what}"), added, bounds);
}
