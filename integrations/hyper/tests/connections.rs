//! The phases of new connections and the numbers of open ones, against real servers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../reqwest/tests/server/mod.rs"]
mod server;
#[path = "../../tower/tests/support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Extensions, Method, Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::{HttpConnector, HttpInfo, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use server::{Server, refusing};
use support::{Seen, Spans, the_span, ticking, until};
use telemark_http::Target;
use telemark_hyper::{
    Client, ClientConfig, ClientMetrics, HttpClientInstrumentation, ObservedConnector, ObservedResolver,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

on_every_provider!(
    a_new_connection_has_phases,
    nothing_is_recorded_by_default,
    durations_add_up,
    a_name_that_is_not_resolved,
    a_server_that_refuses,
    tls_is_a_phase,
    a_handshake_that_is_given_up,
    a_phase_that_is_cut_off_ends_with_the_span,
    a_clock_that_panics_leaves_the_outcome,
    connections_are_idle_or_active,
    durations_of_connections,
    the_program_may_capture_the_connection,
    connectors_within_each_other_count_once,
    streams_of_one_connection_count_once,
    a_tunnel_over_http2_is_a_stream,
    a_tunnel_is_active_until_it_closes,
    connections_are_not_counted_by_default,
);

type Plain = ObservedConnector<HttpConnector<ObservedResolver<GaiResolver>>>;

fn instrumentation<S: Spans>(spans: &S, config: ClientConfig) -> HttpClientInstrumentation {
    HttpClientInstrumentation::new(config, spans.tracer()).with_metrics(ClientMetrics::new(&spans.meter()))
}

fn client<S: Spans>(spans: &S, config: ClientConfig) -> Client<Plain, Full<Bytes>> {
    let instrumentation = instrumentation(spans, config);
    let http = HttpConnector::new_with_resolver(ObservedResolver::new(GaiResolver::new()));
    let connector = ObservedConnector::new(http).with_instrumentation(instrumentation.clone());
    let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    Client::from(inner).with_instrumentation(instrumentation)
}

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

/// Returns the events without their durations, which must be there.
fn phases(span: &Seen) -> Vec<String> {
    let phase = |event: &String| {
        let (before, after) = event.split_once("telemark.phase.duration=").unwrap();
        let end = after.find([',', '}']).unwrap();
        assert!(after[..end].parse::<f64>().unwrap() >= 0.0, "{event}");
        format!("{before}{}", &after[end..]).replace(",}", "}").replace("{,", "{")
    };
    span.events.iter().map(phase).collect()
}

async fn a_new_connection_has_phases<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let client = client(&spans, ClientConfig::new().with_connection_phases());
    for _ in 0..2 {
        let response = client.get(uri(&server.other_url("/"))).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    client.get(uri(&server.url("/"))).await.unwrap();
    let found: Vec<_> = spans.finished().iter().map(phases).collect();
    // The second request uses the connection of the first, and an address has no name to resolve.
    assert_eq!(found, [vec!["telemark.dns{}", "telemark.connect{}"], vec![], vec!["telemark.connect{}"]]);
}

async fn nothing_is_recorded_by_default<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    client(&spans, ClientConfig::new()).get(uri(&server.other_url("/"))).await.unwrap();
    assert_eq!(the_span(&spans).await.events, [""; 0]);
}

async fn durations_add_up<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let config = ClientConfig::new().with_connection_phases().with_clock(ticking());
    client(&spans, config).get(uri(&server.other_url("/"))).await.unwrap();
    let span = the_span(&spans).await;
    // The clock is read at the start of the span and of each phase, at the end of each phase, and at the end of the span.
    assert_eq!(
        span.events,
        ["telemark.dns{telemark.phase.duration=0.25}", "telemark.connect{telemark.phase.duration=0.25}"]
    );
    assert_eq!(span.duration, Duration::from_millis(5 * 250));
}

#[derive(Clone)]
struct Unresolved;

impl Service<Name> for Unresolved {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _name: Name) -> Self::Future {
        std::future::ready(Err(std::io::Error::other("no such name")))
    }
}

async fn a_name_that_is_not_resolved<S: Spans>() {
    let spans = S::new();
    let http = HttpConnector::new_with_resolver(ObservedResolver::new(Unresolved));
    let connector = ObservedConnector::new(http);
    let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    let client = Client::<_, Full<Bytes>>::from(inner)
        .with_instrumentation(instrumentation(&spans, ClientConfig::new().with_connection_phases()));
    client.get(uri("http://shop.example/")).await.unwrap_err();
    // The failure belongs to one phase.
    assert_eq!(phases(&the_span(&spans).await), ["telemark.dns{error.type=dns}"]);
}

async fn a_server_that_refuses<S: Spans>() {
    let (spans, address) = (S::new(), refusing());
    let client = client(&spans, ClientConfig::new().with_connection_phases());
    client.get(uri(&format!("http://{address}/"))).await.unwrap_err();
    assert_eq!(phases(&the_span(&spans).await), ["telemark.connect{error.type=connection_refused}"]);
}

/// Responds to every request.
async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

/// A certificate for `localhost`, and its key.
fn identity() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

/// Starts a server with TLS, which responds to everything.
async fn tls_server(identity: (CertificateDer<'static>, PrivateKeyDer<'static>)) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![identity.0], identity.1).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let hello = service_fn(hello);
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), hello).await;
            });
        }
    });
    address
}

type Tls = ObservedConnector<HttpsConnector<Plain>>;

fn phases_of_connections() -> ClientConfig {
    ClientConfig::new().with_connection_phases()
}

/// Returns a client whose connectors count connections if `config` asks for it, the one within the other as well.
fn tls_client<S: Spans>(
    spans: &S,
    trusted: Option<CertificateDer<'static>>,
    config: ClientConfig,
) -> Client<Tls, Full<Bytes>> {
    let instrumentation = instrumentation(spans, config);
    let mut roots = RootCertStore::empty();
    trusted.into_iter().for_each(|trusted| roots.add(trusted).unwrap());
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let tls = tls.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    let mut http = HttpConnector::new_with_resolver(ObservedResolver::new(GaiResolver::new()));
    http.enforce_http(false);
    let within = ObservedConnector::new(http).with_instrumentation(instrumentation.clone());
    let connector = ObservedConnector::tls(HttpsConnector::from((within, tls)));
    let connector = connector.with_instrumentation(instrumentation.clone());
    let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    Client::from(inner).with_instrumentation(instrumentation)
}

async fn tls_is_a_phase<S: Spans>() {
    let identity = identity();
    let trusted = identity.0.clone();
    let address = tls_server(identity).await;
    let url = uri(&format!("https://localhost:{}/", address.port()));

    let spans = S::new();
    let client = tls_client(&spans, Some(trusted), phases_of_connections());
    client.get(url.clone()).await.unwrap();
    assert_eq!(phases(&the_span(&spans).await), ["telemark.dns{}", "telemark.connect{}", "telemark.tls{}"]);
    // The same connector without TLS.
    let plain = Server::start().await;
    client.get(uri(&plain.url("/"))).await.unwrap();
    assert_eq!(phases(&spans.finished()[1]), ["telemark.connect{}"]);

    let spans = S::new();
    tls_client(&spans, None, phases_of_connections()).get(url).await.unwrap_err();
    let expected = ["telemark.dns{}", "telemark.connect{}", "telemark.tls{error.type=tls}"];
    assert_eq!(phases(&the_span(&spans).await), expected);
}

/// Gives up a request during the handshake, after calling `before`, and returns its span.
async fn given_up<S: Spans>(config: ClientConfig, before: impl FnOnce()) -> Seen {
    // A server that reads and never responds.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (read, has_read) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 16]).await;
        let _ = read.send(());
        std::future::pending::<()>().await;
    });
    let spans = S::new();
    let mut sending = Box::pin(tls_client(&spans, None, config).get(uri(&format!("https://{address}/"))));
    let mut has_read = pin!(has_read);
    tokio::select! {
        biased;
        _ = &mut has_read => {}
        sent = &mut sending => panic!("{sent:?}"),
    }
    before();
    drop(sending);
    the_span(&spans).await
}

async fn a_handshake_that_is_given_up<S: Spans>() {
    let span = given_up::<S>(phases_of_connections(), || {}).await;
    assert_eq!(span.end(), "GET Unset telemark.outcome=\"cancelled\"");
    assert_eq!(phases(&span), ["telemark.connect{}", "telemark.tls{telemark.outcome=cancelled}"]);
}

async fn a_phase_that_is_cut_off_ends_with_the_span<S: Spans>() {
    let span = given_up::<S>(phases_of_connections().with_clock(ticking()), || {}).await;
    // The clock is read at the start of the span and of both phases, at the end of the first one, and once at the end.
    assert_eq!(
        span.events,
        [
            "telemark.connect{telemark.phase.duration=0.25}",
            "telemark.tls{telemark.outcome=cancelled,telemark.phase.duration=0.25}"
        ]
    );
    assert_eq!(span.duration, Duration::from_secs(1));
}

async fn a_clock_that_panics_leaves_the_outcome<S: Spans>() {
    for config in [ClientConfig::new(), ClientConfig::new().without_metrics()] {
        let panics = Arc::new(AtomicBool::new(false));
        let (time, is_broken) = (ticking(), Arc::clone(&panics));
        let clock = move || {
            if is_broken.load(Ordering::Relaxed) {
                resume_unwind(Box::new("on purpose"));
            }
            time()
        };
        let config = config.with_connection_phases().with_clock(clock);
        let span = given_up::<S>(config, || panics.store(true, Ordering::Relaxed)).await;
        assert_eq!(span.end(), "GET Unset telemark.outcome=\"cancelled\"");
        assert_eq!(phases(&span), ["telemark.connect{}"]);
    }
}

/// Returns the numbers of active and of idle connections to this address, as text.
fn open<S: Spans>(spans: &S, address: SocketAddr) -> String {
    open_to(spans, &address.ip().to_string(), address.port())
}

fn open_to<S: Spans>(spans: &S, host: &str, port: u16) -> String {
    let metrics = spans.metrics();
    let number = |state: &str| {
        let attributes = format!("http.connection.state={state},server.address={host},server.port={port}");
        let series = format!("http.client.open_connections[{{connection}}]{{{attributes}}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("up-down sum -");
        line.strip_prefix("up-down sum ").unwrap().to_owned()
    };
    format!("{} active, {} idle", number("active"), number("idle"))
}

async fn connections_are_idle_or_active<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let address = server.address;
    let client = client(&spans, ClientConfig::new().with_connection_metrics());
    let response = client.get(uri(&server.url("/stream"))).await.unwrap();
    assert_eq!(open(&spans, address), "1 active, 0 idle", "the body has not ended");
    response.into_body().collect().await.unwrap();
    assert_eq!(open(&spans, address), "0 active, 1 idle");

    // The next request uses the same connection, and a third one needs another.
    let mut stalled = Box::pin(client.get(uri(&server.url("/stall"))));
    let count = until("the connection", || {
        assert!(stalled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        Some(open(&spans, address)).filter(|open| open.starts_with('1'))
    });
    assert_eq!(count.await, "1 active, 0 idle");
    let response = client.get(uri(&server.url("/"))).await.unwrap();
    assert_eq!(open(&spans, address), "2 active, 0 idle");
    drop(response);
    // A request that is dropped closes its connection, and so does a body that is not read.
    drop(stalled);
    drop(client);
    until("the end", || (open(&spans, address) == "0 active, 0 idle").then_some(())).await;
    assert_eq!(durations(&spans).lines().count(), 1);
    assert!(durations(&spans).contains(" count=2 "), "{}", durations(&spans));
}

/// Returns the lines of `http.client.connection.duration`.
fn durations<S: Spans>(spans: &S) -> String {
    let metrics = spans.metrics();
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("http.client.connection.duration[s]"));
    lines.collect::<Vec<_>>().join("\n")
}

// spec: semconv http/http-metrics.md#metric-httpclientconnectionduration: attributes and bucket boundaries
async fn durations_of_connections<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let time = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&time);
    let config = ClientConfig::new().with_connection_metrics().with_opt_in_metric_attributes(["url.scheme"]);
    let config = config.with_clock(move || UNIX_EPOCH + Duration::from_millis(clock.load(Ordering::SeqCst)));
    let client = client(&spans, config.clone());
    // One connection is open for as long as each boundary, and one for longer than all of them.
    let boundaries =
        [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 300_001];
    for (index, boundary) in boundaries.into_iter().enumerate() {
        let response = client.get(uri(&server.url("/stall-in-body"))).await.unwrap();
        time.fetch_add(boundary, Ordering::SeqCst);
        drop(response);
        let count = format!(" count={} ", index + 1);
        until("the end of the connection", || durations(&spans).contains(&count).then_some(())).await;
    }
    let seen = durations(&spans);
    let attributes = format!("{{server.address=127.0.0.1,server.port={},url.scheme=http}}", server.address.port());
    let (before, buckets) = seen.split_once(" max=300.001 ").unwrap();
    assert!(before.starts_with(&format!("{attributes} histogram count=15 sum=")), "{before}");
    assert_eq!(
        buckets,
        "<=0.01:1 <=0.02:1 <=0.05:1 <=0.1:1 <=0.2:1 <=0.5:1 <=1:1 <=2:1 <=5:1 <=10:1 <=30:1 <=60:1 <=120:1 <=300:1 <=inf:1"
    );

    // The protocol is known if TLS has negotiated it.
    let spans = S::new();
    let instrumentation = instrumentation(&spans, config);
    let connection = instrumentation.open_connection(&Target::parse("https://shop.example/"), true).unwrap();
    time.fetch_add(250, Ordering::SeqCst);
    drop(connection);
    assert_eq!(
        durations(&spans),
        "{network.protocol.version=2,server.address=shop.example,server.port=443,url.scheme=https} \
         histogram count=1 sum=0.25 min=0.25 max=0.25 <=0.5:1"
    );
}

async fn the_program_may_capture_the_connection<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    let client = client(&spans, ClientConfig::new().with_connection_metrics());
    let mut request = Request::get(server.url("/stream")).body(Full::default()).unwrap();
    let captured = capture_connection(&mut request);
    let response = client.request(request).await.unwrap();
    let mut extensions = Extensions::new();
    captured.connection_metadata().as_ref().unwrap().get_extras(&mut extensions);
    assert_eq!(extensions.get::<HttpInfo>().map(HttpInfo::remote_addr), Some(server.address));
    assert_eq!(open(&spans, server.address), "1 active, 0 idle");
    response.into_body().collect().await.unwrap();
    assert_eq!(open(&spans, server.address), "0 active, 1 idle");
}

async fn connectors_within_each_other_count_once<S: Spans>() {
    let identity = identity();
    let trusted = identity.0.clone();
    let port = tls_server(identity).await.port();
    let url = uri(&format!("https://localhost:{port}/"));
    let config = ClientConfig::new().with_connection_metrics();

    let spans = S::new();
    let client = tls_client(&spans, Some(trusted), config.clone());
    let response = client.get(url.clone()).await.unwrap();
    assert_eq!(open_to(&spans, "localhost", port), "1 active, 0 idle");
    response.into_body().collect().await.unwrap();
    assert_eq!(open_to(&spans, "localhost", port), "0 active, 1 idle");
    drop(client);
    until("the end", || (open_to(&spans, "localhost", port) == "0 active, 0 idle").then_some(())).await;
    assert!(durations(&spans).contains(" count=1 "), "{}", durations(&spans));

    // A connection without a session is none.
    let spans = S::new();
    tls_client(&spans, None, config).get(url).await.unwrap_err();
    assert!(!spans.metrics().contains("connection"), "{}", spans.metrics());
}

/// Starts a server that speaks HTTP/2 on one connection, and responds to everything.
async fn http2_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let hello = service_fn(hello);
        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = http2.serve_connection(TokioIo::new(stream), hello).await;
    });
    address
}

fn http2_client<S: Spans>(spans: &S) -> Client<ObservedConnector<HttpConnector>, Full<Bytes>> {
    let instrumentation = instrumentation(spans, ClientConfig::new().with_connection_metrics());
    let connector = ObservedConnector::new(HttpConnector::new()).with_instrumentation(instrumentation.clone());
    let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).http2_only(true).build(connector);
    Client::from(inner).with_instrumentation(instrumentation)
}

async fn streams_of_one_connection_count_once<S: Spans>() {
    let (spans, address) = (S::new(), http2_server().await);
    let client = http2_client(&spans);
    let url = uri(&format!("http://{address}/"));
    let (one, other) = (client.get(url.clone()).await.unwrap(), client.get(url).await.unwrap());
    assert_eq!(one.version(), Version::HTTP_2);
    assert_eq!(open(&spans, address), "1 active, 0 idle");
    one.into_body().collect().await.unwrap();
    assert_eq!(open(&spans, address), "1 active, 0 idle");
    drop(other);
    assert_eq!(open(&spans, address), "0 active, 1 idle");
}

async fn a_tunnel_over_http2_is_a_stream<S: Spans>() {
    let (spans, address) = (S::new(), http2_server().await);
    let client = http2_client(&spans);
    let request = Request::connect(address.to_string()).body(Full::default()).unwrap();
    let tunnel = client.request(request).await.unwrap();
    assert_eq!((tunnel.status().as_u16(), tunnel.version()), (200, Version::HTTP_2));
    client.get(uri(&format!("http://{address}/"))).await.unwrap().into_body().collect().await.unwrap();
    drop(tunnel);
    assert_eq!(open(&spans, address), "0 active, 1 idle");
}

async fn a_tunnel_is_active_until_it_closes<S: Spans>() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let switch = service_fn(async |request: Request<Incoming>| {
                let response = match request.method() {
                    &Method::CONNECT => Response::builder(),
                    _ => Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo"),
                };
                Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
            });
            let http1 = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http1.serve_connection(TokioIo::new(stream), switch).with_upgrades());
        }
    });
    let upgrade = Request::get(format!("http://{address}/")).header("connection", "upgrade").header("upgrade", "echo");
    let connect = Request::connect(address.to_string());
    for (request, status) in [(upgrade, 101), (connect, 200)] {
        let spans = S::new();
        let client = client(&spans, ClientConfig::new().with_connection_metrics());
        let response = client.request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status);
        let upgraded = hyper::upgrade::on(response).await.unwrap();
        assert_eq!(open(&spans, address), "1 active, 0 idle");
        drop(upgraded);
        until("the end", || (open(&spans, address) == "0 active, 0 idle").then_some(())).await;
    }
}

async fn connections_are_not_counted_by_default<S: Spans>() {
    let (spans, server) = (S::new(), Server::start().await);
    client(&spans, ClientConfig::new()).get(uri(&server.url("/"))).await.unwrap();
    assert!(!spans.metrics().contains("connection"), "{}", spans.metrics());
}
