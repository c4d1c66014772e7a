//! The client against real servers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../reqwest/tests/server/mod.rs"]
mod server;
#[path = "../../tower/tests/support/mod.rs"]
mod support;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use server::{Server, closing, refusing};
use support::{Spans, the_span};
use telemark_hyper::{Client, ClientConfig, ClientMetrics, HttpClientInstrumentation};

on_every_provider!(a_request, failures, cancelled);

type Hyper = Client<HttpConnector, Full<Bytes>>;

fn client<S: Spans>(spans: &S, config: ClientConfig) -> Hyper {
    let instrumentation = HttpClientInstrumentation::new(config, spans.tracer());
    let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
    Client::from(inner).with_instrumentation(instrumentation.with_metrics(ClientMetrics::new(&spans.meter())))
}

async fn a_request<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().with_body_sizes();
    let request = Request::post(server.url("/stream?sig=secret")).body(Full::from("12345")).unwrap();
    let response = client(&spans, config).request(request).await.unwrap();
    let span = the_span(&spans).await;
    let port = server.address.port();
    assert_eq!(
        span.to_string(),
        format!(
            "POST | Client | Unset\n\
             \x20 http.request.method = \"POST\"\n\
             \x20 http.response.status_code = 200\n\
             \x20 network.peer.address = \"127.0.0.1\"\n\
             \x20 network.peer.port = {port}\n\
             \x20 network.protocol.version = \"1.1\"\n\
             \x20 server.address = \"127.0.0.1\"\n\
             \x20 server.port = {port}\n\
             \x20 url.full = \"http://127.0.0.1:{port}/stream?sig=REDACTED\"\n"
        )
    );
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "abcdefghijkl");
    let metrics = spans.metrics();
    for expected in ["request.duration[s]", "request.body.size[By]", "response.body.size[By]"] {
        assert!(metrics.contains(expected), "{metrics}");
    }
    assert!(metrics.contains(" sum=12 ") && metrics.contains(" sum=5 "), "{metrics}");
    let header = server.received()[0].header("traceparent").to_owned();
    assert!(header.contains(&span.context.span_id().to_string()), "{header}");
}

async fn failures<S: Spans>() {
    for (address, expected) in [
        (refusing(), "\"Connection refused (os error 111)\" } error.type=\"connection_refused\""),
        (closing().await, "\"Connection reset by peer (os error 104)\" } error.type=\"connection_reset\""),
    ] {
        let spans = S::new();
        client(&spans, ClientConfig::new()).get(format!("http://{address}/").parse().unwrap()).await.unwrap_err();
        assert_eq!(the_span(&spans).await.end(), format!("GET Error {{ description: {expected}"));
    }
    // A URI without a host.
    let spans = S::new();
    client(&spans, ClientConfig::new()).get("/path".parse().unwrap()).await.unwrap_err();
    assert!(the_span(&spans).await.end().contains("error.type=\"request\""));
}

async fn cancelled<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let mut sending = Box::pin(client(&spans, ClientConfig::new()).get(server.url("/stall").parse().unwrap()));
    support::until("the request", || {
        let waker = std::task::Waker::noop();
        assert!(sending.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        (!server.received().is_empty()).then_some(())
    })
    .await;
    drop(sending);
    assert_eq!(the_span(&spans).await.end(), "GET Unset telemark.outcome=\"cancelled\"");
}
