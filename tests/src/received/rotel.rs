//! The output of rotel with `--debug-log traces --debug-log-verbosity detailed`: indented text for human readers.
//!
//! rotel escapes nothing, so a value containing a line in rotel's own format is ambiguous. Flags and the counts of
//! dropped attributes, events and links are not part of the output.

pub(crate) use super::rotel_metrics::parse_points;
use super::span::{Attributes, Event, Link, Span, kind, scope, status};

/// Returns the spans in the whole output. Skips metrics, logs and messages.
pub(crate) fn parse(output: &str) -> Vec<Span> {
    let mut reader = Reader::default();
    for line in logical_lines(output) {
        reader.line(&line);
    }
    reader.spans
}

/// The prefixes of rotel's own lines. Any other line continues the value of the previous line.
const STARTS: &[&str] = &[
    "\u{1b}[",
    "ResourceSpans #",
    "ResourceMetrics #",
    "ResourceLog #",
    "Resource SchemaURL:",
    "Resource attributes:",
    "ScopeSpans #",
    "ScopeSpans SchemaURL:",
    "InstrumentationScope ",
    "Span #",
    TRACE,
    PARENT,
    ID,
    NAME,
    KIND,
    STATE,
    START,
    END,
    CODE,
    MESSAGE,
    "Attributes:",
    "Events:",
    "SpanEvent #",
    "Links:",
    "SpanLink #",
    ITEM,
    INNER,
];
const TRACE: &str = "    Trace ID       : ";
const PARENT: &str = "    Parent ID      : ";
const ID: &str = "    ID             : ";
const NAME: &str = "    Name           : ";
const KIND: &str = "    Kind           : ";
const STATE: &str = "    TraceState     : ";
const START: &str = "Start time: ";
const END: &str = "End time: ";
const CODE: &str = "    Status code    : ";
const MESSAGE: &str = "    Status message : ";
pub(super) const ITEM: &str = "     -> ";
pub(super) const INNER: &str = "          -> ";

/// Rejoins values that span several lines.
fn logical_lines(output: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in output.lines() {
        match lines.last_mut() {
            Some(last) if !STARTS.iter().any(|start| line.starts_with(start)) => {
                last.push('\n');
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// The owner of the attributes that follow.
#[derive(Default)]
enum Place {
    #[default]
    Nowhere,
    Resource,
    Scope,
    Span,
    Event,
    Link,
}

#[derive(Default)]
struct Reader {
    place: Place,
    resource: Attributes,
    scope: String,
    scope_attributes: Attributes,
    spans: Vec<Span>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let starts = |start: &str| line.starts_with(start);
        if starts("\u{1b}[") || starts("ResourceMetrics #") || starts("ResourceLog #") {
            self.place = Place::Nowhere;
        } else if starts("ResourceSpans #") {
            *self = Reader { place: Place::Resource, spans: std::mem::take(&mut self.spans), ..Reader::default() };
        } else if matches!(self.place, Place::Nowhere) {
            // The line belongs to something other than a trace.
        } else if starts("ScopeSpans #") {
            self.place = Place::Scope;
            self.scope.clear();
            self.scope_attributes.clear();
        } else if starts("Span #") {
            self.place = Place::Span;
            self.spans.push(Span {
                status: status("", ""),
                resource: self.resource.clone(),
                scope: self.scope.clone(),
                scope_attributes: self.scope_attributes.clone(),
                ..Span::default()
            });
        } else if matches!(self.place, Place::Scope) && !starts("InstrumentationScope attributes:") && !starts(ITEM) {
            if let Some(name) = line.strip_prefix("InstrumentationScope ") {
                self.scope = scope(name, "");
            }
        } else if let Some(attribute) = line.strip_prefix(ITEM) {
            self.item(attribute);
        } else {
            self.field(line);
        }
    }

    /// Reads a span field, or an attribute of one of the span's events or links.
    fn field(&mut self, line: &str) {
        let Some(span) = self.spans.last_mut() else { return };
        if let Some(attribute) = line.strip_prefix(INNER) {
            let attributes = match self.place {
                Place::Event => span.events.last_mut().map(|event| &mut event.attributes),
                Place::Link => span.links.last_mut().map(|link| &mut link.attributes),
                _ => None,
            };
            if let Some(attributes) = attributes {
                attributes.extend(pair(attribute));
            }
        } else if line.starts_with("SpanEvent #") {
            self.place = Place::Event;
            span.events.push(Event::default());
        } else if line.starts_with("SpanLink #") {
            self.place = Place::Link;
            span.links.push(Link::default());
        } else if let Some(id) = line.strip_prefix(TRACE) {
            span.trace_id = id.to_owned();
        } else if let Some(id) = line.strip_prefix(PARENT) {
            span.parent_span_id = id.to_owned();
        } else if let Some(id) = line.strip_prefix(ID) {
            span.span_id = id.to_owned();
        } else if let Some(name) = line.strip_prefix(NAME) {
            span.name = name.to_owned();
        } else if let Some(name) = line.strip_prefix(KIND) {
            span.kind = kind(name);
        } else if let Some(state) = line.strip_prefix(STATE) {
            span.trace_state = state.to_owned();
        } else if let Some(time) = line.strip_prefix(START) {
            span.start = time.parse().unwrap_or_default();
        } else if let Some(time) = line.strip_prefix(END) {
            span.end = time.parse().unwrap_or_default();
        } else if let Some(code) = line.strip_prefix(CODE) {
            span.status = status(code, "");
        } else if let Some(message) = line.strip_prefix(MESSAGE) {
            span.status = status(&span.status, message);
        }
    }

    /// Reads a line with an arrow: an attribute, or a field of an event or a link.
    fn item(&mut self, item: &str) {
        let (field, rest) = item.split_once(": ").unwrap_or((item, ""));
        let span = self.spans.last_mut();
        match (&self.place, span) {
            (Place::Resource, _) => self.resource.extend(pair(item)),
            (Place::Scope, _) => self.scope_attributes.extend(pair(item)),
            (Place::Span, Some(span)) => span.attributes.extend(pair(item)),
            (Place::Event, Some(span)) => {
                if let Some(event) = span.events.last_mut() {
                    match field {
                        "Name" => event.name = rest.to_owned(),
                        "Timestamp" => event.time = rest.parse().unwrap_or_default(),
                        _ => {}
                    }
                }
            }
            (Place::Link, Some(span)) => {
                if let Some(link) = span.links.last_mut() {
                    match field {
                        "Trace ID" => link.trace_id = rest.to_owned(),
                        "ID" => link.span_id = rest.to_owned(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// Splits `key: Str(value)`. The key may contain colons: the separator is the first one that is followed by a type.
pub(super) fn pair(text: &str) -> Option<(String, String)> {
    let is_value = |at: &usize| TYPES.iter().any(|kind| text[at + 2..].starts_with(kind));
    let at = text.match_indices(": ").map(|(at, _)| at).find(is_value).or_else(|| text.find(": "))?;
    Some((text[..at].to_owned(), value(&text[at + 2..])))
}

const TYPES: &[&str] = &["Str(", "Int(", "Double(", "Bool(", "Slice(", "Map(", "Bytes("];

/// Formats a value in the common notation.
pub(super) fn value(text: &str) -> String {
    let Some((kind, rest)) = text.split_once('(') else { return text.to_owned() };
    let Some(inner) = rest.strip_suffix(')') else { return text.to_owned() };
    match kind {
        "Str" => format!("{inner:?}"),
        "Double" => inner.parse::<f64>().map_or_else(|_| inner.to_owned(), |number| format!("{number:?}")),
        "Bytes" => {
            let bytes = inner.trim_matches(['[', ']']).split(", ").filter_map(|byte| byte.parse::<u8>().ok());
            bytes.fold("0x".to_owned(), |hex, byte| hex + &format!("{byte:02x}"))
        }
        "Slice" => format!("[{}]", split(inner).into_iter().map(value).collect::<Vec<_>>().join(", ")),
        "Map" => {
            let pairs = split(inner).into_iter().map(|entry| match entry.split_once(':') {
                Some((key, entry)) => format!("{key:?}: {}", value(entry)),
                None => entry.to_owned(),
            });
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => inner.to_owned(),
    }
}

/// Splits a list at the commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0usize);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..at].trim_start());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text[start..].trim_start();
    parts.extend((!last.is_empty()).then_some(last));
    parts
}
