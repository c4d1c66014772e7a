//! Bound instruments change what a request costs, and nothing of what is recorded: the same requests on a meter that has
//! them and on one that has not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    BoundHistogram, BoundSyncInstrument, BoundUpDownCounter, Histogram, HistogramBuilder, InstrumentBuilder,
    InstrumentProvider, Meter, SyncInstrument, UpDownCounter,
};
use opentelemetry::trace::noop::NoopTracer;
use support::{Spans, Telemark, Upstream, ticking};
use telemark_sdk::metrics::{ReaderConfig, TemporalityPreference};
use telemark_sdk::time::Deadline;
use telemark_tower::{DefaultPolicy, HttpServerLayer, Route, ServerSettings};
use tower::{Layer, Service, service_fn};

on_every_provider!(the_same_is_recorded, hostile_requests_too, whatever_can_be_bound_is);

/// Instruments of another meter, counted: how often something was recorded with attributes, and how often bound.
#[derive(Clone)]
struct Spy {
    meter: Meter,
    binds: Binds,
    by_attributes: Arc<AtomicUsize>,
    bound: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Binds {
    /// As the other meter does.
    Yes,
    /// As the API does: whatever is recorded is lost.
    No,
    Panics,
}

struct SpyInstrument<I>(I, Spy);

struct Lost;

impl<T> BoundSyncInstrument<T> for Lost {
    fn measure(&self, _measurement: T) {}
}

struct Kept<B>(B);

macro_rules! spies {
    ($($number:ty, $instrument:ident, $bound:ident, $record:ident;)*) => {$(
        impl SyncInstrument<$number> for SpyInstrument<$instrument<$number>> {
            fn measure(&self, measurement: $number, attributes: &[KeyValue]) {
                self.1.by_attributes.fetch_add(1, Ordering::Relaxed);
                self.0.$record(measurement, attributes);
            }
            fn bind(&self, attributes: &[KeyValue]) -> Box<dyn BoundSyncInstrument<$number> + Send + Sync> {
                self.1.bound.fetch_add(1, Ordering::Relaxed);
                match self.1.binds {
                    Binds::Yes => Box::new(Kept(self.0.bind(attributes))),
                    Binds::No => Box::new(Lost),
                    Binds::Panics => panic!("no bound instruments here"),
                }
            }
        }
        impl BoundSyncInstrument<$number> for Kept<$bound<$number>> {
            fn measure(&self, measurement: $number) {
                self.0.$record(measurement);
            }
        }
    )*};
}

spies! {
    f64, Histogram, BoundHistogram, record;
    u64, Histogram, BoundHistogram, record;
    i64, UpDownCounter, BoundUpDownCounter, add;
}

impl InstrumentProvider for Spy {
    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        let inner = self.meter.f64_histogram(builder.name).with_unit(builder.unit.unwrap());
        let inner = inner.with_boundaries(builder.boundaries.unwrap());
        Histogram::new(Arc::new(SpyInstrument(inner.build(), self.clone())))
    }
    fn u64_histogram(&self, builder: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        let inner = self.meter.u64_histogram(builder.name).with_unit(builder.unit.unwrap());
        Histogram::new(Arc::new(SpyInstrument(inner.build(), self.clone())))
    }
    fn i64_up_down_counter(&self, builder: InstrumentBuilder<'_, UpDownCounter<i64>>) -> UpDownCounter<i64> {
        let inner = self.meter.i64_up_down_counter(builder.name).with_unit(builder.unit.unwrap());
        UpDownCounter::new(Arc::new(SpyInstrument(inner.build(), self.clone())))
    }
}

impl Spy {
    fn on(meter: Meter, binds: Binds) -> Self {
        Spy { meter, binds, by_attributes: Arc::default(), bound: Arc::default() }
    }

    fn layer(&self, settings: ServerSettings) -> HttpServerLayer<DefaultPolicy, NoopTracer> {
        let layer = HttpServerLayer::new().with_settings(settings).with_tracer(NoopTracer::new());
        layer.with_meter(&Meter::new(Arc::new(self.clone())))
    }

    /// The number of recordings with attributes, and of bindings.
    fn counts(&self) -> (usize, usize) {
        (self.by_attributes.load(Ordering::Relaxed), self.bound.load(Ordering::Relaxed))
    }
}

fn all() -> ServerSettings {
    ServerSettings::new().with_active_requests().with_body_sizes()
}

/// Answers with the status that the request asks for, or never.
fn service(
    layer: &HttpServerLayer<DefaultPolicy, NoopTracer>,
) -> impl Service<Request<()>, Response = Response<telemark_tower::ResponseBody<Full<Bytes>>>, Error = Infallible> + use<>
{
    layer.layer(service_fn(async |request: Request<()>| {
        let status = request.headers().get("status").map_or(200, |status| status.to_str().unwrap().parse().unwrap());
        if status == 0 {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(Response::builder().status(status).body(Full::from("hello")).unwrap())
    }))
}

/// A request is served as far as it gets: to the end of the body, or until it waits.
fn serve(
    service: &mut impl Service<
        Request<()>,
        Response = Response<telemark_tower::ResponseBody<Full<Bytes>>>,
        Error = Infallible,
    >,
    request: http::request::Builder,
) {
    if let Some(Ok(response)) = service.call(request.body(()).unwrap()).now_or_never() {
        response.into_body().collect().now_or_never().unwrap().unwrap();
    }
}

/// The metrics of these requests on a meter of a provider of their own.
fn metrics_of<S: Spans>(
    binds: Binds,
    settings: ServerSettings,
    requests: impl Iterator<Item = http::request::Builder>,
) -> (String, (usize, usize)) {
    let spans = S::new();
    let spy = Spy::on(spans.meter(), binds);
    let mut service = service(&spy.layer(settings));
    requests.for_each(|request| serve(&mut service, request));
    (spans.metrics(), spy.counts())
}

/// Requests of all kinds. The clock advances by half a second with each, so that every binding is renewed many times.
fn requests(number: u64) -> impl Iterator<Item = http::request::Builder> {
    let mut random = 7u64;
    (0..number).map(move |index| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = |shift: u32, below: u64| usize::try_from((random >> shift) % below).unwrap();
        let method = [Method::GET, Method::GET, Method::POST, Method::DELETE, Method::from_bytes(b"PURGE").unwrap()];
        let request = Request::builder()
            .method(method[pick(20, 5)].clone())
            .version([Version::HTTP_11, Version::HTTP_2][pick(25, 2)])
            .header("status", ["200", "200", "404", "503", "0"][pick(30, 5)])
            .header("host", ["shop.example", "shop.example:8080", "other.example"][pick(35, 3)])
            .header("content-length", index.to_string());
        match pick(40, 24) {
            0 => request,
            1 => request.extension(Route(format!("/{}", "x".repeat(300)).into())),
            route => request.extension(Route(format!("/routes/{route}/{{id}}").into())),
        }
    })
}

async fn the_same_is_recorded<S: Spans>() {
    for settings in [all, || all().with_server_address_in_metrics(), || ServerSettings::new()] {
        let of = |binds| metrics_of::<S>(binds, settings().with_clock(ticking()), requests(3000)).0;
        let expected = of(Binds::No);
        assert!(expected.lines().count() > 100, "{expected}");
        for binds in [Binds::Yes, Binds::Panics] {
            let seen = of(binds);
            let differs = seen.lines().zip(expected.lines()).find(|(seen, expected)| seen != expected);
            assert_eq!((differs, seen.len()), (None, expected.len()));
        }
    }
}

/// Each with a path, a method and a host of its own, and beyond the limit of the provider.
async fn hostile_requests_too<S: Spans>() {
    for settings in [all, || all().with_server_address_in_metrics()] {
        let requests = || {
            (0..10_000).map(|index| {
                let request = Request::builder().method(format!("M{index}").as_str()).uri(format!("/path/{index}"));
                request.header("host", format!("host{index}.example"))
            })
        };
        let of = |binds| metrics_of::<S>(binds, settings().with_clock(ticking()), requests());
        let ((seen, (_, bound)), (expected, (_, tried))) = (of(Binds::Yes), of(Binds::No));
        assert_eq!(seen, expected);
        assert!(expected.lines().count() == 4 || expected.contains("otel.metric.overflow=true"), "{expected}");
        // Every ten seconds of 5,000, or never; and who cannot bind is not asked for long.
        assert!(bound <= 5 * 501 && tried <= 5 * 32, "{bound} {tried}");
    }
}

async fn whatever_can_be_bound_is<S: Spans>() {
    let (clock, hour) = (UNIX_EPOCH + Duration::from_secs(1_000_000), Duration::from_secs(3600));
    let requests = || (0..1000).map(|_| Request::get("/").header("host", "shop.example"));
    let counts = |binds, settings: ServerSettings| metrics_of::<S>(binds, settings, requests()).1;
    let still = || all().with_clock(move || clock);
    // Twice the active requests: as they begin, and with what ends.
    assert_eq!(counts(Binds::Yes, still()), (0, 5));
    assert_eq!(counts(Binds::Yes, ServerSettings::new().with_clock(move || clock)), (0, 1));
    let (by_attributes, tried) = counts(Binds::No, still());
    assert_eq!(by_attributes, 5 * 1000);
    assert!(tried <= 5 * 32, "{tried}");
    // A clock that is set back each time.
    let reads = AtomicU64::new(0);
    let back = move || clock - hour * u32::try_from(reads.fetch_add(1, Ordering::Relaxed)).unwrap() / 1000;
    let (metrics, counts) = metrics_of::<S>(Binds::Yes, all().with_clock(back), requests());
    assert!(metrics.contains("count=1000 sum=0 "), "{metrics}");
    assert_eq!(counts.0, 0);
}

/// Seconds that a test counts.
#[derive(Clone, Default)]
struct Seconds(Arc<AtomicU64>);

impl Seconds {
    fn clock(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let seconds = self.clone();
        move || UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds.0.load(Ordering::Relaxed))
    }

    fn wait(&self) {
        self.0.fetch_add(10, Ordering::Relaxed);
    }
}

/// A set beyond the limit of a delta has a series of its own in the next one.
#[test]
fn nothing_is_bound_to_the_overflow_for_long() {
    let config = || {
        let config = ReaderConfig::new().with_temporality(TemporalityPreference::Delta);
        config.with_cardinality_limit(|_| 3)
    };
    let spans = Telemark(telemark_sdk::testing::TestTelemetry::new().with_metrics(config(), |builder| builder));
    let seconds = Seconds::default();
    let spy = Spy::on(spans.meter(), Binds::Yes);
    let mut service = service(&spy.layer(ServerSettings::new().with_clock(seconds.clock())));
    let mut period = |routes: &[u32]| {
        seconds.wait();
        for route in routes.iter().flat_map(|route| [route, route]) {
            serve(&mut service, Request::get("/").extension(Route(format!("/{route}").into())));
        }
        let metrics = spans.metrics();
        let series = metrics.lines().map(|line| {
            let name = line.split_once("http.route=").map_or("overflow", |(_, rest)| rest.split(',').next().unwrap());
            format!("{name}:{}", line.split_once("count=").unwrap().1.split(' ').next().unwrap())
        });
        series.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(period(&[1, 2, 3, 4, 5]), "/1:2 /2:2 /3:2 overflow:4");
    // The first three were bound when the last period ended.
    assert_eq!(period(&[4, 5]), "overflow:4");
    assert_eq!(period(&[4, 5]), "/4:2 /5:2");
    assert_eq!(period(&[]), "");
    assert_eq!(period(&[1, 2]), "/1:2 overflow:2");
    assert_eq!(period(&[1, 2]), "/1:2 /2:2");
    assert_eq!(spy.counts().0, 0, "all of it bound");
}

/// A provider that is shut down records no more, and does no harm.
#[test]
fn providers_that_are_shut_down() {
    fn check<S: Spans>(spans: &S, shut_down: impl FnOnce(&S)) {
        let spy = Spy::on(spans.meter(), Binds::Yes);
        let mut service = service(&spy.layer(all().with_clock(ticking())));
        let mut serve = || (0..100).for_each(|_| serve(&mut service, Request::get("/")));
        serve();
        assert!(spans.metrics().contains(" count=100 "));
        shut_down(spans);
        serve();
        serve();
    }
    check(&Telemark::new(), |spans| spans.0.meter_provider().shutdown(Deadline::NEVER).unwrap());
    check(&Upstream::new(), Upstream::shut_down_metrics);
}
