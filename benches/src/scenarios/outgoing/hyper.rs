//! The cost of an HTTP request with hyper-util's client, without sockets.

use std::fmt::Debug;

use axum::http::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry::{KeyValue, global};
use telemetry_rust::instrumentations::http::hyper::HyperLegacyClientInstrument;
use tower::{Layer, ServiceExt};

use super::canned::{Connector, connector};
use super::{REGIMES, Sides, burst, in_span, install, runtime};
use crate::Failure;
use crate::meters;
use crate::scenarios::{Layout, Run, Scenario};
use crate::subjects;

pub(in crate::scenarios) static SCENARIO: Scenario = Scenario {
    name: "hyper",
    about: "CPU time that instrumentation adds to an HTTP request, exported span and injected trace context included: hyper-util's \
            client calls a server in memory, with a pause after each 100 requests, less the same requests on the bare client, in \
            turns. `metrics`: the metrics that the library has by default are recorded too. `one span`: a span of the API with \
            five attributes and without injection.",
    subjects: &[TELEMARK, TELEMARK_METRICS, SDK, TELEMETRY_RUST, TOWER_OTEL, TOWER_OTEL_METRICS],
    regimes: REGIMES,
    layout: Layout::RowPerRegime(&[
        (TELEMARK_METRICS, TOWER_OTEL_METRICS),
        (TELEMARK_METRICS, SDK),
        (TELEMARK, TELEMETRY_RUST),
    ]),
    reference: TELEMARK,
    measure: |run| super::measure(run, &sides(run)?),
};

const TELEMARK: &str = "telemark::hyper";
const TELEMARK_METRICS: &str = "telemark::hyper, metrics";
const SDK: &str = "opentelemetry_sdk, one span";
const TELEMETRY_RUST: &str = "telemetry-rust";
const TOWER_OTEL: &str = "tower-otel";
const TOWER_OTEL_METRICS: &str = "tower-otel, metrics";

fn sides(run: &Run<'_>) -> Result<Sides, Failure> {
    let runtime = &runtime()?;
    let bare = client();
    let bare = burst(runtime, async move |id| check(bare.request(request(id)).await));
    let install = |name| install(name, run.endpoint);
    let traces = || tower_otel::trace::HttpLayer::client(tracing::Level::INFO);
    let (flush, observed, metrics) = match run.subject {
        TELEMARK | TELEMARK_METRICS => {
            let metrics = (run.subject == TELEMARK_METRICS).then(|| (1, meters::make_telemark_global()));
            let client = telemark::hyper::client(client());
            let observed = burst(runtime, async move |id| check(client.request(request(id)).await));
            (install(subjects::TRACED)?, observed, metrics)
        }
        SDK => {
            let client = client();
            let observed = burst(runtime, async move |id| {
                let attributes = [
                    KeyValue::new("http.request.method", "GET"),
                    KeyValue::new("url.full", url(id)),
                    KeyValue::new("server.address", "stock.shop.example"),
                    KeyValue::new("server.port", 80),
                ];
                let status = KeyValue::new("http.response.status_code", 200);
                check(in_span("GET", attributes, status, client.request(request(id))).await);
            });
            (install(subjects::SDK)?, observed, None)
        }
        TELEMETRY_RUST => {
            let client = client().instrument();
            let observed = burst(runtime, async move |id| check(client.request(request(id)).await));
            (install(subjects::SDK)?, observed, None)
        }
        TOWER_OTEL => {
            let client = traces().layer(client());
            let observed = burst(runtime, async move |id| check(client.clone().oneshot(request(id)).await));
            (install(subjects::BRIDGE)?, observed, None)
        }
        TOWER_OTEL_METRICS => {
            let metrics = (4, meters::make_opentelemetry_sdk_global());
            let measured = tower_otel::metrics::HttpLayer::client(&global::meter("benches")).layer(client());
            let client = traces().layer(measured);
            let observed = burst(runtime, async move |id| check(client.clone().oneshot(request(id)).await));
            (install(subjects::BRIDGE)?, observed, Some(metrics))
        }
        other => return Err(format!("unknown subject {other:?}").into()),
    };
    Ok(Sides { bare, observed, flush, metrics })
}

fn client() -> Client<Connector, String> {
    Client::builder(TokioExecutor::new()).build(connector())
}

fn request(id: u64) -> Request<String> {
    let request = Request::get(url(id)).header("user-agent", "benches/1.0").body(String::new());
    request.expect("the request is well formed")
}

fn url(id: u64) -> String {
    format!("http://stock.shop.example/items/{id}?color=blue")
}

fn check<B, E: Debug>(response: Result<Response<B>, E>) {
    let status = response.expect("the server responds").status();
    assert!(status.is_success(), "the server responds with {status}");
}
