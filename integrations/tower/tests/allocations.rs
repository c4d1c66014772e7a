//! How often the layer allocates for a request: the difference to the same service without it, as an upper bound.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, Version};
use http_body_util::Empty;
use opentelemetry::trace::{Tracer, TracerProvider};
use telemark_tower::{HttpServerLayer, PeerAddr, Route};
use tower::{Layer, Service, service_fn};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn counted() {
    // Also called while the thread's locals are torn down.
    let _gone = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counted();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` or `realloc`, which are the system's.
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

fn request(traceparent: Option<&str>) -> Request<()> {
    let mut request = Request::get("/users/7?color=blue")
        .version(Version::HTTP_11)
        .header("host", "shop.example:8080")
        .header("user-agent", "curl/8.9.1")
        .extension(PeerAddr(([192, 0, 2, 7], 5151).into()))
        .extension(Route("/users/{id}".into()));
    if let Some(value) = traceparent {
        request = request.header("traceparent", value);
    }
    request.body(()).unwrap()
}

/// Allocations of one request in a service that has served some before.
fn allocations<S, B>(mut service: S, traceparent: Option<&str>) -> usize
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let mut once = || {
        let request = request(traceparent);
        let before = COUNT.with(Cell::get);
        let response = service.call(request).now_or_never().unwrap().unwrap();
        drop(response);
        COUNT.with(Cell::get) - before
    };
    for _ in 0..3 {
        once();
    }
    once()
}

fn handler() -> impl Service<Request<()>, Response = Response<Empty<Bytes>>, Error = Infallible> {
    service_fn(async |_request: Request<()>| Ok::<_, Infallible>(Response::new(Empty::new())))
}

#[test]
fn stays_below_its_bounds() {
    support::propagate();
    // No processor: only what starting and ending a span costs.
    check("opentelemetry_sdk", opentelemetry_sdk::trace::SdkTracerProvider::builder().build(), [8, 10, 5]);
    check("telemark-sdk", telemark_sdk::trace::SdkTracerProvider::builder().build(), [8, 10, 5]);
}

/// The bounds are for a root span, below a sampled parent, and below one that is not sampled.
fn check<P>(what: &str, provider: P, bounds: [usize; 3])
where
    P: TracerProvider<Tracer: Clone + Send + Sync + 'static>,
    <P::Tracer as Tracer>::Span: Send + Sync,
{
    assert_eq!(allocations(handler(), None), 0, "the handler itself");
    let layer = HttpServerLayer::new().with_tracer(provider.tracer("allocations"));
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";
    let parents = [None, Some(format!("{trace}01")), Some(format!("{trace}00"))];
    let counts = parents.map(|parent| allocations(layer.layer(handler()), parent.as_deref()));
    println!("{what}: {counts:?}");
    let within = counts.iter().zip(bounds).all(|(count, bound)| *count <= bound);
    assert!(within, "{what}: {counts:?} allocations, at most {bounds:?} are allowed");
}
