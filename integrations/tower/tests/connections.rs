//! The layer under a real hyper server, over TCP.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use support::{Spans, the_span, until};
use telemark_tower::{HttpServerLayer, PeerAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tower::{Layer, service_fn};

on_every_provider!(
    a_request,
    keeps_the_content_length,
    client_gone_before_the_response,
    client_gone_in_the_body,
    a_panic,
    an_upgrade,
    a_tunnel,
    http2_with_trailers,
    http2_reset_before_the_response,
    http2_reset_in_the_body,
    http2_with_a_body_that_fails,
);

type Body = UnsyncBoxBody<Bytes, BodyError>;

#[derive(Clone, Copy, PartialEq)]
enum Http {
    One,
    Two,
}

/// Serves one connection with a handler behind the layer, and returns the client's end of the connection.
async fn connect<S, F, R>(spans: &S, http: Http, handler: F) -> TcpStream
where
    S: Spans,
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let service = HttpServerLayer::new().with_tracer(spans.tracer()).with_meter(&spans.meter()).layer(service_fn(
        move |request| {
            let response = handler(request);
            async move { Ok::<_, Infallible>(response.await) }
        },
    ));
    let service = tower::ServiceBuilder::new().map_request(with_peer(peer)).service(service);
    let service = TowerToHyperService::new(service);
    let io = TokioIo::new(stream);
    tokio::spawn(async move {
        let _closed = match http {
            Http::One => hyper::server::conn::http1::Builder::new().serve_connection(io, service).with_upgrades().await,
            Http::Two => {
                hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
            }
        };
    });
    client
}

fn with_peer(peer: SocketAddr) -> impl Fn(Request<Incoming>) -> Request<Incoming> + Clone {
    move |mut request| {
        request.extensions_mut().insert(PeerAddr(peer));
        request
    }
}

fn whole(text: &'static str) -> Body {
    Full::from(text).map_err(|never| match never {}).boxed_unsync()
}

fn full(text: &'static str) -> Response<Body> {
    Response::new(whole(text))
}

async fn read(client: &mut TcpStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}

/// Returns how the only request ended, according to its span and the attributes of its duration.
async fn ended<S: Spans>(spans: &S) -> String {
    let end = the_span(spans).await.end();
    let metrics = spans.metrics();
    let [point] = &metrics.lines().collect::<Vec<_>>()[..] else { panic!("{metrics}") };
    let attributes = point.strip_prefix("http.server.request.duration[s]{").unwrap().split_once("} ").unwrap().0;
    format!("{end} | {attributes}")
}

/// A client that sends requests over HTTP/2.
async fn http2(client: TcpStream) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn a_request<S: Spans>() {
    let spans = S::new();
    let mut client = connect(&spans, Http::One, |_request| async { full("hello") }).await;
    let address = client.local_addr().unwrap();
    client.write_all(b"GET /a?b HTTP/1.1\r\nHost: localhost:81\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(read(&mut client).await.ends_with("\r\n\r\nhello"));
    let expected = format!(
        "\
GET | Server | Unset
  client.address = \"127.0.0.1\"
  http.request.method = \"GET\"
  http.response.status_code = 200
  network.peer.address = \"127.0.0.1\"
  network.peer.port = {port}
  network.protocol.version = \"1.1\"
  server.address = \"localhost\"
  server.port = 81
  url.path = \"/a\"
  url.query = \"b\"
  url.scheme = \"http\"
",
        port = address.port()
    );
    assert_eq!(the_span(&spans).await.to_string(), expected);
}

async fn keeps_the_content_length<S: Spans>() {
    let spans = S::new();
    let mut client = connect(&spans, Http::One, |request| async move {
        match request.uri().path() {
            "/full" => full("hello"),
            "/declared" => {
                let frames = stream::iter(["he", "llo"]).map_frames();
                Response::builder().header("content-length", 5).body(StreamBody::new(frames).boxed_unsync()).unwrap()
            }
            _ => Response::new(StreamBody::new(stream::iter(["he", "llo"]).map_frames()).boxed_unsync()),
        }
    })
    .await;
    let requests = "GET /full HTTP/1.1\r\nHost: x\r\n\r\nHEAD /full HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /declared HTTP/1.1\r\nHost: x\r\n\r\nGET /chunked HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.write_all(requests.as_bytes()).await.unwrap();
    let text = read(&mut client).await;
    assert_eq!(text.matches("content-length: 5\r\n").count(), 3, "{text}");
    assert_eq!(text.matches("transfer-encoding: chunked\r\n").count(), 1, "{text}");
    let finished = until("four spans", || Some(spans.finished()).filter(|spans| spans.len() == 4)).await;
    let ends: Vec<_> = finished.iter().map(support::Seen::end).collect();
    let get = "GET Unset http.response.status_code=200";
    assert_eq!(ends, [get, "HEAD Unset http.response.status_code=200", get, get]);
}

async fn client_gone_before_the_response<S: Spans>() {
    let spans = S::new();
    let started = Arc::new(Notify::new());
    let handler_started = Arc::clone(&started);
    let mut client = connect(&spans, Http::One, move |_request| {
        let started = Arc::clone(&handler_started);
        async move {
            started.notify_one();
            pending().await
        }
    })
    .await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    started.notified().await;
    assert!(spans.finished().is_empty());
    drop(client);
    assert_eq!(
        ended(&spans).await,
        "GET Unset telemark.outcome=\"cancelled\" | \
         http.request.method=GET,network.protocol.version=1.1,url.scheme=http"
    );
}

async fn client_gone_in_the_body<S: Spans>() {
    let spans = S::new();
    let mut client = connect(&spans, Http::One, |_request| async {
        let endless = futures_util::StreamExt::chain(stream::iter(["data: 1\n\n"]), stream::pending()).map_frames();
        let response = Response::builder().header("content-type", "text/event-stream");
        response.body(StreamBody::new(endless).boxed_unsync()).unwrap()
    })
    .await;
    client.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"data: 1\n\n\r\n") {
        seen.push(client.read_u8().await.unwrap());
    }
    assert!(spans.finished().is_empty());
    drop(client);
    assert_eq!(
        ended(&spans).await,
        "GET Unset http.response.status_code=200 telemark.outcome=\"cancelled\" | \
         http.request.method=GET,http.response.status_code=200,network.protocol.version=1.1,url.scheme=http"
    );
}

async fn a_panic<S: Spans>() {
    let spans = S::new();
    let mut client = connect(&spans, Http::One, |_request| async {
        tokio::task::yield_now().await;
        panic!("on purpose")
    })
    .await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut client).await, "", "hyper closes the connection of a task that panicked");
    assert_eq!(
        ended(&spans).await,
        "GET Error { description: \"the handler panicked\" } error.type=\"panic\" | \
         error.type=panic,http.request.method=GET,network.protocol.version=1.1,url.scheme=http"
    );
}

async fn an_upgrade<S: Spans>() {
    let spans = S::new();
    let mut client = connect(&spans, Http::One, |mut request| async move {
        tokio::spawn(async move {
            let mut io = TokioIo::new(hyper::upgrade::on(&mut request).await.unwrap());
            let mut line = [0; 5];
            io.read_exact(&mut line).await.unwrap();
            line.reverse();
            io.write_all(&line).await.unwrap();
        });
        let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        response.header("connection", "upgrade").header("upgrade", "echo").body(whole("")).unwrap()
    })
    .await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(
        ended(&spans).await,
        "GET Unset http.response.status_code=101 | \
         http.request.method=GET,http.response.status_code=101,network.protocol.version=1.1,url.scheme=http",
        "ends before the connection"
    );
    client.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut client).await, "olleh");
}

async fn http2_with_trailers<S: Spans>() {
    let spans = S::new();
    let client = connect(&spans, Http::Two, |_request| async {
        let frames: [Result<_, BodyError>; 2] = [
            Ok(Frame::data(Bytes::from_static(b"hello"))),
            Ok(Frame::trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]))),
        ];
        Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync())
    })
    .await;
    let mut sender = http2(client).await;
    let request = Request::get("https://shop.example:8443/call").body(Full::<Bytes>::default()).unwrap();
    let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    let keys = ["http.response.status_code", "network.protocol.version", "server.address", "server.port", "url.scheme"];
    assert_eq!(
        the_span(&spans).await.only(&keys),
        "GET Unset http.response.status_code=200 network.protocol.version=\"2\" server.address=\"shop.example\" \
         server.port=8443 url.scheme=\"https\""
    );
}

async fn a_tunnel<S: Spans>() {
    let spans = S::new();
    let mut client = connect(&spans, Http::One, |mut request| async move {
        tokio::spawn(async move {
            let mut io = TokioIo::new(hyper::upgrade::on(&mut request).await.unwrap());
            let mut line = [0; 5];
            io.read_exact(&mut line).await.unwrap();
            line.reverse();
            io.write_all(&line).await.unwrap();
        });
        Response::new(whole(""))
    })
    .await;
    client.write_all(b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: proxy.example\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    assert_eq!(
        ended(&spans).await,
        "CONNECT Unset http.response.status_code=200 | \
         http.request.method=CONNECT,http.response.status_code=200,network.protocol.version=1.1,url.scheme=http",
        "ends before the tunnel"
    );
    let addresses = ["server.address", "server.port", "url.path"];
    assert_eq!(
        the_span(&spans).await.only(&addresses),
        "CONNECT Unset server.address=\"proxy.example\" url.path=\"\"",
        "the target is the other side"
    );
    client.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut client).await, "olleh");
}

async fn http2_reset_before_the_response<S: Spans>() {
    let spans = S::new();
    let started = Arc::new(Notify::new());
    let handler_started = Arc::clone(&started);
    let client = connect(&spans, Http::Two, move |_request| {
        let started = Arc::clone(&handler_started);
        async move {
            started.notify_one();
            pending().await
        }
    })
    .await;
    let mut sender = http2(client).await;
    let response = tokio::spawn(sender.send_request(Request::get("http://x/").body(Full::default()).unwrap()));
    started.notified().await;
    assert!(spans.finished().is_empty());
    // Only the stream is reset, and the connection stays open.
    response.abort();
    assert_eq!(
        ended(&spans).await,
        "GET Unset telemark.outcome=\"cancelled\" | http.request.method=GET,network.protocol.version=2,url.scheme=http"
    );
    assert!(!sender.is_closed());
}

async fn http2_reset_in_the_body<S: Spans>() {
    let spans = S::new();
    let client = connect(&spans, Http::Two, |_request| async {
        let endless = futures_util::StreamExt::chain(stream::iter(["data: 1\n\n"]), stream::pending()).map_frames();
        Response::new(StreamBody::new(endless).boxed_unsync())
    })
    .await;
    let mut sender = http2(client).await;
    let request = Request::get("http://x/events").body(Full::default()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    assert!(spans.finished().is_empty());
    drop(body);
    assert_eq!(
        ended(&spans).await,
        "GET Unset http.response.status_code=200 telemark.outcome=\"cancelled\" | \
         http.request.method=GET,http.response.status_code=200,network.protocol.version=2,url.scheme=http"
    );
    assert!(!sender.is_closed());
}

#[derive(Debug)]
struct BodyError;

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("on purpose")
    }
}

impl std::error::Error for BodyError {}

async fn http2_with_a_body_that_fails<S: Spans>() {
    let spans = S::new();
    let client = connect(&spans, Http::Two, |_request| async {
        let frames = stream::iter([Ok(Frame::data(Bytes::from_static(b"a"))), Err(BodyError)]);
        Response::new(StreamBody::new(frames).boxed_unsync())
    })
    .await;
    let request = Request::get("http://x/").body(Full::default()).unwrap();
    let mut sender = http2(client).await;
    let received = async { sender.send_request(request).await?.into_body().collect().await };
    received.await.unwrap_err();
    assert_eq!(
        ended(&spans).await,
        "GET Error { description: \"\" } http.response.status_code=200 error.type=\"connections::BodyError\" | \
         error.type=connections::BodyError,http.request.method=GET,http.response.status_code=200,\
         network.protocol.version=2,url.scheme=http"
    );
}

/// Turns strings into the frames of a body.
trait MapFrames: futures_util::Stream<Item = &'static str> + Sized {
    fn map_frames(self) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, BodyError>> {
        futures_util::StreamExt::map(self, |text| Ok(Frame::data(Bytes::from_static(text.as_bytes()))))
    }
}

impl<I: futures_util::Stream<Item = &'static str>> MapFrames for I {}
