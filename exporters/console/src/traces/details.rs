//! The details of a span shown next to its name and duration: kind, status, attributes, events and links.

use opentelemetry::trace::{Link, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use telemark_sdk::trace::{SpanData, SpanEvent};

use crate::text::{Tone, clean, duration};
use crate::traces::tree::{Origin, Row};
use crate::values::text;

/// A piece of text that is never broken across lines.
pub(crate) type Piece = (Tone, String);

/// The maximum width of a value or description, in columns.
const MAX_VALUE: usize = 160;
const MAX_KEY: usize = 40;

/// Attributes omitted by default, because they locate code or repeat the name or other attributes.
const QUIET: &[&str] = &["code.", "thread.", "network.", "server.", "client.", "user_agent.", "url.scheme"];

/// Returns the pieces for a span, most important first.
pub(crate) fn span_pieces(row: &Row<'_>, shows_all: bool) -> Vec<Piece> {
    let span = row.span;
    let mut pieces = Vec::new();
    match &span.status {
        Status::Error { description } if description.is_empty() => pieces.push((Tone::Bad, "✗ error".to_owned())),
        Status::Error { description } => pieces.push((Tone::Bad, format!("✗ {}", clean(description, MAX_VALUE)))),
        Status::Ok => pieces.push((Tone::Good, "✓".to_owned())),
        Status::Unset => {}
    }
    let kind = match span.kind {
        SpanKind::Internal => None,
        SpanKind::Server => Some("server"),
        SpanKind::Client => Some("client"),
        SpanKind::Producer => Some("producer"),
        SpanKind::Consumer => Some("consumer"),
    };
    pieces.extend(kind.map(|kind| (Tone::Faint, kind.to_owned())));
    if !shows_all {
        pieces.extend(span.attributes().find_map(http_status));
    }
    let shown = span.attributes().filter(|attribute| shows_all || !is_quiet(attribute, span));
    pieces.extend(shown.map(attribute));
    pieces.extend(dropped(span.dropped_attributes, "attributes"));
    pieces.extend(dropped(span.events.dropped(), "events"));
    pieces.extend(dropped(span.links.dropped(), "links"));
    let parent = span.parent_span_id;
    match row.origin {
        Origin::Root | Origin::Child => {}
        Origin::Remote => pieces.push((Tone::Faint, format!("… remote parent {parent}"))),
        Origin::Missing => pieces.push((Tone::Faint, format!("… parent {parent} not seen"))),
        Origin::Cycle => pieces.push((Tone::Warn, format!("… parent {parent} forms a cycle"))),
    }
    pieces
}

/// Returns the pieces for an event, starting with its offset from the start of the span.
pub(crate) fn event_pieces(span: &SpanData, event: &SpanEvent, shows_all: bool) -> Vec<Piece> {
    let after = format!("· +{}", duration(event.time.since(span.start)));
    let mut pieces = vec![(Tone::Faint, after)];
    let value = |key: &str| event.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    let (kind, message) = (value("exception.type"), value("exception.message"));
    let is_exception = event.name == "exception" && (kind.is_some() || message.is_some());
    if is_exception {
        let parts: Vec<_> = [kind, message].into_iter().flatten().map(|part| part.value.as_str()).collect();
        pieces.push((Tone::Bad, clean(&parts.join(": "), MAX_VALUE)));
    } else {
        pieces.push((Tone::Plain, clean(&event.name, MAX_VALUE)));
    }
    let is_shown = |attribute: &&KeyValue| match attribute.key.as_str() {
        "exception.type" | "exception.message" => !is_exception,
        "exception.stacktrace" => shows_all,
        _ => true,
    };
    pieces.extend(event.attributes.iter().filter(is_shown).map(attribute));
    pieces.extend(dropped(event.dropped_attributes, "attributes"));
    pieces
}

/// Returns true if the event is the exception that the status already describes.
pub(crate) fn repeats_status(span: &SpanData, event: &SpanEvent) -> bool {
    let is_shown = |attribute: &KeyValue| match (attribute.key.as_str(), &span.status) {
        ("exception.message", Status::Error { description }) => attribute.value.as_str() == description.as_ref(),
        ("exception.type", _) => {
            let is_same = |own: &KeyValue| own.key.as_str() == "error.type" && own.value == attribute.value;
            span.own_attributes.iter().any(is_same)
        }
        _ => false,
    };
    event.name == "exception" && !event.attributes.is_empty() && event.attributes.iter().all(is_shown)
}

/// Returns the pieces for a link.
pub(crate) fn link_pieces(link: &Link) -> Vec<Piece> {
    let to = &link.span_context;
    let mut pieces = vec![(Tone::Faint, format!("↪ trace {} span {}", to.trace_id(), to.span_id()))];
    pieces.extend(link.attributes.iter().map(attribute));
    pieces.extend(dropped(link.dropped_attributes_count, "attributes"));
    pieces
}

fn attribute(attribute: &KeyValue) -> Piece {
    let tone = if attribute.key.as_str() == "error.type" { Tone::Bad } else { Tone::Plain };
    (tone, format!("{}={}", clean(attribute.key.as_str(), MAX_KEY), value(&attribute.value)))
}

/// Formats a value. Quotes strings whose end would otherwise be ambiguous.
fn value(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let text = clean(text.as_str(), MAX_VALUE);
            let is_plain = !text.is_empty() && !text.contains([' ', '"', '=']);
            if is_plain { text } else { format!("\"{}\"", text.replace('"', "\\\"")) }
        }
        other => clean(&text(other, MAX_VALUE), MAX_VALUE),
    }
}

fn dropped(number: u32, noun: &str) -> Option<Piece> {
    (number > 0).then(|| (Tone::Warn, format!("({number} {noun} dropped)")))
}

const HTTP_STATUS: &str = "http.response.status_code";

/// Returns the status code as a bare number.
fn http_status(attribute: &KeyValue) -> Option<Piece> {
    match attribute.value {
        Value::I64(status) if attribute.key.as_str() == HTTP_STATUS => {
            let tone = match status {
                ..400 => Tone::Good,
                400..500 => Tone::Warn,
                _ => Tone::Bad,
            };
            Some((tone, status.to_string()))
        }
        _ => None,
    }
}

fn is_quiet(attribute: &KeyValue, span: &SpanData) -> bool {
    let key = attribute.key.as_str();
    QUIET.iter().any(|quiet| key.starts_with(quiet))
        || http_status(attribute).is_some()
        // The name of an HTTP span usually contains these two attributes.
        || matches!(key, "http.request.method" | "http.route") && span.name.contains(&*attribute.value.as_str())
}
