//! Conformance: checks each attribute of every span and metric, including its type and requirement level, against the tables
//! of the HTTP server conventions. The only additional attributes are two under `telemark.*`.
//!
//! The tables are in semantic conventions 1.45.0, http/http-spans.md#http-server-span and http/http-metrics.md#http-server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, resume_unwind};

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use opentelemetry::trace::SpanContext;
use support::tables::Level::{self, Conditional, OptIn, Ours, Recommended, Required};
use support::tables::Type::{Int, Text, Texts};
use support::tables::{
    KNOWN_METHODS, Metric, Point, Row, check_conformance, check_coverage, ports_alone, violations_of_attributes,
};
use support::{Seen, Spans};
use telemark_tower::{DefaultPolicy, HttpServerLayer, LocalAddr, PeerAddr, Route, ServerConfig};
use tower::{Layer, Service, service_fn};

on_every_provider!(spans_and_metrics_say_what_the_conventions_want);

const SPAN: &[Row] = &[
    ("http.request.method", Text, Required),
    ("url.path", Text, Required),
    ("url.scheme", Text, Required),
    ("error.type", Text, Conditional),
    ("http.request.method_original", Text, Conditional),
    ("http.response.status_code", Int, Conditional),
    ("http.route", Text, Conditional),
    ("network.protocol.name", Text, Conditional),
    ("server.port", Int, Conditional),
    ("url.query", Text, Conditional),
    ("client.address", Text, Recommended),
    ("network.peer.address", Text, Recommended),
    ("network.peer.port", Int, Recommended),
    ("network.protocol.version", Text, Recommended),
    ("server.address", Text, Recommended),
    ("user_agent.original", Text, Recommended),
    ("client.port", Int, OptIn),
    ("http.request.body.size", Int, OptIn),
    ("http.request.header.", Texts, OptIn),
    ("http.request.size", Int, OptIn),
    ("http.response.body.size", Int, OptIn),
    ("http.response.header.", Texts, OptIn),
    ("http.response.size", Int, OptIn),
    ("network.local.address", Text, OptIn),
    ("network.local.port", Int, OptIn),
    ("network.transport", Text, OptIn),
    ("user_agent.synthetic.type", Text, OptIn),
    ("telemark.outcome", Text, Ours),
    ("telemark.truncated", Texts, Ours),
];

const METRICS: &[Metric] = &[
    ("http.server.request.duration[s]", "histogram", true),
    ("http.server.active_requests[{request}]", "up-down sum", false),
    ("http.server.request.body.size[By]", "histogram", false),
    ("http.server.response.body.size[By]", "histogram", false),
];

const POINT: &[(&str, Level)] = &[
    ("http.request.method", Required),
    ("url.scheme", Required),
    ("error.type", Conditional),
    ("http.response.status_code", Conditional),
    ("http.route", Conditional),
    ("network.protocol.name", Conditional),
    ("network.protocol.version", Recommended),
    ("server.address", OptIn),
    ("server.port", OptIn),
    ("user_agent.synthetic.type", OptIn),
];

/// The attributes of `http.server.active_requests`.
const ACTIVE: &[&str] = &["http.request.method", "url.scheme", "server.address", "server.port"];

/// The request behind a span.
#[derive(Clone, Debug)]
struct Known {
    method: String,
    route: Option<&'static str>,
    has_query: bool,
    status: Option<u16>,
    /// The service or its body failed or panicked, regardless of the status.
    has_failed: bool,
    /// The opt-in attributes enabled in the settings.
    asked: &'static [&'static str],
}

/// Lists the ways in which a span violates the conventions.
fn violations(span: &Seen, known: &Known) -> Vec<String> {
    let mut wrong = violations_of_attributes(&span.attributes, SPAN, |name| known.asked.contains(&name));
    wrong.extend(ports_alone(&span.attributes));
    let mut check = |name: &str, expected: Option<String>| {
        let value = span.attributes.get(name);
        if value != expected.as_ref() {
            wrong.push(format!("{name}: {value:?} instead of {expected:?}"));
        }
    };
    let quoted = |text: &str| format!("{text:?}");
    let is_known = KNOWN_METHODS.contains(&&*known.method);
    let method = if is_known { &*known.method } else { "_OTHER" };
    check("http.request.method", Some(quoted(method)));
    check("http.request.method_original", (!is_known).then(|| quoted(&known.method)));
    check("http.route", known.route.map(quoted));
    check("http.response.status_code", known.status.map(|status| status.to_string()));
    check("network.protocol.name", None);
    if span.attributes.contains_key("url.query") != known.has_query {
        wrong.push("url.query: if and only if there is one".to_owned());
    }
    let is_error = known.has_failed || known.status >= Some(500);
    if span.attributes.contains_key("error.type") != is_error || span.status.starts_with("Error") != is_error {
        wrong.push(format!("error.type and {}: if and only if it failed", span.status));
    }
    if !is_error && span.status != "Unset" {
        wrong.push(format!("{}: left unset unless it failed", span.status));
    }
    let in_name = if is_known { method } else { "HTTP" };
    let name = known.route.map_or(in_name.to_owned(), |route| format!("{in_name} {route}"));
    if (&*span.name, &*span.kind) != (&name, "Server") {
        wrong.push(format!("{} {}: {name} is the name", span.name, span.kind));
    }
    wrong
}

/// Lists the ways in which a point, given as a line of text, violates the conventions. `asked` is true if opt-in metrics are
/// enabled.
fn violations_of_point(line: &str, asked: bool) -> Vec<String> {
    let point = Point::read(line);
    let is_active = point.name.starts_with("http.server.active");
    let table: Vec<(&str, Level)> =
        POINT.iter().copied().filter(|(key, _)| !is_active || ACTIVE.contains(key)).collect();
    let mut wrong = point.violations_of_metric(METRICS, asked);
    wrong.extend(point.violations_of_attributes(&table, asked));
    wrong
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Whole(u16),
    BodyFails(u16),
    BodyDropped(u16),
    Fails,
    Panics,
    Dropped,
}

const ENDINGS: [Ending; 13] = [
    Ending::Whole(101),
    Ending::Whole(200),
    Ending::Whole(204),
    Ending::Whole(301),
    Ending::Whole(404),
    Ending::Whole(405),
    Ending::Whole(500),
    Ending::Whole(503),
    Ending::BodyFails(404),
    Ending::BodyDropped(200),
    Ending::Fails,
    Ending::Panics,
    Ending::Dropped,
];

#[derive(Debug)]
struct Failure;

type Body = UnsyncBoxBody<Bytes, Failure>;

/// Serves one request until the given end.
async fn exchange<S: Spans>(
    layer: &HttpServerLayer<DefaultPolicy, S::Tracer>,
    request: Request<()>,
    late: Option<&'static str>,
    ending: Ending,
) {
    let mut service = layer.layer(service_fn(move |_request: Request<()>| async move {
        let status = match ending {
            Ending::Whole(status) | Ending::BodyFails(status) | Ending::BodyDropped(status) => status,
            Ending::Fails => return Err(Failure),
            Ending::Panics => resume_unwind(Box::new("on purpose")),
            Ending::Dropped => std::future::pending().await,
        };
        let last = if matches!(ending, Ending::BodyFails(_)) { Err(Failure) } else { Ok(Bytes::from_static(b"b")) };
        let frames = [Ok(Bytes::from_static(b"a")), last].map(|data| data.map(Frame::data));
        let body: Body = StreamBody::new(stream::iter(frames)).boxed_unsync();
        let mut response = Response::builder().status(status).header("x-reply", "b").body(body).unwrap();
        response.extensions_mut().extend(
            late.map(|route| {
                let mut extensions = http::Extensions::new();
                extensions.insert(Route(route.into()));
                extensions
            })
            .unwrap_or_default(),
        );
        Ok(response)
    }));
    let mut future = Box::pin(AssertUnwindSafe(service.call(request)).catch_unwind());
    let Some(Ok(Ok(response))) = future.as_mut().now_or_never() else { return };
    if !matches!(ending, Ending::BodyDropped(_)) {
        let _ = response.into_body().collect().await;
    }
}

/// Every opt-in attribute that a layer can add.
const ASKED: &[&str] = &[
    "client.port",
    "network.local.address",
    "network.local.port",
    "http.request.body.size",
    "http.response.body.size",
    "http.request.header.x-ask",
    "http.response.header.x-reply",
];

fn request(method: &str, uri: &str, route: Option<&'static str>) -> Request<()> {
    let long = "x".repeat(5000);
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "shop.example:8080")
        .header("user-agent", if uri.contains('?') { &long } else { "curl/8.9.1" })
        .header("content-length", "7")
        .header("x-ask", "a")
        .header("forwarded", "for=\"192.0.2.60:4711\";proto=https;host=front.example");
    if uri != "/" {
        let peer = SocketAddr::from(([192, 0, 2, 7], 5151));
        request = request.extension(PeerAddr(peer)).extension(LocalAddr(peer));
    }
    if let Some(route) = route {
        request = request.extension(Route(route.into()));
    }
    request.body(()).unwrap()
}

async fn spans_and_metrics_say_what_the_conventions_want<S: Spans>() {
    let everything = ServerConfig::new()
        .with_opt_in_attributes(ASKED.iter().filter(|name| !name.contains("header")))
        .with_captured_request_headers(["x-ask"])
        .with_captured_response_headers(["x-reply"])
        .with_active_requests()
        .with_body_sizes()
        .with_server_address_in_metrics()
        .with_forwarded_headers();
    assert!(everything.problems().is_empty());
    for (config, asked) in [(ServerConfig::new(), &[] as &[&str]), (everything, ASKED)] {
        let spans = S::new();
        let layer = HttpServerLayer::new().with_config(config);
        let layer = layer.with_tracer(spans.tracer()).with_meter(&spans.meter());
        let mut known = Vec::new();
        let targets = [
            ("GET", "/"),
            ("HEAD", "/users/7"),
            ("POST", "https://user:password@shop.example:8443/users/7?sig=a"),
            ("CONNECT", "elsewhere.example:443"),
            ("OPTIONS", "*"),
            ("QUERY", "/users/7?"),
            ("PURGE", "/users/7?a=b"),
            ("get", "/"),
        ];
        for (method, uri) in targets {
            for (early, late) in [(None, None), (Some("/users/{id}"), Some("/other")), (None, Some("/late/{id}"))] {
                for ending in ENDINGS {
                    exchange::<S>(&layer, request(method, uri, early), late, ending).await;
                    let status = match ending {
                        Ending::Whole(status) | Ending::BodyFails(status) | Ending::BodyDropped(status) => Some(status),
                        _ => None,
                    };
                    // A body cannot fail without being polled.
                    let has_body = method != "HEAD";
                    let has_failed = match ending {
                        Ending::BodyFails(_) => has_body,
                        Ending::Fails | Ending::Panics => true,
                        _ => false,
                    };
                    known.push(Known {
                        method: method.to_owned(),
                        route: early.or(late.filter(|_| status.is_some())),
                        has_query: uri.split_once('?').is_some_and(|(_, query)| !query.is_empty()),
                        status,
                        has_failed,
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
    let known = Known {
        method: "GET".to_owned(),
        route: Some("/a"),
        has_query: false,
        status: Some(200),
        has_failed: false,
        asked: &[],
    };
    let right: BTreeMap<_, _> = [
        ("http.request.method", "\"GET\""),
        ("url.path", "\"/a\""),
        ("url.scheme", "\"http\""),
        ("http.route", "\"/a\""),
        ("http.response.status_code", "200"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let span = Seen {
        name: "GET /a".to_owned(),
        kind: "Server".to_owned(),
        status: "Unset".to_owned(),
        context: SpanContext::NONE,
        parent: String::new(),
        duration: std::time::Duration::ZERO,
        attributes: right,
        events: Vec::new(),
    };
    assert_eq!(violations(&span, &known), [""; 0]);
    for (name, value) in [
        ("client.port", "1"),
        ("http.status_code", "200"),
        ("http.response.status_code", "\"200\""),
        ("telemark.other", "1"),
        ("server.port", "80"),
        ("url.query", "\"a\""),
        ("error.type", "\"500\""),
        ("http.request.method_original", "\"GET\""),
        ("http.request.header.cookie", "[\"a\"]"),
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
    let wrong = [Seen { status: "Ok".to_owned(), ..span.clone() }, Seen { name: "GET /a/7".to_owned(), ..span }];
    assert!(wrong.iter().all(|span| !violations(span, &known).is_empty()));

    let point = "http.server.request.duration[s]{http.request.method=GET,url.scheme=http} histogram count=1";
    assert_eq!(violations_of_point(point, false), [""; 0]);
    for (from, to) in [
        ("url.scheme", "url.path"),
        ("histogram", "sum"),
        ("[s]", "[ms]"),
        ("duration[s]", "body.size[By]"),
        ("http}", "http,server.port=80}"),
        ("http.request.method=GET,", ""),
    ] {
        assert!(!violations_of_point(&point.replace(from, to), false).is_empty(), "{to}");
    }
    let active =
        "http.server.active_requests[{request}]{http.request.method=GET,http.route=/a,url.scheme=http} up-down sum 1";
    assert_eq!(violations_of_point(active, true).len(), 1);
}
