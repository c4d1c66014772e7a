//! Tests the layer with instruments that count, panic, overflow or are shut down.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    BoundSyncInstrument, Histogram, HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter, SyncInstrument,
    UpDownCounter,
};
use opentelemetry::trace::noop::NoopTracer;
use support::{Spans, Telemark, Upstream, ticking};
use telemark_sdk::metrics::{ReaderConfig, TemporalityPreference};
use telemark_sdk::time::Deadline;
use telemark_tower::{DefaultPolicy, HttpServerLayer, Route, ServerConfig};
use tower::{Layer, Service, service_fn};

on_every_provider!(hostile_requests_stay_within_the_limits, each_instrument_records_once, one_panic_is_one_loss);

/// Wraps another meter's instruments to count their calls. The instrument named `panics` panics on each call.
#[derive(Clone)]
struct Spy {
    meter: Meter,
    panics: &'static str,
    records: Arc<AtomicUsize>,
    binds: Arc<AtomicUsize>,
}

struct SpyInstrument<I> {
    inner: I,
    name: String,
    spy: Spy,
}

macro_rules! spies {
    ($($number:ty, $instrument:ident, $record:ident;)*) => {$(
        impl SyncInstrument<$number> for SpyInstrument<$instrument<$number>> {
            fn measure(&self, measurement: $number, attributes: &[KeyValue]) {
                self.spy.records.fetch_add(1, Ordering::Relaxed);
                if self.name == self.spy.panics {
                    std::panic::resume_unwind(Box::new("a meter"));
                }
                self.inner.$record(measurement, attributes);
            }
            fn bind(&self, _attributes: &[KeyValue]) -> Box<dyn BoundSyncInstrument<$number> + Send + Sync> {
                self.spy.binds.fetch_add(1, Ordering::Relaxed);
                panic!("a bound instrument pins its series");
            }
        }
    )*};
}

spies! {
    f64, Histogram, record;
    u64, Histogram, record;
    i64, UpDownCounter, add;
}

impl InstrumentProvider for Spy {
    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        let inner = self.meter.f64_histogram(builder.name.clone()).with_boundaries(builder.boundaries.unwrap());
        Histogram::new(self.instrument(&builder.name, inner.build()))
    }
    fn u64_histogram(&self, builder: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        let inner = self.meter.u64_histogram(builder.name.clone());
        Histogram::new(self.instrument(&builder.name, inner.build()))
    }
    fn i64_up_down_counter(&self, builder: InstrumentBuilder<'_, UpDownCounter<i64>>) -> UpDownCounter<i64> {
        let inner = self.meter.i64_up_down_counter(builder.name.clone());
        UpDownCounter::new(self.instrument(&builder.name, inner.build()))
    }
}

impl Spy {
    fn new(meter: Meter, panics: &'static str) -> Self {
        Spy { meter, panics, records: Arc::default(), binds: Arc::default() }
    }

    fn instrument<I>(&self, name: &str, inner: I) -> Arc<SpyInstrument<I>> {
        Arc::new(SpyInstrument { inner, name: name.to_owned(), spy: self.clone() })
    }

    fn layer(&self, config: ServerConfig) -> HttpServerLayer<DefaultPolicy, NoopTracer> {
        let layer = HttpServerLayer::new().with_config(config).with_tracer(NoopTracer::new());
        layer.with_meter(&Meter::new(Arc::new(self.clone())))
    }
}

fn all() -> ServerConfig {
    ServerConfig::new().with_active_requests().with_body_sizes().with_clock(ticking())
}

/// Serves the requests, up to the ends of their bodies, on a layer with this meter.
fn serve(spy: &Spy, config: ServerConfig, requests: impl Iterator<Item = http::request::Builder>) {
    let handler = async |_: Request<()>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")));
    let mut service = spy.layer(config).layer(service_fn(handler));
    for request in requests {
        let response = service.call(request.body(()).unwrap()).now_or_never().unwrap().unwrap();
        response.into_body().collect().now_or_never().unwrap().unwrap();
    }
}

fn gets(number: usize) -> impl Iterator<Item = http::request::Builder> {
    (0..number).map(|_| Request::get("/").header("host", "shop.example"))
}

/// Each request has its own path, method and host, and their number exceeds the provider's limit.
async fn hostile_requests_stay_within_the_limits<S: Spans>() {
    for (config, is_beyond) in [(all(), false), (all().with_server_address_in_metrics(), true)] {
        let spans = S::new();
        let requests = (0..10_000).map(|index| {
            let request = Request::builder().method(format!("M{index}").as_str()).uri(format!("/path/{index}"));
            request.header("host", format!("host{index}.example"))
        });
        serve(&Spy::new(spans.meter(), ""), config, requests);
        let metrics = spans.metrics();
        assert_eq!(metrics.contains("otel.metric.overflow=true"), is_beyond, "{metrics}");
        // Each metric has the default limit of series, plus the overflow.
        assert_eq!(metrics.lines().count(), if is_beyond { 4 * 2001 } else { 4 });
    }
}

async fn each_instrument_records_once<S: Spans>() {
    let counts = |config: ServerConfig| {
        let spans = S::new();
        let spy = Spy::new(spans.meter(), "");
        serve(&spy, config, gets(100));
        (spy.records.load(Ordering::Relaxed), spy.binds.load(Ordering::Relaxed))
    };
    assert_eq!(counts(ServerConfig::new()), (100, 0));
    // Active requests are recorded twice, at the start and at the end.
    assert_eq!(counts(all()), (500, 0));
    assert_eq!(counts(all().without_metrics()), (0, 0));
}

async fn one_panic_is_one_loss<S: Spans>() {
    const NAMES: [&str; 4] = [
        "http.server.active_requests",
        "http.server.request.body.size",
        "http.server.request.duration",
        "http.server.response.body.size",
    ];
    for panics in NAMES {
        let spans = S::new();
        serve(&Spy::new(spans.meter(), panics), all(), gets(3));
        let metrics = spans.metrics();
        for name in NAMES {
            assert_eq!(metrics.contains(name), name != panics, "{name} where {panics} panics:\n{metrics}");
        }
    }
}

/// An attribute set beyond the limit of one delta gets its own series in the next.
#[test]
fn a_route_stays_in_the_overflow_for_one_delta() {
    let config = || {
        let config = ReaderConfig::new().with_temporality(TemporalityPreference::Delta);
        config.with_cardinality_limit(|_| 3)
    };
    let spans = Telemark(telemark_sdk::testing::TestTelemetry::new().with_metrics(config(), |builder| builder));
    let spy = Spy::new(spans.meter(), "");
    let layer = spy.layer(ServerConfig::new().with_clock(ticking()));
    let period = |routes: &[u32]| {
        for route in routes.iter().flat_map(|route| [route, route]) {
            let handler = async |_: Request<()>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")));
            let request = Request::get("/").extension(Route(format!("/{route}").into()));
            let response = layer.layer(service_fn(handler)).call(request.body(()).unwrap());
            response.now_or_never().unwrap().unwrap().into_body().collect().now_or_never().unwrap().unwrap();
        }
        let metrics = spans.metrics();
        let series = metrics.lines().map(|line| {
            let name = line.split_once("http.route=").map_or("overflow", |(_, rest)| rest.split(',').next().unwrap());
            format!("{name}:{}", line.split_once("count=").unwrap().1.split(' ').next().unwrap())
        });
        series.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(period(&[1, 2, 3, 4, 5]), "/1:2 /2:2 /3:2 overflow:4");
    assert_eq!(period(&[4, 5]), "/4:2 /5:2");
    assert_eq!(period(&[]), "");
    assert_eq!(period(&[1, 2]), "/1:2 /2:2");
}

/// A provider that has been shut down records nothing and has no other effect.
#[test]
fn providers_that_are_shut_down() {
    fn check<S: Spans>(spans: &S, shut_down: impl FnOnce(&S)) {
        let spy = Spy::new(spans.meter(), "");
        serve(&spy, all(), gets(100));
        assert!(spans.metrics().contains(" count=100 "));
        shut_down(spans);
        serve(&spy, all(), gets(200));
    }
    check(&Telemark::new(), |spans| spans.0.meter_provider().shutdown(Deadline::NEVER).unwrap());
    check(&Upstream::new(), Upstream::shut_down_metrics);
}
