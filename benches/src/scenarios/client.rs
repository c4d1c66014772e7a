//! The cost that a client layer adds to an outgoing request.

use std::hint::black_box;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use opentelemetry::global;
use opentelemetry::metrics::Histogram;
use opentelemetry::propagation::Injector;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{Layout, Run, Scenario};
use crate::Failure;
use crate::load::{Bursts, Load, Pause};
use crate::meters::{self, Recorded};
use crate::reading::{PRODUCED, Reading};
use crate::subjects::{self, Settings, Subject};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "client",
    about: "CPU time that a client layer adds to an outgoing request, exported span included: a service in memory called through \
            the layer, with a pause after each 100 requests, less the same calls without a layer, in turns. The trace context \
            is written into the headers. `metrics`: the duration is recorded too, with an exemplar where the library has them. \
            `by hand`: a client span of the API with the same attributes, and its injection.",
    subjects: &[TELEMARK, TELEMARK_METRICS, SDK, SDK_METRICS, TOWER_OTEL, TOWER_OTEL_METRICS],
    regimes: &[SPINNING, SLEEPING],
    layout: Layout::RowPerRegime(&[(TELEMARK_METRICS, TOWER_OTEL_METRICS), (TELEMARK_METRICS, SDK_METRICS)]),
    reference: TELEMARK,
    measure,
};

const TELEMARK: &str = "telemark::tower::client_layer";
const TELEMARK_METRICS: &str = "telemark::tower::client_layer, metrics";
const SDK: &str = "opentelemetry_sdk by hand";
const SDK_METRICS: &str = "opentelemetry_sdk by hand, metrics";
const TOWER_OTEL: &str = "tower-otel";
const TOWER_OTEL_METRICS: &str = "tower-otel, metrics";

const SPINNING: &str = "4 ms of spinning";
const SLEEPING: &str = "4 ms of sleeping";

/// The number of requests per burst.
const REQUESTS: u64 = 100;
/// The bursts in one turn. Each client gets every second turn.
const BURSTS: Bursts = Bursts { warm_up: 5, measured: 50 };
const TURNS: u64 = 4;

type Client = BoxCloneService<Request<Body>, Response<()>, std::io::Error>;

fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    let pause = match run.regime {
        SPINNING => Pause::Spin(Duration::from_millis(4)),
        SLEEPING => Pause::Sleep(Duration::from_millis(4)),
        other => return Err(format!("unknown regime {other:?}").into()),
    };
    let (load, bursts) = (Load { producers: 1, pause }, run.shortened(BURSTS));
    let Layered { pipeline, client: layered, metrics } = layered(run.subject, run.endpoint)?;
    let bare = boxed(bare());
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let turn = |client: &Client| -> Result<f64, Failure> {
        let burst = || {
            runtime.block_on(async {
                for id in 0..REQUESTS {
                    call(client, id).await;
                }
            });
        };
        Ok(load.run(bursts, burst, || pipeline.flush())?.process)
    };
    let (mut without, mut with) = (0.0, 0.0);
    for _ in 0..TURNS {
        without += turn(&bare)?;
        with += turn(&layered)?;
    }
    if let Some(recorded) = metrics {
        let recorded = recorded();
        if recorded != 1 {
            return Err(format!("{} has recorded {recorded} metrics instead of 1", run.subject).into());
        }
    }
    let requests = (TURNS * bursts.measured * REQUESTS) as f64;
    let produced = (TURNS * (bursts.warm_up + bursts.measured) * REQUESTS) as f64;
    Ok(vec![
        Reading::new("added, ns/request", (with - without) / requests),
        Reading::new("service without a layer, ns/request", without / requests),
        Reading::new(PRODUCED, produced),
    ])
}

struct Layered {
    pipeline: Box<dyn Subject>,
    client: Client,
    /// Returns the number of metrics, if any are recorded.
    metrics: Option<Recorded>,
}

fn layered(name: &str, endpoint: &str) -> Result<Layered, Failure> {
    let telemark = || subjects::install(subjects::TRACED, endpoint, Settings::default());
    let sdk = || subjects::install(subjects::SDK, endpoint, Settings::default());
    let bridge = || subjects::install(subjects::BRIDGE, endpoint, Settings::default());
    let (pipeline, client, metrics) = match name {
        TELEMARK => (telemark()?, boxed(telemark::tower::client_layer().layer(bare())), None),
        TELEMARK_METRICS => {
            let metrics = meters::make_telemark_global();
            (telemark()?, boxed(telemark::tower::client_layer().layer(bare())), Some(metrics))
        }
        SDK => (sdk()?, boxed(by_hand(None)), None),
        SDK_METRICS => {
            let metrics = meters::make_opentelemetry_sdk_global();
            let duration =
                global::meter("benches").f64_histogram("http.client.request.duration").with_unit("s").build();
            (sdk()?, boxed(by_hand(Some(duration))), Some(metrics))
        }
        TOWER_OTEL => {
            let layer = tower_otel::trace::HttpLayer::client(tracing::Level::INFO);
            (bridge()?, boxed(layer.layer(bare())), None)
        }
        TOWER_OTEL_METRICS => {
            let metrics = meters::make_opentelemetry_sdk_global();
            let layer = tower_otel::trace::HttpLayer::client(tracing::Level::INFO);
            let inner = tower_otel::metrics::HttpLayer::client(&global::meter("benches")).layer(bare());
            (bridge()?, boxed(layer.layer(inner)), Some(metrics))
        }
        other => return Err(format!("unknown subject {other:?}").into()),
    };
    Ok(Layered { pipeline, client, metrics })
}

fn bare() -> impl Service<Request<Body>, Response = Response<Body>, Error = std::io::Error, Future: Send> + Clone + Send
{
    service_fn(async |request: Request<Body>| {
        black_box(request);
        Ok(Response::new(Body::empty()))
    })
}

fn boxed<S, B>(service: S) -> Client
where
    S: Service<Request<Body>, Response = Response<B>, Error = std::io::Error, Future: Send> + Clone + Send + 'static,
    B: 'static,
{
    BoxCloneService::new(service.map_response(|response: Response<B>| response.map(drop)))
}

/// The code that a program without a layer writes around each request.
fn by_hand(
    duration: Option<Histogram<f64>>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = std::io::Error, Future: Send> + Clone + Send {
    let tracer = global::tracer("benches");
    let tracer = std::sync::Arc::new(tracer);
    service_fn(move |mut request: Request<Body>| {
        let (tracer, duration) = (tracer.clone(), duration.clone());
        async move {
            let started = std::time::Instant::now();
            let (method, uri) = (request.method().as_str().to_owned(), request.uri());
            let host = uri.host().unwrap_or_default().to_owned();
            let builder = tracer.span_builder(method.clone()).with_kind(SpanKind::Client).with_attributes([
                KeyValue::new("http.request.method", method.clone()),
                KeyValue::new("url.full", uri.to_string()),
                KeyValue::new("server.address", host.clone()),
                KeyValue::new("server.port", 80),
            ]);
            let context = Context::current_with_span(builder.start(&*tracer));
            global::get_text_map_propagator(|propagator| {
                propagator.inject_context(&context, &mut Headers(request.headers_mut()));
            });
            let response = {
                let _current = context.clone().attach();
                bare().call(request)
            };
            let response = response.await?;
            let status = i64::from(response.status().as_u16());
            let span = context.span();
            span.set_attribute(KeyValue::new("http.response.status_code", status));
            span.set_attribute(KeyValue::new("network.protocol.version", "1.1"));
            if status >= 400 {
                span.set_status(Status::error(""));
            }
            if let Some(duration) = duration {
                let attributes = [
                    KeyValue::new("http.request.method", method),
                    KeyValue::new("server.address", host),
                    KeyValue::new("server.port", 80),
                    KeyValue::new("http.response.status_code", status),
                    KeyValue::new("network.protocol.version", "1.1"),
                ];
                let _current = context.clone().attach();
                duration.record(started.elapsed().as_secs_f64(), &attributes);
            }
            span.end();
            Ok(response)
        }
    })
}

struct Headers<'h>(&'h mut axum::http::HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = axum::http::HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value)) = (name, axum::http::HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

async fn call(client: &Client, id: u64) {
    let request = Request::get(format!("http://stock.shop.example/items/{id}?color=blue"))
        .header("user-agent", "benches/1.0")
        .body(Body::empty());
    let request = request.expect("the request is well formed");
    let response = client.clone().oneshot(request).await.expect("the service has no error");
    assert!(response.status().is_success(), "the service answers with {}", response.status());
}
