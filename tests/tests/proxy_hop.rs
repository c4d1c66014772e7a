//! A trace through a proxy of another project: reqwest, Envoy, axum.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, global};
use telemark::propagation::TraceContextPropagator;
use telemark::testing::TestTelemetry;
use telemark_tests::skip;

/// A proxy with tracing of its own, stopped when dropped.
struct Envoy(Child);

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Envoy {
    /// Starts a proxy that listens on the first address and forwards to the second one.
    fn start(program: &str, listen: SocketAddr, upstream: SocketAddr) -> Self {
        let address = |address: SocketAddr| {
            format!("address: {{ socket_address: {{ address: {}, port_value: {} }} }}", address.ip(), address.port())
        };
        let cluster = |name: &str| {
            format!(
                "  - name: {name}\n    load_assignment: {{ cluster_name: {name}, endpoints: \
                 [ {{ lb_endpoints: [ {{ endpoint: {{ {} }} }} ] }} ] }}\n",
                address(upstream)
            )
        };
        // The proxy sends its spans to the server under test, which rejects them: the hop shows in the headers.
        let config = format!(
            r#"
static_resources:
  listeners:
  - {}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: hop
          tracing:
            provider:
              name: envoy.tracers.opentelemetry
              typed_config:
                "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                service_name: envoy
                http_service:
                  http_uri: {{ uri: "http://{upstream}/v1/traces", cluster: collector, timeout: 1s }}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {{ match: {{ prefix: "/" }}, route: {{ cluster: upstream }} }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
{}{}"#,
            address(listen),
            cluster("upstream"),
            cluster("collector")
        );
        let mut command = Command::new(program);
        command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "error", "--config-yaml", &config]);
        Envoy(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

/// Returns an address whose port the system does not choose by itself, so that nobody takes it before the proxy does.
fn free_address() -> SocketAddr {
    let first = std::process::id() as u16;
    let mut ports = (0..10_000).map(|step| 10_000 + first.wrapping_add(step) % 10_000);
    ports.find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).unwrap().local_addr().unwrap()
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "variables of the tests, not of the library")]
async fn a_trace_goes_through_envoy() {
    let Ok(folder) = std::env::var("TELEMARK_TEST_ENVOY") else {
        return skip("the hop through Envoy: TELEMARK_TEST_ENVOY is not set; `cargo xtask test` sets it");
    };
    global::set_text_map_propagator(TraceContextPropagator::new());
    let telemetry = TestTelemetry::new();
    let attached = telemetry.attach();
    let client = telemark::reqwest::Client::new();
    let app = Router::new().route("/users/{id}", get(baggage)).layer(telemark::axum::layer());
    drop(attached);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (upstream, listen) = (listener.local_addr().unwrap(), free_address());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let _envoy = Envoy::start(&format!("{folder}/envoy/_bin/envoy"), listen, upstream);
    let ready = async {
        while tokio::net::TcpStream::connect(listen).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ready).await.unwrap();

    let state = TraceState::from_key_value([("a", "1")]).unwrap();
    let caller = SpanContext::new(TraceId::from(7), SpanId::from(9), TraceFlags::SAMPLED, true, state);
    let sending = {
        let _attached = Context::new().with_remote_span_context(caller).attach();
        client.get(format!("http://{listen}/users/7")).header("baggage", "k=v").send()
    };
    assert_eq!(sending.await.unwrap().text().await.unwrap(), "k=v");
    let spans = telemetry.spans();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (client, server) = (named("GET"), named("GET /users/{id}"));
    assert_eq!((client.context.trace_id(), server.context.trace_id()), (TraceId::from(7), TraceId::from(7)));
    assert_eq!((client.parent_span_id, server.context.trace_state().header()), (SpanId::from(9), "a=1".to_owned()));
    let between = server.parent_span_id;
    assert!(between != client.context.span_id() && between != SpanId::INVALID, "the span of the proxy lies between");
}

async fn baggage(headers: HeaderMap) -> String {
    headers.get("baggage").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}
