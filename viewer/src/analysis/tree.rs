//! The order of a trace's spans: parents before children, siblings by start.

use std::collections::HashMap;

use crate::model::Span;

/// A trace as a tree, or as several if spans are missing. A *position* is an index into each of these lists.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tree {
    /// The index of each position's span in the list that the tree was made from.
    pub(crate) order: Vec<u32>,
    /// The number of ancestors.
    pub(crate) depth: Vec<u16>,
    /// The position of the parent, or -1.
    pub(crate) parent: Vec<i32>,
    /// Whether the span names a parent that it does not have here: not held, or an ancestor of itself.
    pub(crate) missing: Vec<bool>,
}

/// The parent that a root has.
const NONE: u32 = u32::MAX;

/// Returns the tree of `spans`. Where parents form a cycle, the span that starts first becomes a root.
///
/// If several spans have the same id, all are kept, and the one that starts first has the children.
pub(crate) fn tree(spans: &[&Span]) -> Tree {
    let mut parents = parents(spans);
    let cut = cut_cycles(spans, &mut parents);
    let (starts, children) = children(spans, &parents);

    let mut tree = Tree::default();
    let count = spans.len();
    tree.order.reserve(count);
    tree.depth.reserve(count);
    tree.parent.reserve(count);
    tree.missing.reserve(count);
    // The roots' list comes last; a stack holds what is still to visit, the next one on top.
    let roots = &children[starts[count]..];
    let mut stack: Vec<(u32, i32, u16)> = roots.iter().rev().map(|&root| (root, -1, 0)).collect();
    while let Some((index, parent, depth)) = stack.pop() {
        let span = index as usize;
        let position = tree.order.len() as i32;
        tree.order.push(index);
        tree.depth.push(depth);
        tree.parent.push(parent);
        tree.missing.push(parent < 0 && (spans[span].parent.0 != 0 || cut[span]));
        let below = &children[starts[span]..starts[span + 1]];
        stack.extend(below.iter().rev().map(|&child| (child, position, depth.saturating_add(1))));
    }
    tree
}

/// Returns each span's parent as an index, or [`NONE`].
fn parents(spans: &[&Span]) -> Vec<u32> {
    let mut by_id: HashMap<u64, u32> = HashMap::with_capacity(spans.len());
    for (index, span) in spans.iter().enumerate() {
        if span.span_id.0 == 0 {
            continue;
        }
        by_id
            .entry(span.span_id.0)
            .and_modify(|first| {
                if span.start < spans[*first as usize].start {
                    *first = index as u32;
                }
            })
            .or_insert(index as u32);
    }
    spans.iter().map(|span| by_id.get(&span.parent.0).copied().filter(|_| span.parent.0 != 0).unwrap_or(NONE)).collect()
}

/// Makes a root of the first span of each cycle, and returns which spans these are.
fn cut_cycles(spans: &[&Span], parents: &mut [u32]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnThisPath,
        Before,
    }
    let mut cut = vec![false; spans.len()];
    let mut seen = vec![Seen::No; spans.len()];
    let mut path = Vec::new();
    for first in 0..spans.len() {
        let mut index = first;
        while seen[index] == Seen::No {
            seen[index] = Seen::OnThisPath;
            path.push(index);
            match parents[index] {
                NONE => break,
                parent => index = parent as usize,
            }
        }
        if parents[index] != NONE && seen[index] == Seen::OnThisPath && !path.is_empty() {
            let cycle = path.iter().position(|&on_path| on_path == index).unwrap_or(0);
            if let Some(&root) = path[cycle..].iter().min_by_key(|&&span| (spans[span].start, span)) {
                parents[root] = NONE;
                cut[root] = true;
            }
        }
        for index in path.drain(..) {
            seen[index] = Seen::Before;
        }
    }
    cut
}

/// Returns all children, grouped by parent and sorted by start, and where each group begins. The group of the roots is the last.
fn children(spans: &[&Span], parents: &[u32]) -> (Vec<usize>, Vec<u32>) {
    let count = spans.len();
    let group = |index: usize| if parents[index] == NONE { count } else { parents[index] as usize };
    let mut starts = vec![0; count + 2];
    for index in 0..count {
        starts[group(index) + 1] += 1;
    }
    for index in 0..=count {
        starts[index + 1] += starts[index];
    }
    let mut children: Vec<u32> = (0..count as u32).collect();
    children.sort_by_key(|&child| (group(child as usize), spans[child as usize].start, child));
    (starts, children)
}

/// The start and end of each position, in unix nanoseconds, with the clocks corrected. No end is before its start, and a span that
/// is still running ends at the last time that the trace knows.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) start: Vec<u64>,
    pub(crate) end: Vec<u64>,
}

impl Times {
    /// Returns the times of `spans` in the order of `tree`, with `skew` added.
    pub(crate) fn new(spans: &[&Span], tree: &Tree, skew: &[i64]) -> Self {
        let moved = |time: u64, position: usize| time.saturating_add_signed(skew.get(position).copied().unwrap_or(0));
        let spans = || tree.order.iter().enumerate().map(|(position, &index)| (position, spans[index as usize]));
        let last = spans().map(|(position, span)| moved(span.start.max(span.end), position)).max().unwrap_or(0);
        let start: Vec<u64> = spans().map(|(position, span)| moved(span.start, position)).collect();
        let end = spans()
            .map(|(position, span)| match span.end {
                0 => last.max(start[position]),
                end => moved(end, position).max(start[position]),
            })
            .collect();
        Self { start, end }
    }

    /// Returns the time from start to end.
    pub(crate) fn duration(&self, position: usize) -> u64 {
        self.end[position] - self.start[position]
    }
}

impl Tree {
    /// Returns the root that stands for the trace: one that is not missing its parent, and of those the longest.
    pub(crate) fn main_root(&self, times: &Times) -> Option<usize> {
        (0..self.order.len())
            .filter(|&position| self.parent[position] < 0)
            .max_by_key(|&position| (!self.missing[position], times.duration(position), std::cmp::Reverse(position)))
    }

    /// Returns the position of the parent, if there is one.
    pub(crate) fn parent_of(&self, position: usize) -> Option<usize> {
        usize::try_from(self.parent[position]).ok()
    }

    /// Returns the position after the last descendant of `position`.
    pub(crate) fn end_of(&self, position: usize) -> usize {
        let depth = self.depth[position];
        let below = self.depth[position + 1..].iter();
        position + 1 + below.take_while(|&&other| other > depth).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{arbitrary_trace, span};
    use super::*;

    fn refs(spans: &[Span]) -> Vec<&Span> {
        spans.iter().collect()
    }

    #[test]
    fn parents_come_before_children_and_siblings_by_start() {
        let spans = [
            span(3, 1, "late", 50, 60),
            span(2, 1, "early", 10, 40),
            span(4, 2, "inner", 20, 30),
            span(1, 0, "root", 0, 100),
        ];
        let tree = tree(&refs(&spans));
        assert_eq!(tree.order, [3, 1, 2, 0]);
        assert_eq!(tree.depth, [0, 1, 2, 1]);
        assert_eq!(tree.parent, [-1, 0, 1, 0]);
        assert_eq!(tree.missing, [false; 4]);
    }

    #[test]
    fn a_span_without_its_parent_is_a_root_that_says_so() {
        let spans = [span(1, 0, "root", 0, 10), span(2, 99, "lost", 5, 8)];
        let tree = tree(&refs(&spans));
        assert_eq!(tree.parent, [-1, -1]);
        assert_eq!(tree.missing, [false, true]);
    }

    #[test]
    fn a_cycle_is_cut_at_its_first_span() {
        let spans = [span(1, 2, "a", 5, 10), span(2, 3, "b", 0, 9), span(3, 1, "c", 7, 8), span(4, 1, "below", 6, 7)];
        let tree = tree(&refs(&spans));
        let names: Vec<_> = tree.order.iter().map(|&index| &*spans[index as usize].name).collect();
        assert_eq!(names, ["b", "a", "below", "c"].map(|name| name).to_vec());
        assert_eq!(tree.missing, [true, false, false, false]);
    }

    #[test]
    fn a_span_that_is_its_own_parent_is_a_root() {
        let tree = tree(&refs(&[span(1, 1, "a", 0, 1)]));
        assert_eq!((tree.parent, tree.missing), (vec![-1], vec![true]));
    }

    #[test]
    fn of_two_spans_with_one_id_the_first_has_the_children() {
        let spans = [span(1, 0, "second", 5, 9), span(1, 0, "first", 0, 9), span(2, 1, "child", 6, 7)];
        let tree = tree(&refs(&spans));
        assert_eq!(tree.order, [1, 2, 0]);
        assert_eq!(tree.parent, [-1, 0, -1]);
    }

    #[test]
    fn a_chain_of_fifty_thousand_spans_needs_no_stack() {
        let spans: Vec<_> = (0..50_000).map(|id| span(id + 1, id, "deep", id, 60_000)).collect();
        let tree = tree(&refs(&spans));
        assert_eq!(tree.depth.last(), Some(&49_999));
        assert_eq!(tree.end_of(0), 50_000);
    }

    #[test]
    fn a_running_span_ends_at_the_last_known_time() {
        let spans = [span(1, 0, "root", 10, 0), span(2, 1, "done", 20, 70)];
        let spans = refs(&spans);
        let tree = tree(&spans);
        let times = Times::new(&spans, &tree, &[0, 0]);
        assert_eq!(times.end, [70, 70]);
    }

    proptest! {
        #[test]
        fn every_tree_is_a_permutation(spans in arbitrary_trace()) {
            let spans = refs(&spans);
            let tree = tree(&spans);
            let mut order = tree.order.clone();
            order.sort_unstable();
            prop_assert_eq!(order, (0..spans.len() as u32).collect::<Vec<_>>());
            for position in 0..spans.len() {
                match tree.parent_of(position) {
                    Some(parent) => {
                        prop_assert!(parent < position && position < tree.end_of(parent));
                        prop_assert_eq!(tree.depth[position], tree.depth[parent] + 1);
                    }
                    None => prop_assert_eq!(tree.depth[position], 0),
                }
            }
        }
    }
}
