//! Received spans in the form that all receivers share, and as text to compare.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Attributes sorted by key, with values in the common notation.
pub(crate) type Attributes = BTreeMap<String, String>;

/// A span as decoded by a receiver. Ids are lowercase hex. Fields that the receiver does not show are empty or `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// The trace id.
    pub trace_id: String,
    /// The span id.
    pub span_id: String,
    /// The parent's span id; empty for a root span.
    pub parent_span_id: String,
    /// The value of the `tracestate` header.
    pub trace_state: String,
    /// The flags, if the receiver shows them; rotel does not.
    pub flags: Option<u64>,
    /// The name of the span.
    pub name: String,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: String,
    /// The start time, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// The end time, in nanoseconds since the Unix epoch.
    pub end: u64,
    /// `unset`, `ok`, `error` or `error: message`.
    pub status: String,
    /// The attributes of the span.
    pub attributes: Attributes,
    /// The events of the span.
    pub events: Vec<Event>,
    /// The links of the span.
    pub links: Vec<Link>,
    /// The name and version of the instrumentation scope.
    pub scope: String,
    /// The attributes of the scope.
    pub scope_attributes: Attributes,
    /// The attributes of the resource.
    pub resource: Attributes,
}

/// An event of a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// The name of the event.
    pub name: String,
    /// The time of the event, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// The attributes of the event.
    pub attributes: Attributes,
}

/// A link of a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// The linked trace.
    pub trace_id: String,
    /// The linked span.
    pub span_id: String,
    /// The attributes of the link.
    pub attributes: Attributes,
}

/// The spans that a receiver accepted from a single service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    /// The spans in the order of arrival.
    pub spans: Vec<Span>,
}

impl Received {
    /// Returns the first span with this name.
    pub fn span(&self, name: &str) -> Option<&Span> {
        self.spans.iter().find(|span| span.name == name)
    }

    /// Returns the spans as trees, with children ordered by start time. Leaves out ids, times and flags, so that the
    /// text is the same in every run and for every receiver.
    pub fn text(&self) -> String {
        let (mut text, mut shown) = (String::new(), 0);
        let mut roots: Vec<_> = self.spans.iter().filter(|span| self.parent(span).is_none()).collect();
        roots.sort_by_key(|span| (span.start, &span.name));
        for root in roots {
            if !root.resource.is_empty() {
                let _ = writeln!(text, "resource{}", pairs(&root.resource));
            }
            shown += self.tree(root, 0, &mut text);
        }
        if shown != self.spans.len() {
            let _ = writeln!(text, "{} spans, but {shown} in trees: ids come twice or in a circle", self.spans.len());
        }
        text
    }

    /// Appends the tree of the span to `text`. Returns the number of spans in it.
    fn tree(&self, span: &Span, depth: usize, text: &mut String) -> usize {
        let indent = "  ".repeat(depth);
        // Duplicate ids can form a cycle below a root.
        if depth > 64 {
            return 0;
        }
        let parent = match (self.parent(span), &*span.parent_span_id) {
            (None, parent) if !parent.is_empty() => " below an absent parent",
            _ => "",
        };
        let Span { name, kind, status, scope, .. } = span;
        let _ = writeln!(text, "{indent}{name:?} {kind} {status} in {scope}{parent}");
        if !span.scope_attributes.is_empty() {
            let _ = writeln!(text, "{indent}  scope{}", pairs(&span.scope_attributes));
        }
        if !span.trace_state.is_empty() {
            let _ = writeln!(text, "{indent}  state {}", span.trace_state);
        }
        for (key, value) in &span.attributes {
            let _ = writeln!(text, "{indent}  {key}={value}");
        }
        for event in &span.events {
            let _ = writeln!(text, "{indent}  event {:?}{}", event.name, pairs(&event.attributes));
        }
        for link in &span.links {
            let target = self.spans.iter().find(|s| s.span_id == link.span_id && s.trace_id == link.trace_id);
            let target = target.map_or("elsewhere".to_owned(), |span| format!("{:?}", span.name));
            let _ = writeln!(text, "{indent}  link to {target}{}", pairs(&link.attributes));
        }
        let is_child = |child: &&Span| child.trace_id == span.trace_id && child.parent_span_id == span.span_id;
        let mut children: Vec<_> = self.spans.iter().filter(is_child).collect();
        children.sort_by_key(|span| (span.start, &span.name));
        1 + children.into_iter().map(|child| self.tree(child, depth + 1, text)).sum::<usize>()
    }

    fn parent(&self, span: &Span) -> Option<&Span> {
        self.spans.iter().find(|other| other.trace_id == span.trace_id && other.span_id == span.parent_span_id)
    }
}

fn pairs(attributes: &Attributes) -> String {
    attributes.iter().map(|(key, value)| format!(" {key}={value}")).collect()
}

/// Formats a status such as `ok` or `error: sold out` from OTLP's code name and the message.
pub(crate) fn status(code: &str, message: &str) -> String {
    let code = match code.trim_start_matches("STATUS_CODE_").to_lowercase() {
        code if code.is_empty() => "unset".to_owned(),
        code => code,
    };
    if message.is_empty() { code } else { format!("{code}: {message}") }
}

/// Converts OTLP's name for a kind to `server` and so on.
pub(crate) fn kind(name: &str) -> String {
    name.trim_start_matches("SPAN_KIND_").to_lowercase()
}

/// Joins the name and the version of a scope.
pub(crate) fn scope(name: &str, version: &str) -> String {
    format!("{name} {version}").trim().to_owned()
}
