//! What a layer adds to a request.

use std::hint::black_box;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::Request;
use axum::routing::get;
use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use opentelemetry_instrumentation_tower::http::server;
use telemark::axum::ServerConfig;
use telemark_sdk::time::Clock;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::{Layout, Scenario};
use crate::Failure;
use crate::meters::{self, Recorded};
use crate::pace::Pace;
use crate::reading::{PRODUCED, Reading};
use crate::subjects::{self, Subject};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "axum",
    about: "CPU time that the layer adds to a request, exported span included: the router called in process, less the \
            same calls of a router without a layer, in turns. The requests carry a traceparent, sampled or not. `metrics`: \
            duration, active requests and both body sizes are recorded too, with exemplars where the library has them.",
    subjects: &[TELEMARK, TELEMARK_DURATION, TELEMARK_METRICS, TOWER, TOWER_METRICS, TOWER_OTEL, AXUM_TRACING],
    layout: Layout::TablePerValue,
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

const BURST: u64 = 250;
const WARM_UP: u64 = 20;
/// Bursts in one turn; each router gets every third turn.
const TURN: u64 = 40;
const TURNS: u64 = 5;

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn measure(name: &str, endpoint: &str) -> Result<Vec<Reading>, Failure> {
    let Layered { pipeline, router: layered, metrics } = layered(name, endpoint)?;
    // As `axum::serve` does it: from here on the routes are built, not only described.
    let (layered, bare) = (layered.with_state(()), bare().with_state(()));
    let pace = Pace::new(endpoint, pipeline.is_waited_for())?;
    let mut calls =
        Calls { pace, pipeline: &*pipeline, runtime: tokio::runtime::Builder::new_current_thread().build()? };
    for (router, parent, spans) in [(&bare, SAMPLED, 0), (&layered, UNSAMPLED, 0), (&layered, SAMPLED, 1)] {
        calls.run(router, parent, spans, WARM_UP)?;
    }
    let (mut without, mut sampled, mut unsampled) = (0, 0, 0);
    for _ in 0..TURNS {
        without += calls.run(&bare, SAMPLED, 0, TURN)?;
        sampled += calls.run(&layered, SAMPLED, 1, TURN)?;
        unsampled += calls.run(&layered, UNSAMPLED, 0, TURN)?;
    }
    if let Some((expected, recorded)) = metrics {
        let recorded = recorded();
        if recorded != expected {
            return Err(format!("{name} has recorded {recorded} metrics instead of {expected}").into());
        }
    }
    let requests = TURNS * TURN * BURST;
    Ok(vec![
        Reading::per("router without a layer, ns/request", without, requests),
        Reading::per("added, sampled, ns/request", sampled.saturating_sub(without), requests),
        Reading::per("added, unsampled parent, ns/request", unsampled.saturating_sub(without), requests),
        Reading::new(PRODUCED, calls.pace.produced() as f64),
    ])
}

struct Layered {
    pipeline: Box<dyn Subject>,
    router: Router,
    /// How many metrics there are in the end, where any are recorded.
    metrics: Option<(usize, Recorded)>,
}

fn layered(name: &str, endpoint: &str) -> Result<Layered, Failure> {
    let telemark = || subjects::install(subjects::TRACED, endpoint);
    let sdk = || subjects::install(subjects::SDK, endpoint);
    let bridge = || subjects::install(subjects::BRIDGE, endpoint);
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
            // Not the size of the body of a request that has none.
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

struct Calls<'a> {
    pace: Pace,
    pipeline: &'a dyn Subject,
    runtime: Runtime,
}

impl Calls<'_> {
    /// The CPU time of the process for `bursts` bursts of requests that each make `spans` spans.
    fn run(&mut self, router: &Router, parent: &'static str, spans: u64, bursts: u64) -> Result<u64, Failure> {
        let burst = || {
            self.runtime.block_on(async {
                for id in 0..BURST {
                    call(router, parent, id).await;
                }
            });
        };
        Ok(self.pace.run(bursts, spans * BURST, burst, || self.pipeline.flush())?.process)
    }
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
    black_box(response);
}
