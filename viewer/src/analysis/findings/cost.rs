//! What costs the most bytes: by route, and by attribute.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::text::first_attribute;
use super::Trace;
use crate::model::cut::short;
use crate::model::{Attribute, Kind, Span, Text, Value};

/// The number of rows that a page shows.
const SHOWN: usize = 50;
/// The number of routes, or of attributes, that are counted.
const KEPT: usize = 2_000;

/// What costs the most bytes, the dearest first. Bytes are those of an OTLP request before compression, to within a few percent.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    /// Routes of entry spans, with all spans below them in the same service.
    pub(crate) routes: Vec<Share>,
    /// Keys of span attributes.
    pub(crate) attributes: Vec<Share>,
}

/// A part of the bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Share {
    pub(crate) name: String,
    pub(crate) spans: u64,
    pub(crate) bytes: u64,
    /// The three attributes with the most bytes; only of routes.
    pub(crate) parts: Vec<(String, u64)>,
}

#[derive(Default)]
pub(super) struct Costs {
    routes: HashMap<String, Route>,
    attributes: HashMap<Text, (u64, u64)>,
}

#[derive(Default)]
struct Route {
    spans: u64,
    bytes: u64,
    parts: HashMap<Text, u64>,
}

impl Costs {
    pub(super) fn add(&mut self, trace: &Trace<'_>) {
        let mut routes: Vec<Rc<str>> = Vec::with_capacity(trace.spans.len());
        for position in trace.positions() {
            let span = trace.span(position);
            let parent = trace.tree.parent_of(position);
            let is_entry = matches!(span.kind, Kind::Server | Kind::Consumer)
                || parent.is_none_or(|parent| trace.span(parent).resource.service != span.resource.service);
            let route = match (is_entry, parent) {
                (false, Some(parent)) => routes[parent].clone(),
                _ => short(&format!("{} {}", span.resource.service, route(span))).into(),
            };
            self.count(&route, span);
            routes.push(route);
        }
    }

    fn count(&mut self, route: &str, span: &Span) {
        let bytes = size(span);
        let full = self.routes.len() >= KEPT;
        let route = match self.routes.get_mut(route) {
            Some(route) => Some(route),
            None if full => None,
            None => Some(self.routes.entry(route.to_owned()).or_default()),
        };
        let mut parts = None;
        if let Some(route) = route {
            route.spans += 1;
            route.bytes += bytes;
            parts = Some(&mut route.parts);
        }
        for attribute in &span.attributes {
            let bytes = attribute_size(attribute);
            let full = self.attributes.len() >= KEPT;
            let is_counted = count(&mut self.attributes, &attribute.key, full, |(spans, total): &mut (u64, u64)| {
                *spans += 1;
                *total += bytes;
            });
            if let Some(parts) = parts.as_mut().filter(|_| is_counted) {
                count(parts, &attribute.key, false, |part| *part += bytes);
            }
        }
    }

    pub(super) fn finish(self) -> Cost {
        let routes = self.routes.into_iter().map(|(name, route)| {
            let mut parts: Vec<_> = route.parts.into_iter().map(|(key, bytes)| (key.to_string(), bytes)).collect();
            parts.sort_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
            parts.truncate(3);
            Share { name, spans: route.spans, bytes: route.bytes, parts }
        });
        let attributes = self.attributes.into_iter().map(|(key, (spans, bytes))| Share {
            name: key.to_string(),
            spans,
            bytes,
            parts: Vec::new(),
        });
        Cost { routes: dearest(routes.collect()), attributes: dearest(attributes.collect()) }
    }
}

/// Adds to the count of a key. Returns false if the key is not known and the counts are full.
fn count<C: Default>(counts: &mut HashMap<Text, C>, key: &Text, full: bool, add: impl FnOnce(&mut C)) -> bool {
    match counts.get_mut(key) {
        Some(known) => add(known),
        None if full => return false,
        None => add(counts.entry(key.clone()).or_default()),
    }
    true
}

fn dearest(mut shares: Vec<Share>) -> Vec<Share> {
    shares.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.name.cmp(&other.name)));
    shares.truncate(SHOWN);
    shares
}

/// Returns the route of a span by which a service was entered.
fn route(span: &Span) -> String {
    match first_attribute(span, &["http.route", "rpc.method"]) {
        Some(route) => match first_attribute(span, &["http.request.method"]) {
            Some(method) => format!("{method} {route}"),
            None => route,
        },
        None => span.name.to_string(),
    }
}

/// Returns the bytes of a span in an OTLP request: ids, times and tags take about 70.
fn size(span: &Span) -> u64 {
    let attributes = |attributes: &[Attribute]| attributes.iter().map(attribute_size).sum::<u64>();
    let events: u64 =
        span.events.iter().map(|event| 14 + event.name.len() as u64 + attributes(&event.attributes)).sum();
    let links: u64 = span.links.iter().map(|link| 36 + attributes(&link.attributes)).sum();
    70 + span.name.len() as u64 + span.trace_state.len() as u64 + attributes(&span.attributes) + events + links
}

fn attribute_size(attribute: &Attribute) -> u64 {
    8 + attribute.key.len() as u64 + value_size(&attribute.value)
}

fn value_size(value: &Value) -> u64 {
    // Values nest as deep as the receiver allows, so a list takes the place of the call stack.
    let mut bytes = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        bytes += match value {
            Value::Null => 0,
            Value::Bool(_) => 2,
            Value::Int(_) => 6,
            Value::Double(_) => 9,
            Value::String(text) => text.len() as u64,
            Value::Bytes(bytes) => bytes.len() as u64,
            Value::Array(values) => {
                open.extend(values.iter());
                4
            }
            Value::Map(attributes) => {
                open.extend(attributes.iter().map(|attribute| &attribute.value));
                attributes.iter().map(|attribute| 8 + attribute.key.len() as u64).sum()
            }
        };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::baselines::Baselines;
    use super::super::super::samples::{With, span};
    use super::*;
    use crate::model::TraceId;

    #[test]
    fn routes_hold_their_service_and_attributes_are_summed() {
        let spans = [
            span(1, 0, "GET /cart", 1, 9)
                .kind(Kind::Server)
                .attribute("http.route", "/cart")
                .attribute("http.request.method", "GET"),
            span(2, 1, "load", 2, 8).attribute("cart.json", &*"x".repeat(5_000)),
            span(3, 2, "SELECT", 3, 7).kind(Kind::Client),
            span(4, 3, "serve", 4, 6).of("stock").attribute("cart.json", "small"),
        ]
        .map(Arc::new);
        let cost = super::super::findings([(TraceId(1), &spans[..])].into_iter(), &Baselines::default()).cost;
        let routes: Vec<_> = cost.routes.iter().map(|route| (&*route.name, route.spans)).collect();
        assert_eq!(routes, [("shop GET /cart", 3), ("stock serve", 1)]);
        assert!((5_200..5_500).contains(&cost.routes[0].bytes), "{}", cost.routes[0].bytes);
        assert_eq!(cost.routes[0].parts[0].0, "cart.json");
        assert_eq!((&*cost.attributes[0].name, cost.attributes[0].spans), ("cart.json", 2));
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let spans: Vec<_> = (1..5_000)
            .map(|id| Arc::new(span(id, 0, &format!("GET /{id}"), 1, 2).attribute(&format!("k{id}"), 1)))
            .collect();
        let cost = super::super::findings([(TraceId(1), &spans[..])].into_iter(), &Baselines::default()).cost;
        assert_eq!((cost.routes.len(), cost.attributes.len()), (SHOWN, SHOWN));
    }
}
