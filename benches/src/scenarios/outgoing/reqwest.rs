//! The cost of an HTTP request with reqwest.

use std::fmt::Debug;
use std::hint::black_box;

use opentelemetry::{KeyValue, global};
use reqwest::{Client, Response};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

use super::canned::serve;
use super::{REGIMES, Sides, burst, in_span, install, runtime};
use crate::Failure;
use crate::meters;
use crate::scenarios::{Layout, Run, Scenario};
use crate::subjects;

pub(in crate::scenarios) static SCENARIO: Scenario = Scenario {
    name: "reqwest",
    about: "CPU time that instrumentation adds to an HTTP request, exported span and injected trace context included: reqwest calls \
            a server on the same thread through sockets, with a pause after each 100 requests, less the same requests on the bare \
            client, in turns. `metrics`: the metrics that the library has by default are recorded \
            too. `one span`: a span of the API with five attributes and without injection.",
    subjects: &[TELEMARK, TELEMARK_METRICS, SDK, TOWER_OTEL, TOWER_OTEL_METRICS, REQWEST_TRACING],
    regimes: REGIMES,
    layout: Layout::RowPerRegime(&[
        (TELEMARK_METRICS, TOWER_OTEL_METRICS),
        (TELEMARK_METRICS, SDK),
        (TELEMARK, REQWEST_TRACING),
    ]),
    reference: TELEMARK,
    measure: |run| super::measure(run, &sides(run)?),
};

const TELEMARK: &str = "telemark::reqwest";
const TELEMARK_METRICS: &str = "telemark::reqwest, metrics";
const SDK: &str = "opentelemetry_sdk, one span";
const TOWER_OTEL: &str = "tower-otel";
const TOWER_OTEL_METRICS: &str = "tower-otel, metrics";
const REQWEST_TRACING: &str = "reqwest-tracing";

fn sides(run: &Run<'_>) -> Result<Sides, Failure> {
    let runtime = &runtime()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let server = listener.local_addr()?;
    runtime.spawn(serve(listener));
    let urls = Urls(format!("http://{server}/items"));
    let (client, urls_of_bare) = (client()?, urls.clone());
    let bare = {
        let client = client.clone();
        burst(runtime, async move |id| check(client.get(urls_of_bare.of(id)).send().await).await)
    };
    let install = |name| install(name, run.endpoint);
    let traces = || tower_otel::trace::HttpLayer::client(tracing::Level::INFO);
    let (flush, observed, metrics) = match run.subject {
        TELEMARK | TELEMARK_METRICS => {
            let metrics = (run.subject == TELEMARK_METRICS).then(|| (1, meters::make_telemark_global()));
            let client = telemark::reqwest::Client::builder().no_proxy().user_agent(USER_AGENT).build()?;
            let observed = burst(runtime, async move |id| check(client.get(urls.of(id)).send().await).await);
            (install(subjects::TRACED)?, observed, metrics)
        }
        SDK => {
            let (host, port) = (server.ip().to_string(), i64::from(server.port()));
            let observed = burst(runtime, async move |id| {
                let url = urls.of(id);
                let attributes = [
                    KeyValue::new("http.request.method", "GET"),
                    KeyValue::new("url.full", url.clone()),
                    KeyValue::new("server.address", host.clone()),
                    KeyValue::new("server.port", port),
                ];
                let status = KeyValue::new("http.response.status_code", 200);
                check(in_span("GET", attributes, status, client.get(url).send()).await).await;
            });
            (install(subjects::SDK)?, observed, None)
        }
        TOWER_OTEL => {
            let service = traces().layer(client.clone());
            let observed = burst(runtime, async move |id| {
                let request = client.get(urls.of(id)).build().expect("the request is well formed");
                check(service.clone().oneshot(request).await).await;
            });
            (install(subjects::BRIDGE)?, observed, None)
        }
        TOWER_OTEL_METRICS => {
            let metrics = (3, meters::make_opentelemetry_sdk_global());
            let measured = tower_otel::metrics::HttpLayer::client(&global::meter("benches")).layer(client.clone());
            let service = traces().layer(measured);
            let observed = burst(runtime, async move |id| {
                let request = client.get(urls.of(id)).build().expect("the request is well formed");
                check(service.clone().oneshot(request).await).await;
            });
            (install(subjects::BRIDGE)?, observed, Some(metrics))
        }
        REQWEST_TRACING => {
            let layer = reqwest_tracing::TracingMiddleware::default();
            let client = reqwest_middleware::ClientBuilder::new(client).with(layer).build();
            let observed = burst(runtime, async move |id| check(client.get(urls.of(id)).send().await).await);
            (subjects::install_bridge_0_32(run.endpoint)?, observed, None)
        }
        other => return Err(format!("unknown subject {other:?}").into()),
    };
    Ok(Sides { bare, observed, flush, metrics })
}

const USER_AGENT: &str = "benches/1.0";

fn client() -> reqwest::Result<Client> {
    Client::builder().no_proxy().user_agent(USER_AGENT).build()
}

/// The URLs on the server, which responds to each of them.
#[derive(Clone)]
struct Urls(String);

impl Urls {
    fn of(&self, id: u64) -> String {
        format!("{}/{id}?color=blue", self.0)
    }
}

/// Reads the response, so that its connection can be used for the next request.
async fn check<E: Debug>(response: Result<Response, E>) {
    let response = response.expect("the server responds");
    assert!(response.status().is_success(), "the server responds with {}", response.status());
    black_box(response.bytes().await.expect("the response is complete"));
}
