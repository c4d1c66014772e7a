//! Conformance: checks each attribute of every span and metric, including its type and requirement level, against the tables
//! of the gRPC conventions. The only additional attributes are two under `telemark.*`.
//!
//! The tables are in semantic conventions 1.45.0, rpc/grpc.md, rpc/rpc-spans.md and rpc/rpc-metrics.md.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tower/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use opentelemetry::trace::SpanContext;
use support::tables::Level::{self, Conditional, OptIn, Ours, Recommended, Required};
use support::tables::Type::{self, Int, Text, Texts};
use support::tables::{Metric, Point, Row, check_conformance, check_coverage, ports_alone, violations_of_attributes};
use support::{SamplerLog, Seen, Spans};
use telemark_tonic::{BoxError, GrpcClientLayer, GrpcConfig, GrpcServerLayer, PeerAddr};
use tonic::{Code, Status};
use tower::{Layer, Service, service_fn};

on_every_provider!(
    spans_and_metrics_say_what_the_conventions_want,
    samplers_see_what_the_conventions_want,
    the_metric_is_the_duration_of_the_span,
    replaced_settings_keep_the_clock,
    an_error_recorder_that_panics_does_not_move_the_end,
    a_name_that_is_cut_is_listed,
);

/// The attributes of a span, with the level on a client and on a server.
const SPAN: &[(&str, Type, Level, Level)] = &[
    ("rpc.system.name", Text, Required, Required),
    ("rpc.method", Text, Required, Conditional),
    ("rpc.status_code", Text, Required, Required),
    ("server.address", Text, Required, Recommended),
    ("server.port", Int, Conditional, Conditional),
    ("error.type", Text, Conditional, Conditional),
    ("rpc.method_original", Text, Conditional, Conditional),
    ("network.peer.address", Text, Recommended, Recommended),
    ("network.peer.port", Int, Recommended, Recommended),
    ("rpc.request.header.", Texts, OptIn, OptIn),
    ("rpc.response.header.", Texts, OptIn, OptIn),
    ("rpc.response.trailer.", Texts, OptIn, OptIn),
    ("telemark.outcome", Text, Ours, Ours),
    ("telemark.truncated", Texts, Ours, Ours),
];

/// The attributes of a point, with the level on a client and on a server.
const POINT: &[(&str, Level, Level)] = &[
    ("rpc.system.name", Required, Required),
    ("rpc.method", Conditional, Conditional),
    ("rpc.status_code", Conditional, Conditional),
    ("error.type", Conditional, Conditional),
    ("server.address", Conditional, OptIn),
    ("server.port", Conditional, OptIn),
];

const METRICS: &[Metric] =
    &[("rpc.client.call.duration[s]", "histogram", true), ("rpc.server.call.duration[s]", "histogram", true)];

const BUCKETS: &str = "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10";

const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The codes that are errors on a server.
const OF_SERVER: [&str; 6] = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

/// The call behind a span.
#[derive(Clone, Debug)]
struct Known {
    is_client: bool,
    /// The method, and false if it does not exist.
    method: (&'static str, bool),
    code: &'static str,
    has_panicked: bool,
    /// The opt-in attributes enabled in the settings.
    asked: &'static [&'static str],
}

/// Lists the ways in which a span violates the conventions.
fn violations(span: &Seen, known: &Known) -> Vec<String> {
    let row = |(name, kind, client, server): &(&'static str, Type, Level, Level)| -> Row {
        (*name, *kind, if known.is_client { *client } else { *server })
    };
    let table: Vec<Row> = SPAN.iter().map(row).collect();
    let mut wrong = violations_of_attributes(&span.attributes, &table, |name| known.asked.contains(&name));
    wrong.extend(ports_alone(&span.attributes));
    let mut check = |name: &str, expected: Option<&str>| {
        let (value, expected) = (span.attributes.get(name), expected.map(|text| format!("{text:?}")));
        if value != expected.as_ref() {
            wrong.push(format!("{name}: {value:?} instead of {expected:?}"));
        }
    };
    let (method, exists) = known.method;
    check("rpc.system.name", Some("grpc"));
    check("rpc.method", Some(if exists { method } else { "_OTHER" }));
    check("rpc.method_original", (!exists).then_some(method));
    check("rpc.status_code", Some(known.code));
    let is_error = known.has_panicked || OF_SERVER.contains(&known.code) || (known.is_client && known.code != "OK");
    let error = if known.has_panicked { "panic" } else { known.code };
    check("error.type", is_error.then_some(error));
    let is_right_status = if is_error { span.status.starts_with("Error") } else { span.status == "Unset" };
    // spec: the description is the message, not the code
    if !is_right_status || span.status.contains(known.code) {
        wrong.push(format!("{}: an error if and only if the code is one, without the code", span.status));
    }
    let kind = if known.is_client { "Client" } else { "Server" };
    let name = if exists { method } else { "grpc" };
    if (&*span.name, &*span.kind) != (name, kind) {
        wrong.push(format!("{} {}: {name} is the name", span.name, span.kind));
    }
    wrong
}

/// Lists the ways in which a point, given as a line of text, violates the conventions. `asked` is true if opt-in attributes are
/// enabled.
fn violations_of_point(line: &str, asked: bool) -> Vec<String> {
    let point = Point::read(line);
    let (name, is_client) = (point.name, point.name.starts_with("rpc.client."));
    let level =
        |(key, client, server): &(&'static str, Level, Level)| (*key, if is_client { *client } else { *server });
    let table: Vec<_> = POINT.iter().map(level).collect();
    let mut wrong = point.violations_of_metric(METRICS, asked);
    wrong.extend(point.violations_of_attributes(&table, asked));
    let buckets = point.values.split(' ').filter_map(|part| part.strip_prefix("<=")?.split(':').next());
    for bucket in buckets.filter(|bucket| *bucket != "inf") {
        if !BUCKETS.split(' ').any(|known| known == bucket) {
            wrong.push(format!("{name}: bucket {bucket}"));
        }
    }
    let value = |key: &str| point.attribute(key);
    for key in ["rpc.system.name", "rpc.method", "rpc.status_code"] {
        if value(key).is_none() {
            wrong.push(format!("{name} {key}: always available"));
        }
    }
    if is_client && value("server.address").is_none() {
        wrong.push(format!("{name} server.address: always available"));
    }
    let code = value("rpc.status_code").unwrap_or_default();
    let is_error = OF_SERVER.contains(&code) || (is_client && code != "OK");
    if value("error.type").is_some() != is_error {
        wrong.push(format!("{name} error.type: if and only if it failed"));
    }
    wrong
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    /// A status in the trailers, after messages.
    Trailers(i32),
    /// A status in the headers.
    TrailersOnly(i32),
    /// An HTTP status without a gRPC status.
    Missing(u16),
    BodyFails,
    BodyDropped,
    Fails,
    Panics,
    Dropped,
    TooLate,
}

type Body = UnsyncBoxBody<Bytes, Status>;

fn headers(code: i32) -> HeaderMap {
    let code = code.to_string().parse().unwrap();
    HeaderMap::from_iter([
        ("grpc-status".parse().unwrap(), code),
        ("grpc-message".parse().unwrap(), "the%20reason".parse().unwrap()),
        ("x-last".parse().unwrap(), "z".parse().unwrap()),
    ])
}

/// Answers one call with the given end.
async fn answer(ending: Ending) -> Result<Response<Body>, BoxError> {
    let data = || Ok(Frame::data(Bytes::from_static(b"message")));
    let frames: Vec<Result<Frame<Bytes>, Status>> = match ending {
        Ending::Trailers(code) => vec![data(), Ok(Frame::trailers(headers(code)))],
        Ending::BodyFails => vec![data(), Err(Status::data_loss("the reason"))],
        Ending::Missing(_) | Ending::BodyDropped => vec![data()],
        Ending::TrailersOnly(_) => vec![],
        Ending::Fails => return Err(Box::new(Status::unavailable("the reason"))),
        Ending::Panics => resume_unwind(Box::new("on purpose")),
        Ending::Dropped | Ending::TooLate => std::future::pending().await,
    };
    let body: Body = StreamBody::new(stream::iter(frames)).boxed_unsync();
    let mut response = Response::new(body);
    // From a channel that knows its connection.
    response.extensions_mut().insert(PeerAddr(SocketAddr::from(([198, 51, 100, 9], 50051))));
    response.headers_mut().insert("x-reply", "b".parse().unwrap());
    match ending {
        Ending::TrailersOnly(code) => *response.headers_mut() = headers(code),
        Ending::Missing(status) => *response.status_mut() = status.try_into().unwrap(),
        _ => {}
    }
    Ok(response)
}

async fn exchange<S>(mut service: S, request: Request<()>, ending: Ending)
where
    S: Service<Request<()>, Response: Drains>,
{
    let mut future = Box::pin(AssertUnwindSafe(service.call(request)).catch_unwind());
    let Some(Ok(Ok(response))) = future.as_mut().now_or_never() else { return };
    if !matches!(ending, Ending::BodyDropped) {
        response.drain().await;
    }
}

/// A response of any body.
trait Drains {
    async fn drain(self);
}

impl<B: http_body::Body> Drains for Response<B> {
    async fn drain(self) {
        let _ = self.into_body().collect().await;
    }
}

fn request(method: &str, timeout: &str) -> Request<()> {
    Request::post(format!("http://shop.example:8443/{method}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", timeout)
        .header("x-ask", "a")
        .extension(PeerAddr(SocketAddr::from(([192, 0, 2, 7], 5151))))
        .body(())
        .unwrap()
}

/// Every opt-in attribute that a layer can add.
const ASKED: &[&str] = &["rpc.request.header.x-ask", "rpc.response.header.x-reply", "rpc.response.trailer.x-last"];

fn endings() -> Vec<(Ending, &'static str)> {
    let mut endings: Vec<_> = (0..17).map(|code| (Ending::Trailers(code), CODES[code as usize])).collect();
    endings.extend((0..17).map(|code| (Ending::TrailersOnly(code), CODES[code as usize])));
    endings.extend([
        (Ending::Trailers(99), "UNKNOWN"),
        (Ending::Missing(200), "UNKNOWN"),
        (Ending::Missing(401), "UNAUTHENTICATED"),
        (Ending::Missing(503), "UNAVAILABLE"),
        (Ending::BodyFails, "DATA_LOSS"),
        (Ending::BodyDropped, "CANCELLED"),
        (Ending::Fails, "UNAVAILABLE"),
        (Ending::Panics, "UNKNOWN"),
        (Ending::Dropped, "CANCELLED"),
        (Ending::TooLate, "DEADLINE_EXCEEDED"),
    ]);
    endings
}

async fn spans_and_metrics_say_what_the_conventions_want<S: Spans>() {
    let everything = GrpcConfig::new()
        .with_captured_request_headers(["x-ask"])
        .with_captured_response_headers(["x-reply"])
        .with_captured_response_trailers(["x-last"])
        .with_server_address_in_metrics();
    assert!(everything.problems().is_empty());
    for (config, asked) in [(GrpcConfig::new(), &[] as &[&str]), (everything, ASKED)] {
        let config = config.with_known_methods(["test.Semconv/Known"]);
        let spans = S::new();
        let server = GrpcServerLayer::new().with_config(config.clone());
        let server = server.with_tracer(spans.tracer()).with_meter(&spans.meter());
        let client = GrpcClientLayer::new("dns:///shop.example:443").with_config(config);
        let client = client.with_tracer(spans.tracer()).with_meter(&spans.meter());
        let mut known = Vec::new();
        for is_client in [false, true] {
            for name in ["test.Semconv/Known", "test.Semconv/Unknown"] {
                for (ending, code) in endings() {
                    let timeout = if matches!(ending, Ending::TooLate) { "1n" } else { "1H" };
                    let service = service_fn(move |_request: Request<()>| answer(ending));
                    match is_client {
                        true => exchange(client.layer(service), request(name, timeout), ending).await,
                        false => exchange(server.layer(service), request(name, timeout), ending).await,
                    }
                    let (exists, has_panicked) =
                        (is_client || name.ends_with("/Known"), matches!(ending, Ending::Panics));
                    known.push(Known { is_client, method: (name, exists), code, has_panicked, asked });
                }
            }
        }
        let of_point = |line: &str| violations_of_point(line, !asked.is_empty());
        let (finished, metrics) = check_conformance(&spans, &known, violations, of_point);
        // A client knows the peer of every call that had a response.
        let responds =
            |ending: &Ending| !matches!(ending, Ending::Fails | Ending::Panics | Ending::Dropped | Ending::TooLate);
        let responses = 2 * endings().iter().filter(|(ending, _)| responds(ending)).count();
        let peer = |span: &&Seen| span.only(&["network.peer.address", "network.peer.port"]);
        let of_clients = finished.iter().filter(|span| span.kind == "Client");
        let known_peers = of_clients
            .filter(|span| peer(span).ends_with(" network.peer.address=\"198.51.100.9\" network.peer.port=50051"));
        assert_eq!(known_peers.count(), responses);
        let rows = SPAN.iter().filter(|(name, _, level, _)| *level != OptIn && !name.ends_with("truncated"));
        check_coverage(&finished, asked.iter().copied().chain(rows.map(|(name, ..)| *name)));
        assert!(metrics.contains("rpc.client.call.duration") && metrics.contains("rpc.server.call.duration"));
    }
}

async fn samplers_see_what_the_conventions_want<S: Spans>() {
    let log = SamplerLog::default();
    let spans = S::watched(&log);
    let config = GrpcConfig::new().with_known_methods(["test.Semconv/Known"]);
    let server = GrpcServerLayer::new().with_config(config).with_tracer(spans.tracer());
    let client = GrpcClientLayer::new("shop.example:443").with_tracer(spans.tracer());
    let service = service_fn(|_request: Request<()>| answer(Ending::Trailers(0)));
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().unwrap();
    let mut below_unsampled = request("test.Semconv/Known", "1S");
    below_unsampled.headers_mut().insert("traceparent", unsampled);
    exchange(server.layer(service), below_unsampled, Ending::Trailers(0)).await;
    exchange(server.layer(service), request("test.Semconv/Other", "1S"), Ending::Trailers(0)).await;
    exchange(client.layer(service), request("test.Semconv/Sampled", "1S"), Ending::Trailers(0)).await;
    assert_eq!(
        log.text(),
        "test.Semconv/Known: rpc.method rpc.system.name server.address server.port\n\
         grpc: network.peer.address network.peer.port rpc.method rpc.method_original rpc.system.name server.address server.port\n\
         test.Semconv/Sampled: rpc.method rpc.system.name server.address server.port"
    );
    let peers = spans.finished().iter().filter(|span| span.attributes.contains_key("network.peer.port")).count();
    assert_eq!(peers, 3, "added afterwards");
}

async fn the_metric_is_the_duration_of_the_span<S: Spans>() {
    let spans = S::new();
    let config = GrpcConfig::new().with_clock(support::ticking());
    let client = GrpcClientLayer::new("shop.example:443").with_config(config);
    let client = client.with_tracer(spans.tracer()).with_meter(&spans.meter());
    let service = service_fn(|_request: Request<()>| answer(Ending::Trailers(0)));
    exchange(client.layer(service), request("test.Semconv/Timed", "1S"), Ending::Trailers(0)).await;
    assert_eq!(spans.finished()[0].duration, Duration::from_millis(250));
    assert_eq!(
        spans.metrics(),
        "rpc.client.call.duration[s]{rpc.method=test.Semconv/Timed,rpc.status_code=OK,rpc.system.name=grpc,\
         server.address=shop.example,server.port=443} histogram count=1 sum=0.25 min=0.25 max=0.25 <=0.25:1\n"
    );
}

async fn replaced_settings_keep_the_clock<S: Spans>() {
    let config = || GrpcConfig::new().with_clock(support::ticking());
    let service = || service_fn(|_request: Request<()>| answer(Ending::Trailers(0)));
    let request = || request("test.Semconv/Clock", "1S");
    let spans = S::new();
    let client = GrpcClientLayer::new("shop.example:443").with_config(config()).map_config(|_| GrpcConfig::new());
    let client = client.with_tracer(spans.tracer()).with_meter(&spans.meter());
    exchange(client.layer(service()), request(), Ending::Trailers(0)).await;
    let server = GrpcServerLayer::new().with_config(config()).map_config(|_| GrpcConfig::new());
    let server = server.with_tracer(spans.tracer()).with_meter(&spans.meter());
    exchange(server.layer(service()), request(), Ending::Trailers(0)).await;
    let durations: Vec<_> = spans.finished().iter().map(|span| span.duration).collect();
    assert_eq!(durations, [Duration::from_millis(250); 2]);
}

async fn an_error_recorder_that_panics_does_not_move_the_end<S: Spans>() {
    let spans = S::new();
    let config = GrpcConfig::new()
        .with_clock(support::ticking())
        .with_error_recorder(|_, _, _| resume_unwind(Box::new("on purpose")));
    let server = GrpcServerLayer::new().with_config(config).with_tracer(spans.tracer()).with_meter(&spans.meter());
    let service = service_fn(|_request: Request<()>| answer(Ending::Trailers(13)));
    exchange(server.layer(service), request("test.Semconv/Recorder", "1S"), Ending::Trailers(13)).await;
    assert_eq!(spans.finished()[0].duration, Duration::from_millis(250));
    assert_eq!(
        spans.finished()[0].only(&["rpc.status_code"]),
        "test.Semconv/Recorder Unset rpc.status_code=\"INTERNAL\""
    );
}

async fn a_name_that_is_cut_is_listed<S: Spans>() {
    let spans = S::new();
    let server = GrpcServerLayer::new().with_tracer(spans.tracer()).with_meter(&spans.meter());
    let service = service_fn(|_request: Request<()>| answer(Ending::Trailers(0)));
    let name = format!("test.Semconv/{}", "x".repeat(5000));
    exchange(server.layer(service), request(&name, "1S"), Ending::Trailers(0)).await;
    let expected = format!(
        "grpc Unset rpc.method=\"_OTHER\" rpc.method_original={:?} telemark.truncated=[\"rpc.method_original\"]",
        &name[..4096]
    );
    assert_eq!(spans.finished()[0].only(&["rpc.method", "rpc.method_original", "telemark.truncated"]), expected);
}

#[test]
fn the_codes_are_those_of_grpc() {
    for (number, name) in CODES.iter().enumerate() {
        let of_tonic = format!("{:?}", Code::from(number as i32)).to_uppercase();
        assert_eq!(of_tonic, name.replace('_', ""));
    }
}

#[test]
fn a_violation_is_seen() {
    let known = Known { is_client: false, method: ("a.B/C", true), code: "NOT_FOUND", has_panicked: false, asked: &[] };
    let right: BTreeMap<_, _> =
        [("rpc.system.name", "\"grpc\""), ("rpc.method", "\"a.B/C\""), ("rpc.status_code", "\"NOT_FOUND\"")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let span = Seen {
        name: "a.B/C".to_owned(),
        kind: "Server".to_owned(),
        status: "Unset".to_owned(),
        context: SpanContext::NONE,
        parent: String::new(),
        duration: Duration::ZERO,
        attributes: right,
        events: Vec::new(),
    };
    assert_eq!(violations(&span, &known), [""; 0]);
    for (name, value) in [
        ("rpc.grpc.status_code", "5"),
        ("rpc.response.status_code", "\"NOT_FOUND\""),
        ("rpc.status_code", "5"),
        ("rpc.service", "\"a.B\""),
        ("rpc.system", "\"grpc\""),
        ("telemark.other", "1"),
        ("server.port", "80"),
        ("error.type", "\"NOT_FOUND\""),
        ("rpc.method_original", "\"a.B/C\""),
        ("rpc.request.header.cookie", "[\"a\"]"),
        ("network.protocol.name", "\"http\""),
    ] {
        let mut span = span.clone();
        span.attributes.insert(name.to_owned(), value.to_owned());
        assert!(!violations(&span, &known).is_empty(), "{name}");
    }
    for name in span.attributes.keys() {
        let mut span = span.clone();
        span.attributes.remove(name);
        assert!(!violations(&span, &known).is_empty(), "without {name}");
    }
    let of_client = Known { is_client: true, ..known.clone() };
    assert!(!violations(&span, &of_client).is_empty(), "a client without an address and an error");
    let error = Seen { status: "Error { description: \"\" }".to_owned(), ..span.clone() };
    for wrong in [error, Seen { name: "grpc".to_owned(), ..span.clone() }, Seen { kind: "Client".to_owned(), ..span }] {
        assert!(!violations(&wrong, &known).is_empty());
    }

    let point = "rpc.server.call.duration[s]{rpc.method=a.B/C,rpc.status_code=OK,rpc.system.name=grpc} histogram count=1 <=0.005:1";
    assert_eq!(violations_of_point(point, false), [""; 0]);
    for (from, to) in [
        ("rpc.system.name", "rpc.system"),
        ("histogram", "sum"),
        ("[s]", "[ms]"),
        ("server.call", "client.call"),
        ("grpc}", "grpc,server.port=80}"),
        ("rpc.method=a.B/C,", ""),
        ("OK", "INTERNAL"),
        ("<=0.005", "<=0.001"),
        ("{rpc", "{error.type=OK,rpc"),
    ] {
        assert!(!violations_of_point(&point.replace(from, to), false).is_empty(), "{to}");
    }
}
