//! The middleware below one that retries.
#![cfg(feature = "middleware")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod server;
#[path = "../../tower/tests/support/mod.rs"]
mod support;

use reqwest_middleware::{ClientBuilder, Middleware, Next};
use server::{Server, refusing};
use support::Spans;
use telemark_http::UrlTemplate;
use telemark_reqwest::{ClientConfig, ClientMetrics, HttpClientInstrumentation, Instrumented, Request, Response};

on_every_provider!(
    each_attempt_is_a_span_with_its_count,
    a_middleware_below_another_counts_no_attempts,
    errors,
    a_middleware_below_that_fails,
);

/// Sends a request three times, whatever the responses.
struct Thrice;

#[async_trait::async_trait]
impl Middleware for Thrice {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        for _ in 0..2 {
            let _ = next.clone().run(request.try_clone().unwrap(), extensions).await;
        }
        next.run(request, extensions).await
    }
}

/// Fails without sending anything.
struct Failing;

#[async_trait::async_trait]
impl Middleware for Failing {
    async fn handle(
        &self,
        _request: Request,
        _extensions: &mut http::Extensions,
        _next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        Err(reqwest_middleware::Error::middleware(std::io::Error::other("on purpose")))
    }
}

fn middleware<S: Spans>(spans: &S) -> Instrumented {
    let instrumentation = HttpClientInstrumentation::new(ClientConfig::new(), spans.tracer());
    Instrumented::with_instrumentation(instrumentation.with_metrics(ClientMetrics::new(&spans.meter())))
}

async fn each_attempt_is_a_span_with_its_count<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let client = ClientBuilder::new(reqwest::Client::new()).with(Thrice).with(middleware(&spans)).build();
    for _ in 0..2 {
        let request = client.get(server.url("/status/503"));
        request.with_extension(UrlTemplate("/status/{code}".into())).send().await.unwrap();
    }
    let finished = spans.finished();
    let counts: Vec<_> = finished.iter().map(|span| span.only(&["http.request.resend_count"])).collect();
    let error = "GET /status/{code} Error { description: \"\" }";
    let once = [
        error.to_owned(),
        format!("{error} http.request.resend_count=1"),
        format!("{error} http.request.resend_count=2"),
    ];
    assert_eq!(counts, [once.clone(), once].concat());
    let parents: Vec<_> = finished.iter().map(|span| &*span.parent).collect();
    assert_eq!(parents, ["0000000000000000"; 6], "attempts are siblings");
    for (span, request) in finished.iter().zip(server.received()) {
        assert!(
            request.header("traceparent").contains(&span.context.span_id().to_string()),
            "each sends its own context"
        );
    }
    assert!(spans.metrics().contains("count=6"));
}

async fn errors<S: Spans>() {
    let spans = S::new();
    let client = ClientBuilder::new(reqwest::Client::new()).with(middleware(&spans)).build();
    client.get(format!("http://{}/", refusing())).send().await.unwrap_err();
    let expected = "GET Error { description: \"Connection refused (os error 111)\" } error.type=\"connection_refused\"";
    assert_eq!(spans.finished()[0].end(), expected);
}

async fn a_middleware_below_that_fails<S: Spans>() {
    let spans = S::new();
    let client = ClientBuilder::new(reqwest::Client::new()).with(middleware(&spans)).with(Failing).build();
    client.get("http://h/").send().await.unwrap_err();
    assert_eq!(spans.finished()[0].end(), "GET Error { description: \"on purpose\" } error.type=\"middleware\"");
}

async fn a_middleware_below_another_counts_no_attempts<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let client = ClientBuilder::new(reqwest::Client::new()).with(Thrice).with(middleware(&spans));
    client.with(middleware(&spans)).build().get(server.url("/")).send().await.unwrap();
    let counts: Vec<_> = spans.finished().iter().map(|span| span.only(&["http.request.resend_count"])).collect();
    assert_eq!(counts, ["GET Unset", "GET Unset http.request.resend_count=1", "GET Unset http.request.resend_count=2"]);
}
