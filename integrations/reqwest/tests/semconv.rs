//! Conformance: checks each attribute of every span and metric, including its type and requirement level, against the tables
//! of the HTTP client conventions.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod server;
#[path = "../../tower/tests/support/mod.rs"]
mod support;

use server::{Server, refusing};
use support::Spans;
use support::client::{Known, METRICS, check_that_violations_are_seen, violations, violations_of_point};
use support::tables::{check_conformance, check_coverage};
use telemark_reqwest::{Client, ClientConfig, ClientMetrics, HttpClientInstrumentation};

on_every_provider!(spans_and_metrics_say_what_the_conventions_want);

/// Every opt-in attribute that a client can add.
const ASKED: &[&str] = &[
    "url.scheme",
    "user_agent.original",
    "http.request.body.size",
    "http.response.body.size",
    "http.request.header.x-ask",
    "http.response.header.x-reply",
    "server.service.name",
];

async fn spans_and_metrics_say_what_the_conventions_want<S: Spans>() {
    let everything = ClientConfig::new()
        .with_opt_in_attributes(&ASKED[..4])
        .with_captured_request_headers(["x-ask"])
        .with_captured_response_headers(["x-reply"])
        .with_server_service_name("127.0.0.1", "shop")
        .with_opt_in_metric_attributes(["url.scheme", "url.template"])
        .with_active_requests()
        .with_body_sizes();
    assert!(everything.problems().is_empty());
    let server = Server::start().await;
    let refusing = refusing();
    for (config, asked) in [(ClientConfig::new(), &[] as &[&str]), (everything, ASKED)] {
        let spans = S::new();
        let instrumentation = HttpClientInstrumentation::new(config, spans.tracer());
        let instrumentation = instrumentation.with_metrics(ClientMetrics::new(&spans.meter()));
        let client = Client::builder().with_instrumentation(instrumentation).build().unwrap();
        let mut known = Vec::new();
        for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "QUERY", "PURGE", "get"] {
            for template in [None, Some("/status/{code}")] {
                for status in [Some(200), Some(204), Some(301), Some(404), Some(500), None] {
                    let path = status.map_or("/".to_owned(), |status| format!("/status/{status}"));
                    let base = if status.is_some() { server.address } else { refusing };
                    let url = format!("http://{base}{path}?sig=secret&a={}", "x".repeat(40));
                    let method_of = http::Method::from_bytes(method.as_bytes()).unwrap();
                    let mut request = client.request(method_of, &url).header("x-ask", "a").header("user-agent", "test");
                    if let Some(template) = template {
                        request = request.with_url_template(template);
                    }
                    if let Ok(response) = request.body("1234567").send().await {
                        let _ = response.bytes().await;
                    }
                    known.push(Known {
                        method: method.to_owned(),
                        url: url.replace("secret", "REDACTED"),
                        template,
                        status,
                        has_failed: status.is_none(),
                        resend_count: 0,
                        asked,
                    });
                }
            }
        }
        let of_point = |line: &str| violations_of_point(line, !asked.is_empty());
        let (finished, metrics) = check_conformance(&spans, &known, violations, of_point);
        check_coverage(&finished, asked.iter().copied());
        let recorded = METRICS.iter().filter(|(name, ..)| metrics.contains(name)).count();
        assert_eq!(recorded, if asked.is_empty() { 1 } else { METRICS.len() });
    }
}

#[test]
fn a_violation_is_seen() {
    check_that_violations_are_seen();
}
