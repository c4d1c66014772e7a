//! A gRPC layer inside an HTTP layer: one server span for a call, and none of gRPC for other requests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tower/tests/support/mod.rs"]
mod support;
#[path = "support/echo.rs"]
mod support_echo;

use http::Request;
use support::{Spans, until};
use support_echo::{Echo, EchoClient};
use telemark_tonic::GrpcServerLayer;
use telemark_tower::HttpServerLayer;
use tonic::transport::{Channel, Server};
use tower::{Layer, ServiceExt};

on_every_provider!(a_call_has_one_server_span, other_requests_pass_through);

async fn a_call_has_one_server_span<S: Spans>() {
    let spans = S::new();
    let http = HttpServerLayer::new().with_tracer(spans.tracer()).with_meter(&spans.meter());
    let grpc = GrpcServerLayer::new().with_tracer(spans.tracer()).with_meter(&spans.meter());
    let server = running!(Server::builder().layer(http).layer(grpc).add_service(Echo));
    let mut client = EchoClient::new(Channel::from_shared(server.target()).unwrap().connect_lazy());
    client.unary("hello").await.unwrap();
    client.unary("fail 13 broken").await.unwrap_err();
    let finished = until("both spans", || Some(spans.finished()).filter(|spans| spans.len() >= 2)).await;
    let keys = ["rpc.system.name", "rpc.method", "rpc.status_code", "http.response.status_code", "error.type"];
    let shown: Vec<_> = finished.iter().map(|span| format!("{} {}", span.kind, span.only(&keys))).collect();
    assert_eq!(
        shown,
        [
            "Server test.Echo/Unary Unset rpc.system.name=\"grpc\" rpc.method=\"test.Echo/Unary\" rpc.status_code=\"OK\" \
             http.response.status_code=200",
            "Server test.Echo/Unary Error { description: \"broken\" } rpc.system.name=\"grpc\" rpc.method=\"test.Echo/Unary\" \
             rpc.status_code=\"INTERNAL\" http.response.status_code=200 error.type=\"INTERNAL\"",
        ]
    );
    let metrics = spans.metrics();
    assert!(metrics.contains("rpc.server.call.duration[s]{rpc.method=test.Echo/Unary,rpc.status_code=OK"), "{metrics}");
    assert!(metrics.contains("http.server.request.duration[s]{"), "{metrics}");
}

async fn other_requests_pass_through<S: Spans>() {
    let spans = S::new();
    let layer = GrpcServerLayer::new().with_tracer(spans.tracer()).with_meter(&spans.meter());
    let service = layer.layer(tower::service_fn(async |_request: Request<()>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Empty::<bytes::Bytes>::new()))
    }));
    for kind in ["application/json", "application/grpc-web+proto"] {
        let request = Request::post("/test.Echo/Unary").header("content-type", kind).body(()).unwrap();
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!((spans.finished().len(), spans.metrics()), (0, String::new()));
}
