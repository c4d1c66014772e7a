//! Received spans in the form that all receivers have in common, and as a text to compare.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The attributes of anything, sorted by key, values in the common notation.
pub(crate) type Attributes = BTreeMap<String, String>;

/// A span as a receiver understood it. Ids are lower-case hex; what it does not tell is empty or `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// The trace id.
    pub trace_id: String,
    /// The span id.
    pub span_id: String,
    /// The parent's span id; empty for a root span.
    pub parent_span_id: String,
    /// The trace state header.
    pub trace_state: String,
    /// The flags, where the receiver tells them; rotel does not.
    pub flags: Option<u64>,
    /// The name.
    pub name: String,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: String,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub end: u64,
    /// `unset`, `ok`, `error` or `error: message`.
    pub status: String,
    /// The attributes.
    pub attributes: Attributes,
    /// The events.
    pub events: Vec<Event>,
    /// The links.
    pub links: Vec<Link>,
    /// Name and version of the instrumentation scope.
    pub scope: String,
    /// The attributes of the scope.
    pub scope_attributes: Attributes,
    /// The attributes of the resource.
    pub resource: Attributes,
}

/// An event of a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// The name.
    pub name: String,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// The attributes.
    pub attributes: Attributes,
}

/// A link of a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// The trace it leads to.
    pub trace_id: String,
    /// The span it leads to.
    pub span_id: String,
    /// The attributes.
    pub attributes: Attributes,
}

/// The spans that a receiver took from one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    /// In the order of arrival.
    pub spans: Vec<Span>,
}

impl Received {
    /// The span with that name; the first of several.
    pub fn span(&self, name: &str) -> Option<&Span> {
        self.spans.iter().find(|span| span.name == name)
    }

    /// The spans as trees, children below their parents in the order of their start, with everything that is the same in
    /// every run of a program and at every receiver: no ids, no times, no flags.
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

    /// Shows the span and what is below it; answers with how many spans that were.
    fn tree(&self, span: &Span, depth: usize, text: &mut String) -> usize {
        let indent = "  ".repeat(depth);
        // Ids that come twice can make a circle that hangs on a root.
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

/// `ok`, `error: sold out` and so on, from the names that OTLP has for the codes.
pub(crate) fn status(code: &str, message: &str) -> String {
    let code = match code.trim_start_matches("STATUS_CODE_").to_lowercase() {
        code if code.is_empty() => "unset".to_owned(),
        code => code,
    };
    if message.is_empty() { code } else { format!("{code}: {message}") }
}

/// `server` and so on, from the names that OTLP has for the kinds.
pub(crate) fn kind(name: &str) -> String {
    name.trim_start_matches("SPAN_KIND_").to_lowercase()
}

/// The name and the version of a scope.
pub(crate) fn scope(name: &str, version: &str) -> String {
    format!("{name} {version}").trim().to_owned()
}
