//! Equal siblings, which a waterfall shows as one row.

use super::peer::peer;
use super::tree::Tree;
use crate::model::{Span, Status};

/// The number of equal siblings that is worth folding.
const LEAST: usize = 3;

/// A run of equal siblings at consecutive positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// Returns the runs of at least three siblings that have no children, did not fail, and have the same service, kind, name and peer.
pub(crate) fn equal_siblings(spans: &[&Span], tree: &Tree) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut first = 0;
    for position in 1..=tree.order.len() {
        if position < tree.order.len() && equal(spans, tree, first, position) {
            continue;
        }
        if position - first >= LEAST {
            groups.push(Group { first: first as u32, count: (position - first) as u32 });
        }
        first = position;
    }
    groups
}

fn equal(spans: &[&Span], tree: &Tree, a: usize, b: usize) -> bool {
    let span = |position: usize| spans[tree.order[position] as usize];
    let foldable = |position: usize| {
        let has_children = tree.depth.get(position + 1).is_some_and(|&depth| depth > tree.depth[position]);
        !has_children && !matches!(span(position).status, Status::Error(_))
    };
    let (one, other) = (span(a), span(b));
    tree.parent[a] == tree.parent[b]
        && tree.parent[a] >= 0
        && one.name == other.name
        && one.kind == other.kind
        && one.resource.service == other.resource.service
        && foldable(a)
        && foldable(b)
        && peer(one) == peer(other)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{With, span};
    use super::super::tree::tree;
    use super::*;

    fn groups(spans: &[Span]) -> Vec<(u32, u32)> {
        let spans: Vec<_> = spans.iter().collect();
        equal_siblings(&spans, &tree(&spans)).iter().map(|group| (group.first, group.count)).collect()
    }

    #[test]
    fn three_equal_siblings_in_a_row_are_a_group() {
        let mut spans = vec![span(1, 0, "root", 0, 100)];
        spans.extend((0..3).map(|at| span(2 + at, 1, "SELECT", 10 * at, 10 * at + 5)));
        assert_eq!(groups(&spans), [(1, 3)]);
        spans.pop();
        assert_eq!(groups(&spans), []);
    }

    #[test]
    fn a_failure_another_name_or_a_child_ends_a_run() {
        let at = |position: u64, name: &str| span(10 + position, 1, name, position, position + 1);
        let names = |changed: fn(Span) -> Span| {
            let mut spans = vec![span(1, 0, "root", 0, 100)];
            spans.extend((0..7).map(|position| match position {
                3 => changed(at(position, "SELECT")),
                _ => at(position, "SELECT"),
            }));
            spans
        };
        assert_eq!(groups(&names(|span| span.error("no"))), [(1, 3), (5, 3)]);
        assert_eq!(groups(&names(|span| span.of("stock"))), [(1, 3), (5, 3)]);
        assert_eq!(groups(&names(|span| span.kind(crate::model::Kind::Client))), [(1, 3), (5, 3)]);
        let mut with_child = names(|span| span);
        with_child.push(span(99, 13, "inner", 3, 4));
        assert_eq!(groups(&with_child), [(1, 3), (6, 3)]);
    }

    #[test]
    fn roots_are_no_siblings() {
        let spans: Vec<_> = (1..6).map(|id| span(id, 0, "job", id, id + 1)).collect();
        assert_eq!(groups(&spans), []);
    }
}
