//! Who calls whom.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::baselines::percentile;
use super::peer::{PeerKind, peer};
use super::tree::tree;
use crate::model::{Kind, Span, Status};

/// The number of nodes that a picture can show. Those with the most calls are kept.
const NODES: usize = 200;
/// The number of edges that a picture can show. Those with the most calls are kept.
const EDGES: usize = 1_000;

/// Services with what they call.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Map {
    /// By name.
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    /// The number of nodes that are left out because there are too many.
    pub(crate) omitted: usize,
    /// The number of edges between the nodes that are left out because there are too many.
    pub(crate) omitted_edges: usize,
}

/// A service, or something that services call and that sends no spans.
#[derive(Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// `None` for a service that sends spans.
    pub(crate) peer: Option<PeerKind>,
    pub(crate) calls: Calls,
}

/// All calls from one node to another.
#[derive(Debug, PartialEq)]
pub(crate) struct Edge {
    /// Indices of nodes.
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) calls: Calls,
}

/// What is known of a number of calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calls {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    /// Calls a second.
    pub(crate) rate: f64,
    /// The 95th percentile of the durations, in nanoseconds.
    pub(crate) p95: u64,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    durations: Vec<u64>,
    errors: u64,
}

impl Seen {
    fn add(&mut self, span: &Span) {
        // A call that is still running has no duration yet.
        if span.end != 0 {
            self.durations.push(span.end.saturating_sub(span.start));
            self.errors += u64::from(matches!(span.status, Status::Error(_)));
        }
    }

    fn calls(mut self, seconds: f64) -> Calls {
        let count = self.durations.len() as u64;
        let p95 = percentile(&mut self.durations, 0.95).unwrap_or_default();
        Calls { count, errors: self.errors, rate: count as f64 / seconds.max(1.0), p95 }
    }
}

type Key<'a> = (Cow<'a, str>, Option<PeerKind>);

/// Returns who calls whom in `traces`, which span the given number of seconds.
///
/// The calls of a service are the spans by which it was entered. An edge has the callee's durations if the callee sends spans,
/// otherwise the caller's.
pub(crate) fn map<'a>(traces: impl Iterator<Item = &'a [Arc<Span>]>, seconds: f64) -> Map {
    let mut nodes: HashMap<Key<'a>, Seen> = HashMap::new();
    let mut edges: HashMap<(Key<'a>, Key<'a>), Seen> = HashMap::new();
    for trace in traces {
        add(trace, &mut nodes, &mut edges);
    }

    let all = nodes.len();
    let mut nodes: Vec<_> = nodes.into_iter().collect();
    nodes
        .sort_by(|(a, a_seen), (b, b_seen)| b_seen.durations.len().cmp(&a_seen.durations.len()).then_with(|| a.cmp(b)));
    nodes.truncate(NODES);
    nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
    let index: HashMap<Key<'a>, u32> =
        nodes.iter().enumerate().map(|(at, (key, _))| (key.clone(), at as u32)).collect();
    let edges = edges.into_iter().filter_map(|((from, to), seen)| {
        Some(Edge { from: *index.get(&from)?, to: *index.get(&to)?, calls: seen.calls(seconds) })
    });
    let mut edges: Vec<_> = edges.collect();
    edges.sort_by_key(|edge| (std::cmp::Reverse(edge.calls.count), edge.from, edge.to));
    let omitted_edges = edges.len().saturating_sub(EDGES);
    edges.truncate(EDGES);
    edges.sort_by_key(|edge| (edge.from, edge.to));
    let omitted = all - nodes.len();
    let nodes = nodes.into_iter().map(|((name, peer), seen)| Node {
        name: name.into_owned(),
        peer,
        calls: seen.calls(seconds),
    });
    Map { nodes: nodes.collect(), edges, omitted, omitted_edges }
}

fn add<'a>(trace: &'a [Arc<Span>], nodes: &mut HashMap<Key<'a>, Seen>, edges: &mut HashMap<(Key<'a>, Key<'a>), Seen>) {
    let spans: Vec<&'a Span> = trace.iter().map(|span| &**span).collect();
    let tree = tree(&spans);
    let span = |position: usize| spans[tree.order[position] as usize];
    let mut is_answered = vec![false; spans.len()];
    for position in 0..spans.len() {
        let callee = span(position);
        let service = service(callee);
        let parent = tree.parent_of(position);
        let caller = parent.map(span).filter(|caller| caller.resource.service != callee.resource.service);
        let entered = parent.is_none() || caller.is_some() || matches!(callee.kind, Kind::Server | Kind::Consumer);
        let node = nodes.entry(service.clone()).or_default();
        if entered {
            node.add(callee);
        }
        if let (Some(caller), Some(parent)) = (caller, parent) {
            is_answered[parent] = true;
            edges.entry((self::service(caller), service)).or_default().add(callee);
        }
    }
    for position in (0..spans.len()).filter(|&position| !is_answered[position]) {
        let caller = span(position);
        if let Some(peer) = peer(caller) {
            let to: Key<'a> = (Cow::Owned(peer.name), Some(peer.kind));
            // A service's spans may be missing from this trace although it sends some.
            let to = match to.1 {
                Some(PeerKind::Service) if nodes.contains_key(&(to.0.clone(), None)) => (to.0, None),
                _ => to,
            };
            if to.1.is_some() {
                nodes.entry(to.clone()).or_default().add(caller);
            }
            edges.entry((service(caller), to)).or_default().add(caller);
        }
    }
}

/// Returns the node of a span's own service.
fn service(span: &Span) -> Key<'_> {
    (Cow::Borrowed(&span.resource.service), None)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{With, span};
    use super::*;

    fn map_of(spans: Vec<Span>) -> Map {
        let spans: Vec<_> = spans.into_iter().map(Arc::new).collect();
        map([&spans[..]].into_iter(), 10.0)
    }

    #[test]
    fn services_databases_and_foreign_services_are_nodes() {
        let map = map_of(vec![
            span(1, 0, "POST /orders", 1, 101).kind(Kind::Server),
            span(2, 1, "POST /stock", 11, 91).kind(Kind::Client).attribute("server.address", "10.0.0.2"),
            span(3, 2, "POST /stock", 21, 81).kind(Kind::Server).of("stock").error("no"),
            span(4, 3, "UPDATE stock", 31, 41).kind(Kind::Client).of("stock").attribute("db.system.name", "postgresql"),
            span(5, 1, "POST /mail", 93, 95).kind(Kind::Client).attribute("server.address", "mail.example"),
        ]);
        let names: Vec<_> = map.nodes.iter().map(|node| (&*node.name, node.peer)).collect();
        let service = Some(PeerKind::Service);
        assert_eq!(
            names,
            [("mail.example", service), ("postgresql", Some(PeerKind::Database)), ("shop", None), ("stock", None)]
        );
        let edges: Vec<_> =
            map.edges.iter().map(|edge| (edge.from, edge.to, edge.calls.p95, edge.calls.errors)).collect();
        assert_eq!(edges, [(2, 0, 2, 0), (2, 3, 60, 1), (3, 1, 10, 0)]);
        assert_eq!(map.nodes[2].calls, Calls { count: 1, errors: 0, rate: 0.1, p95: 100 });
    }

    #[test]
    fn a_call_whose_answer_is_missing_leads_to_the_service_of_that_name() {
        let map = map_of(vec![
            span(1, 0, "a", 1, 9).kind(Kind::Client).attribute("server.service.name", "stock"),
            span(2, 0, "b", 1, 9).kind(Kind::Server).of("stock"),
        ]);
        assert_eq!(map.nodes.len(), 2);
        assert_eq!((map.edges.len(), map.edges[0].to), (1, 1));
    }

    #[test]
    fn a_picture_has_a_bounded_number_of_nodes() {
        let spans = (1..=300).map(|id| span(id, 0, "work", 1, 2).of(&format!("service {id}"))).collect();
        let map = map_of(spans);
        assert_eq!((map.nodes.len(), map.omitted), (NODES, 100));
    }

    #[test]
    fn a_picture_has_a_bounded_number_of_edges() {
        // 40 services that call each other, and one call that is made twice.
        let mut spans = Vec::new();
        for (from, to) in (0..40).flat_map(|from| (0..40).map(move |to| (from, to))).chain([(39, 38)]) {
            let id = spans.len() as u64 + 1;
            spans.push(span(id, 0, "call", 1, 9).of(&format!("service {from}")));
            spans.push(span(id + 1, id, "work", 2, 3).of(&format!("service {to}")));
        }
        let map = map_of(spans);
        assert_eq!((map.edges.len(), map.omitted_edges), (EDGES, 40 * 39 - EDGES));
        assert!(map.edges.iter().any(|edge| edge.calls.count == 2), "the edge with the most calls is kept");
        assert!(map.edges.is_sorted_by_key(|edge| (edge.from, edge.to)));
    }
}
