//! Reads the variables that enable or disable an integration.

#![cfg(any(
    feature = "reqwest",
    feature = "runtime-metrics",
    feature = "sqlx",
    feature = "tonic",
    feature = "tower",
    feature = "tracing"
))]

use telemark_kit::Enabled;
use telemark_sdk::config::Env;
use telemark_sdk::diag;

/// Returns true unless the environment disables the integration, which is named after its Cargo feature. Reports invalid values.
pub(crate) fn is_enabled(integration: &str, env: &Env) -> bool {
    let choice = Enabled::read(integration, |name| env.string(name));
    for problem in choice.problems {
        diag::log(diag::Level::Warn, "instrumentation.enabled", format_args!("{problem}"));
    }
    choice.is_enabled
}

#[cfg(all(test, feature = "axum", feature = "hyper", feature = "reqwest-middleware"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::convert::Infallible;
    use std::process::Command;

    use axum::body::Body;
    use axum::http::{Request, Response};
    use axum::{Router, routing::get};
    use hyper_util::rt::TokioExecutor;
    use tower::{Layer, ServiceExt, service_fn};

    use super::Env;
    use crate::testing::TestTelemetry;
    use crate::{client, server};

    const INTEGRATIONS: [&str; 4] = ["axum", "hyper", "reqwest", "tower"];

    /// Returns the scope and the metric of what a request records; `None` if it records nothing.
    fn recorded(send: impl Future<Output = ()>) -> Option<String> {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(send);
        let (spans, metrics) = (telemetry.spans(), telemetry.metrics());
        let Some(span) = spans.first() else {
            assert_eq!(metrics, "");
            return None;
        };
        assert_eq!((spans.len(), &*span.name), (1, "GET"));
        Some(format!("{} {}", span.scope.name(), metrics.split('[').next().unwrap()))
    }

    fn request(uri: &str) -> Request<Body> {
        Request::get(uri).body(Body::empty()).unwrap()
    }

    async fn hello(_request: Request<Body>) -> Result<Response<Body>, Infallible> {
        Ok(Response::new(Body::from("hello")))
    }

    #[test]
    fn every_layer_and_client_records_unless_its_own_variable_disables_it() {
        // Nothing listens there.
        let url = "http://127.0.0.1:1/";
        let clients = || hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        let trials = [
            recorded(async {
                let router = Router::new().fallback(get(async || "hello")).layer(server::axum::layer());
                drop(router.oneshot(request("/")).await.unwrap());
            }),
            recorded(async {
                let layer = client::hyper::server_layer();
                drop(layer.layer(service_fn(hello)).oneshot(request("/")).await.unwrap());
            }),
            recorded(async {
                let client = client::hyper::client(clients().build_http::<String>());
                client.get(url.parse().unwrap()).await.unwrap_err();
            }),
            recorded(async {
                client::reqwest::Client::new().get(url).send().await.unwrap_err();
            }),
            recorded(async {
                let client = client::reqwest::Client::new().into_inner();
                let client = reqwest_middleware::ClientBuilder::new(client).with(client::reqwest::middleware()).build();
                client.get(url).send().await.unwrap_err();
            }),
            recorded(async {
                drop(server::tower::layer().layer(service_fn(hello)).oneshot(request("/")).await.unwrap());
            }),
            recorded(async {
                let layer = server::tower::client_layer();
                drop(layer.layer(service_fn(hello)).oneshot(request(url)).await.unwrap());
            }),
        ];
        let of = [("axum", "server"), ("hyper", "server"), ("hyper", "client"), ("reqwest", "client")];
        let of = of.into_iter().chain([("reqwest", "client"), ("tower", "server"), ("tower", "client")]);
        let variable = |integration: &str| format!("OTEL_RUST_INSTRUMENTATION_{}_ENABLED", integration.to_uppercase());
        let is_off = |integration: &str| Env::process().string(&variable(integration)).as_deref() == Some("false");
        let expected = of.map(|(integration, side)| {
            (!is_off(integration)).then(|| format!("telemark-{integration} http.{side}.request.duration"))
        });
        assert_eq!(trials.to_vec(), expected.collect::<Vec<_>>());

        // A process cannot change its own environment safely, so others run this test with each variable.
        if INTEGRATIONS.into_iter().any(is_off) {
            return;
        }
        for integration in INTEGRATIONS {
            let mut test = Command::new(std::env::current_exe().unwrap());
            test.env(variable(integration), "false")
                .arg("--exact")
                .arg("enabled::tests::every_layer_and_client_records_unless_its_own_variable_disables_it");
            let output = test.output().unwrap();
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && shown.contains("1 passed"), "{integration}: {shown}");
        }
    }
}
