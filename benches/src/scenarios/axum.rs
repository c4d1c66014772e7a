//! The cost that a layer adds to a request.

use std::hint::black_box;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::Request;
use axum::routing::get;
use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use opentelemetry_instrumentation_tower::http::server;
use telemark::axum::ServerConfig;
use telemark_sdk::time::Clock;
use tower::ServiceExt;

use super::{Layout, Run, Scenario};
use crate::Failure;
use crate::load::{Bursts, Load, Pause};
use crate::meters::{self, Recorded};
use crate::reading::{PRODUCED, Reading};
use crate::subjects::{self, Settings, Subject};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "axum",
    about: "CPU time that the layer adds to a request, exported span included: the router called in process, with a pause \
            after each 100 requests, less the same calls of a router without a layer, in turns. The requests carry a \
            traceparent, sampled or not. `metrics`: duration, active requests and both body sizes are recorded too, with \
            exemplars where the library has them.",
    subjects: &[TELEMARK, TELEMARK_DURATION, TELEMARK_METRICS, TOWER, TOWER_METRICS, TOWER_OTEL, AXUM_TRACING],
    regimes: &[SPINNING, SLEEPING],
    layout: Layout::RowPerRegime(&[(TELEMARK, TOWER), (TELEMARK_METRICS, TOWER_METRICS)]),
    reference: TELEMARK,
    measure,
};

const TELEMARK: &str = "telemark::axum";
const TELEMARK_DURATION: &str = "telemark::axum, duration";
const TELEMARK_METRICS: &str = "telemark::axum, metrics";
const TOWER: &str = "opentelemetry-instrumentation-tower";
const TOWER_METRICS: &str = "opentelemetry-instrumentation-tower, metrics";
const TOWER_OTEL: &str = "tower-otel";
const AXUM_TRACING: &str = "axum-tracing-opentelemetry";

const SPINNING: &str = "4 ms of spinning";
const SLEEPING: &str = "4 ms of sleeping";

/// The number of requests per burst.
const REQUESTS: u64 = 100;
/// The bursts in one turn. Each router gets every third turn.
const BURSTS: Bursts = Bursts { warm_up: 5, measured: 50 };
const TURNS: u64 = 4;

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    let pause = match run.regime {
        SPINNING => Pause::Spin(Duration::from_millis(4)),
        SLEEPING => Pause::Sleep(Duration::from_millis(4)),
        other => return Err(format!("unknown regime {other:?}").into()),
    };
    let (load, bursts) = (Load { producers: 1, pause }, run.shortened(BURSTS));
    let Layered { pipeline, router: layered, metrics } = layered(run.subject, run.endpoint)?;
    // Like `axum::serve`, build the routes now rather than on each request.
    let (layered, bare) = (layered.with_state(()), bare().with_state(()));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let turn = |router: &Router, parent| -> Result<f64, Failure> {
        let burst = || {
            runtime.block_on(async {
                for id in 0..REQUESTS {
                    call(router, parent, id).await;
                }
            });
        };
        Ok(load.run(bursts, burst, || pipeline.flush())?.process)
    };
    let (mut without, mut sampled, mut unsampled) = (0.0, 0.0, 0.0);
    for _ in 0..TURNS {
        without += turn(&bare, SAMPLED)?;
        sampled += turn(&layered, SAMPLED)?;
        unsampled += turn(&layered, UNSAMPLED)?;
    }
    if let Some((expected, recorded)) = metrics {
        let recorded = recorded();
        if recorded != expected {
            return Err(format!("{} has recorded {recorded} metrics instead of {expected}", run.subject).into());
        }
    }
    let requests = (TURNS * bursts.measured * REQUESTS) as f64;
    let produced = (TURNS * (bursts.warm_up + bursts.measured) * REQUESTS) as f64;
    Ok(vec![
        Reading::new("added, sampled, ns/request", (sampled - without) / requests),
        Reading::new("added, unsampled parent, ns/request", (unsampled - without) / requests),
        Reading::new("router without a layer, ns/request", without / requests),
        Reading::new(PRODUCED, produced),
    ])
}

struct Layered {
    pipeline: Box<dyn Subject>,
    router: Router,
    /// The expected number of metrics and a function that returns the actual one, if any metrics are recorded.
    metrics: Option<(usize, Recorded)>,
}

fn layered(name: &str, endpoint: &str) -> Result<Layered, Failure> {
    let telemark = || subjects::install(subjects::TRACED, endpoint, Settings::default());
    let sdk = || subjects::install(subjects::SDK, endpoint, Settings::default());
    let bridge = || subjects::install(subjects::BRIDGE, endpoint, Settings::default());
    let (pipeline, router, metrics) = match name {
        TELEMARK => (telemark()?, bare().layer(telemark::axum::layer()), None),
        TELEMARK_DURATION | TELEMARK_METRICS => {
            let metrics = meters::make_telemark_global();
            let settings = ServerConfig::new().with_clock(|| Clock::system().now().into());
            let (expected, settings) = match name {
                TELEMARK_METRICS => (4, settings.with_active_requests().with_body_sizes()),
                _ => (1, settings),
            };
            let layer = telemark::axum::layer().with_config(settings);
            (telemark()?, bare().layer(layer), Some((expected, metrics)))
        }
        TOWER => (sdk()?, bare().layer(server::Layer::new()), None),
        TOWER_METRICS => {
            let metrics = meters::make_opentelemetry_sdk_global();
            // The layer does not record the body size of a request without a body.
            (sdk()?, bare().layer(server::Layer::new()), Some((3, metrics)))
        }
        TOWER_OTEL => {
            let layer = tower_otel::trace::HttpLayer::server(tracing::Level::INFO);
            (bridge()?, bare().layer(layer), None)
        }
        AXUM_TRACING => (bridge()?, bare().layer(OtelAxumLayer::default()), None),
        other => return Err(format!("unknown subject {other:?}").into()),
    };
    Ok(Layered { pipeline, router, metrics })
}

fn bare() -> Router {
    Router::new().route("/users/{id}", get(async |Path(id): Path<u64>| format!("user {id}")))
}

async fn call(router: &Router, parent: &'static str, id: u64) {
    let request = Request::get(format!("/users/{id}"))
        .header("host", "shop.example.com")
        .header("user-agent", "benches/1.0")
        .header("traceparent", parent)
        .body(Body::empty());
    let request = request.expect("the request is well formed");
    let Ok(response) = router.clone().oneshot(request).await;
    assert!(response.status().is_success(), "the router answers with {}", response.status());
    // Read the body as a server does when it sends the response.
    let body = to_bytes(response.into_body(), usize::MAX).await;
    black_box(body.expect("the body has no error"));
}
