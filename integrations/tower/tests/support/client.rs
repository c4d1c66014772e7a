//! The tables of the HTTP client conventions, and the violations of them by a span or a point.
//!
//! The tables are in semantic conventions 1.45.0, http/http-spans.md#http-client-span and http/http-metrics.md#http-client.
//! The only additional attributes are two under `telemark.*`.

use super::Seen;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Text,
    Int,
    Texts,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Level {
    Required,
    /// Required under a condition that [`violations`] checks.
    Conditional,
    Recommended,
    OptIn,
    /// Not in the conventions.
    Ours,
}

use Level::{Conditional, OptIn, Ours, Recommended, Required};
use Type::{Int, Text, Texts};

const SPAN: &[(&str, Type, Level)] = &[
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

/// The name and unit, the instrument kind, and a flag that is true if the conventions require the metric by default.
pub const METRICS: &[(&str, &str, bool)] = &[
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

const KNOWN_METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

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
    let mut wrong = Vec::new();
    for (name, value) in &span.attributes {
        let row = SPAN.iter().find(|(known, ..)| name == known || (known.ends_with('.') && name.starts_with(known)));
        let Some((_, kind, level)) = row else {
            wrong.push(format!("{name}: in no table"));
            continue;
        };
        let is_right = match kind {
            Text => value.starts_with('"'),
            Int => value.parse::<i64>().is_ok(),
            Texts => value.starts_with('['),
        };
        if !is_right {
            wrong.push(format!("{name}: {value} is no {kind:?}"));
        }
        if *level == OptIn && !known.asked.contains(&&**name) && name != "url.template" {
            wrong.push(format!("{name}: not asked for"));
        }
    }
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
    for (name, level) in SPAN.iter().map(|(name, _, level)| (*name, *level)) {
        if level == Required && !span.attributes.contains_key(name) {
            wrong.push(format!("{name}: required"));
        }
    }
    if span.attributes.contains_key("network.peer.port") && !span.attributes.contains_key("network.peer.address") {
        wrong.push("network.peer.port: without network.peer.address".to_owned());
    }
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
    let mut wrong = Vec::new();
    let (name, rest) = line.split_at(line.find(']').unwrap() + 1);
    let (attributes, values) = rest[1..].rsplit_once("} ").unwrap();
    match METRICS.iter().find(|(known, ..)| *known == name) {
        None => wrong.push(format!("{name}: in no table")),
        Some((_, kind, is_default)) => {
            if !values.starts_with(kind) {
                wrong.push(format!("{name}: no {kind}"));
            }
            if !is_default && !asked {
                wrong.push(format!("{name}: not asked for"));
            }
        }
    }
    let keys: Vec<_> = attributes.split(',').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
    let table = if name.starts_with("http.client.active") { ACTIVE } else { POINT };
    for key in &keys {
        match table.iter().find(|(known, _)| known == key) {
            Some((_, OptIn)) if !asked => wrong.push(format!("{name} {key}: not asked for")),
            Some(_) => {}
            None => wrong.push(format!("{name} {key}: in no table")),
        }
    }
    let required = table.iter().filter(|(_, level)| *level == Required);
    wrong.extend(required.filter(|(key, _)| !keys.contains(key)).map(|(key, _)| format!("{name} {key}: required")));
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
