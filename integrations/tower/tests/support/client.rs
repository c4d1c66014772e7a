//! The tables of the HTTP client conventions, and the violations of them by a span or a point.
//!
//! The tables are in semantic conventions 1.45.0, http/http-spans.md#http-client-span and http/http-metrics.md#http-client.
//! The only additional attributes are two under `telemark.*`.

use super::Seen;
use super::tables::Level::{self, Conditional, OptIn, Ours, Recommended, Required};
use super::tables::Type::{Int, Text, Texts};
use super::tables::{KNOWN_METHODS, Metric, Point, Row, ports_alone, violations_of_attributes};

const SPAN: &[Row] = &[
    ("http.request.method", Text, Required),
    ("server.address", Text, Required),
    ("server.port", Int, Required),
    ("url.full", Text, Required),
    ("error.type", Text, Conditional),
    ("http.request.method_original", Text, Conditional),
    ("http.response.status_code", Int, Conditional),
    ("network.protocol.name", Text, Conditional),
    ("http.request.resend_count", Int, Recommended),
    ("network.peer.address", Text, Recommended),
    ("network.peer.port", Int, Recommended),
    ("network.protocol.version", Text, Recommended),
    ("http.request.body.content", Text, OptIn),
    ("http.request.body.size", Int, OptIn),
    ("http.request.header.", Texts, OptIn),
    ("http.request.size", Int, OptIn),
    ("http.response.body.content", Text, OptIn),
    ("http.response.body.size", Int, OptIn),
    ("http.response.header.", Texts, OptIn),
    ("http.response.size", Int, OptIn),
    ("network.transport", Text, OptIn),
    ("server.service.name", Text, OptIn),
    ("server.service.namespace", Text, OptIn),
    ("url.scheme", Text, OptIn),
    ("url.template", Text, OptIn),
    ("user_agent.original", Text, OptIn),
    ("user_agent.synthetic.type", Text, OptIn),
    ("telemark.outcome", Text, Ours),
    ("telemark.truncated", Texts, Ours),
];

pub const METRICS: &[Metric] = &[
    ("http.client.request.duration[s]", "histogram", true),
    ("http.client.active_requests[{request}]", "up-down sum", false),
    ("http.client.request.body.size[By]", "histogram", false),
    ("http.client.response.body.size[By]", "histogram", false),
];

/// The attributes of the duration and of the sizes.
const POINT: &[(&str, Level)] = &[
    ("http.request.method", Required),
    ("server.address", Required),
    ("server.port", Required),
    ("error.type", Conditional),
    ("http.response.status_code", Conditional),
    ("network.protocol.name", Conditional),
    ("network.protocol.version", Recommended),
    ("url.scheme", OptIn),
    ("url.template", OptIn),
];

/// The attributes of `http.client.active_requests`.
const ACTIVE: &[(&str, Level)] = &[
    ("server.address", Required),
    ("server.port", Required),
    ("url.template", Conditional),
    ("http.request.method", Recommended),
    ("url.scheme", OptIn),
];

/// The request behind a span.
#[derive(Clone, Debug)]
pub struct Known {
    pub method: String,
    /// The expected value of `url.full`.
    pub url: String,
    pub template: Option<&'static str>,
    pub status: Option<u16>,
    /// There was no response, because of an error or a panic.
    pub has_failed: bool,
    pub resend_count: u32,
    /// The opt-in attributes enabled in the settings.
    pub asked: &'static [&'static str],
}

/// Lists the ways in which a span violates the conventions.
pub fn violations(span: &Seen, known: &Known) -> Vec<String> {
    // A template that the request names is not asked for in the settings; `check` compares it.
    let is_asked = |name: &str| known.asked.contains(&name) || name == "url.template";
    let mut wrong = violations_of_attributes(&span.attributes, SPAN, is_asked);
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
    check("url.full", Some(quoted(&known.url)));
    check("url.template", known.template.map(quoted));
    check("http.response.status_code", known.status.map(|status| status.to_string()));
    check("http.request.resend_count", (known.resend_count > 0).then(|| known.resend_count.to_string()));
    check("network.protocol.name", None);
    let is_error = known.has_failed || known.status >= Some(400);
    if span.attributes.contains_key("error.type") != is_error || span.status.starts_with("Error") != is_error {
        wrong.push(format!("error.type and {}: if and only if it failed", span.status));
    }
    if !is_error && span.status != "Unset" {
        wrong.push(format!("{}: left unset unless it failed", span.status));
    }
    let in_name = if is_known { method } else { "HTTP" };
    let name = known.template.map_or(in_name.to_owned(), |template| format!("{in_name} {template}"));
    if (&*span.name, &*span.kind) != (&name, "Client") {
        wrong.push(format!("{} {}: {name} is the name", span.name, span.kind));
    }
    wrong
}

/// Lists the ways in which a point, given as a line of text, violates the conventions. `asked` is true if opt-in metrics and
/// attributes are enabled.
pub fn violations_of_point(line: &str, asked: bool) -> Vec<String> {
    let point = Point::read(line);
    let table = if point.name.starts_with("http.client.active") { ACTIVE } else { POINT };
    let mut wrong = point.violations_of_metric(METRICS, asked);
    wrong.extend(point.violations_of_attributes(table, asked));
    wrong
}

/// Shows that each kind of violation is seen.
pub fn check_that_violations_are_seen() {
    let known = Known {
        method: "GET".to_owned(),
        url: "http://h/a".to_owned(),
        template: Some("/a"),
        status: Some(200),
        has_failed: false,
        resend_count: 1,
        asked: &[],
    };
    let right = [
        ("http.request.method", "\"GET\""),
        ("http.request.resend_count", "1"),
        ("server.address", "\"h\""),
        ("server.port", "80"),
        ("url.full", "\"http://h/a\""),
        ("url.template", "\"/a\""),
        ("http.response.status_code", "200"),
    ];
    let span = Seen {
        name: "GET /a".to_owned(),
        kind: "Client".to_owned(),
        status: "Unset".to_owned(),
        context: opentelemetry::trace::SpanContext::NONE,
        parent: String::new(),
        duration: std::time::Duration::ZERO,
        attributes: right.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        events: Vec::new(),
    };
    assert_eq!(violations(&span, &known), [""; 0]);
    for (name, value) in [
        ("url.scheme", "\"http\""),
        ("http.status_code", "200"),
        ("http.response.status_code", "\"200\""),
        ("telemark.other", "1"),
        ("network.peer.port", "80"),
        ("url.full", "\"http://u:p@h/a\""),
        ("error.type", "\"500\""),
        ("http.request.method_original", "\"GET\""),
        ("http.request.header.cookie", "[\"a\"]"),
        ("http.request.resend_count", "2"),
        ("network.protocol.name", "\"http\""),
        ("url.path", "\"/a\""),
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
    let failed = Known { status: None, has_failed: true, ..known.clone() };
    assert!(!violations(&span, &failed).is_empty());
    let wrong = [
        Seen { status: "Ok".to_owned(), ..span.clone() },
        Seen { name: "GET /a/7".to_owned(), ..span.clone() },
        Seen { kind: "Server".to_owned(), ..span },
    ];
    assert!(wrong.iter().all(|span| !violations(span, &known).is_empty()));

    let point =
        "http.client.request.duration[s]{http.request.method=GET,server.address=h,server.port=80} histogram count=1";
    assert_eq!(violations_of_point(point, false), [""; 0]);
    for (from, to) in [
        ("server.port", "url.path"),
        ("histogram", "sum"),
        ("[s]", "[ms]"),
        ("request.duration[s]", "request.body.size[By]"),
        ("=80}", "=80,url.scheme=http}"),
        ("=80}", "=80,url.template=/a}"),
        ("http.request.method=GET,", ""),
    ] {
        assert!(!violations_of_point(&point.replace(from, to), false).is_empty(), "{to}");
    }
    let active = "http.client.active_requests[{request}]{error.type=a,server.address=h,server.port=80} up-down sum 1";
    assert_eq!(violations_of_point(active, true).len(), 1);
}
