//! The service under hyper's server, with routes by templates.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tower/tests/support/mod.rs"]
mod support;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry::trace::TraceContextExt;
use support::{Spans, until};
use telemark_hyper::{HttpServerLayer, HttpService, ServerConfig};
use tokio::net::{TcpListener, TcpStream};

on_every_provider!(requests_have_spans, routes, clients_have_names);

/// Serves these requests on one connection, and returns their spans.
async fn serve<S: Spans>(spans: &S, config: ServerConfig, paths: &[&str]) -> Vec<support::Seen> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let layer = HttpServerLayer::new().with_config(config).with_tracer(spans.tracer()).with_meter(&spans.meter());
    let hello = service_fn(async |_request: Request<Incoming>| {
        assert!(opentelemetry::Context::current().span().span_context().is_valid());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
    });
    let service = HttpService::new(&layer, hello).with_peer(peer);
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    for path in paths {
        sender.ready().await.unwrap();
        let request = Request::get(*path).header("host", "shop.example").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    }
    until("the spans", || Some(spans.finished()).filter(|finished| finished.len() == paths.len())).await
}

async fn requests_have_spans<S: Spans>() {
    let spans = S::new();
    let finished = serve(&spans, ServerConfig::new(), &["/users/7"]).await;
    let span = &finished[0];
    assert_eq!((&*span.name, &*span.kind), ("GET", "Server"));
    assert_eq!(span.attributes["client.address"], "\"127.0.0.1\"");
    assert_eq!(span.attributes["http.response.status_code"], "200");
    assert!(spans.metrics().contains("http.server.request.duration[s]{http.request.method=GET"));
}

async fn routes<S: Spans>() {
    let paths = ["/users/7", "/users/7/orders/9", "/other/42", "/"];
    let spans = S::new();
    let templates =
        ServerConfig::new().with_route_templates(["/users/{id}", "/users/*/orders/*=/users/{id}/orders/{order}"]);
    let names: Vec<_> = serve(&spans, templates.clone(), &paths).await.into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["GET /users/{id}", "GET /users/{id}/orders/{order}", "GET", "GET"]);
    let metrics = spans.metrics();
    assert!(metrics.contains("http.route=/users/{id}/orders/{order}"), "{metrics}");

    let spans = S::new();
    let names: Vec<_> =
        serve(&spans, templates.with_guessed_routes(), &paths).await.into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["GET /users/{id}", "GET /users/{id}/orders/{order}", "GET /other/{id}", "GET /"]);
}

async fn clients_have_names<S: Spans>() {
    let front = Some("\"front\"");
    for (address, expected) in
        [("127.0.0.1", front), ("*", front), ("::ffff:127.0.0.1", front), ("10.0.0.7", None), ("[2001:db8::7]", None)]
    {
        let spans = S::new();
        let config = ServerConfig::new().with_client_service_name(address, "front");
        assert!(config.problems().is_empty());
        let finished = serve(&spans, config, &["/"]).await;
        assert_eq!(finished[0].attributes.get("client.service.name").map(String::as_str), expected, "{address}");
    }
    // The port and the path of a client cannot match, and its name is not looked up.
    for pattern in
        ["127.0.0.1:80", "*:80", ":80", "127.0.0.1/orders", "/orders", "*.0.0.1", "front.example", "[::1]:80", ""]
    {
        let config = ServerConfig::new().with_client_service_name(pattern, "front");
        let problems: Vec<_> = config.problems().iter().map(ToString::to_string).collect();
        let expected = format!(
            "with_client_service_name: ignored {pattern:?}, expected `address=name`, with an IP address or `*`"
        );
        assert_eq!(problems, [expected]);
    }
    assert_eq!(ServerConfig::new().with_client_service_name("127.0.0.1", "").problems().len(), 1);
}
