//! The spans that a trace waited for: those that would have to be faster for the whole to be faster.

#[cfg(test)]
use super::tree::tree;
use super::tree::{Times, Tree};
use crate::model::Span;

/// Returns the critical path as `(position, from, to)` in corrected unix nanoseconds, by time and without overlap. Together the
/// pieces cover the trace's main root.
///
/// The path is followed backwards from the end of the root. At each moment, the child that ended last before it is what the span
/// waited for, and in the time after that child the span itself was at work. Children that run at the same time as one on the path
/// and end before it does not matter. The part of a child after its parent's end is not waited for.
pub(crate) fn critical_path(spans: &[&Span], tree: &Tree, skew: &[i64]) -> Vec<(u32, u64, u64)> {
    let times = Times::new(spans, tree, skew);
    let Some(root) = tree.main_root(&times) else { return Vec::new() };
    let children = by_end(tree, &times);

    let mut path = Vec::new();
    // Each open span, with its own place in the list of children and the moment up to which its time is accounted for.
    let mut open = vec![Open { position: root, next: children.starts[root], until: times.end[root] }];
    while let Some(span) = open.last_mut() {
        let from = times.start[span.position];
        let group_end = children.starts[span.position + 1];
        let mut waited_for = None;
        while waited_for.is_none() && span.next < group_end {
            let child = children.positions[span.next] as usize;
            span.next += 1;
            let end = times.end[child].min(times.end[span.position]);
            // A child that began before its parent was not caused by it, as far as the clocks can tell.
            if end <= span.until && times.start[child] >= from && times.start[child] < end {
                waited_for = Some((child, end));
            }
        }
        match waited_for {
            Some((child, end)) => {
                push(&mut path, span.position, end, span.until);
                span.until = times.start[child];
                open.push(Open { position: child, next: children.starts[child], until: end });
            }
            None => {
                push(&mut path, span.position, from, span.until);
                open.pop();
            }
        }
    }
    path.sort_unstable_by_key(|&(_, from, _)| from);
    path
}

struct Open {
    position: usize,
    next: usize,
    until: u64,
}

fn push(path: &mut Vec<(u32, u64, u64)>, position: usize, from: u64, to: u64) {
    if from < to {
        path.push((position as u32, from, to));
    }
}

/// The children of each position, the last to end first.
struct ByEnd {
    starts: Vec<usize>,
    positions: Vec<u32>,
}

fn by_end(tree: &Tree, times: &Times) -> ByEnd {
    let count = tree.order.len();
    let mut positions: Vec<u32> = (0..count as u32).filter(|&position| tree.parent[position as usize] >= 0).collect();
    // A child's end counts up to its parent's. A later start is first where ends are equal, so that a nested copy is not passed over.
    positions.sort_by_key(|&position| {
        let parent = tree.parent_of(position as usize).unwrap_or_default();
        let end = times.end[position as usize].min(times.end[parent]);
        (parent, std::cmp::Reverse((end, times.start[position as usize])), position)
    });
    let mut starts = vec![0; count + 1];
    for &position in &positions {
        starts[tree.parent[position as usize] as usize + 1] += 1;
    }
    for position in 0..count {
        starts[position + 1] += starts[position];
    }
    ByEnd { starts, positions }
}

/// Returns the critical path of spans that have no corrections, by name: for tests of other modules.
#[cfg(test)]
pub(super) fn names(spans: &[Span]) -> Vec<(String, u64, u64)> {
    let spans: Vec<_> = spans.iter().collect();
    let tree = tree(&spans);
    let path = critical_path(&spans, &tree, &[]);
    path.iter().map(|&(at, from, to)| (spans[tree.order[at as usize] as usize].name.to_string(), from, to)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{arbitrary_trace, span};
    use super::super::skew::skew;
    use super::*;

    fn assert_path(spans: &[Span], expected: &[(&str, u64, u64)]) {
        let expected: Vec<_> = expected.iter().map(|&(name, from, to)| (name.to_owned(), from, to)).collect();
        assert_eq!(names(spans), expected);
    }

    #[test]
    fn a_lone_span_is_its_own_path() {
        assert_path(&[span(1, 0, "root", 10, 20)], &[("root", 10, 20)]);
    }

    #[test]
    fn the_time_between_children_belongs_to_the_parent() {
        let spans = [span(1, 0, "root", 0, 100), span(2, 1, "a", 10, 40), span(3, 1, "b", 50, 90)];
        let expected = [("root", 0, 10), ("a", 10, 40), ("root", 40, 50), ("b", 50, 90), ("root", 90, 100)];
        assert_path(&spans, &expected);
    }

    #[test]
    fn of_parallel_children_the_slowest_counts() {
        let spans = [
            span(1, 0, "root", 0, 100),
            span(2, 1, "fast", 10, 50),
            span(3, 1, "slow", 10, 95),
            span(4, 1, "before", 2, 10),
        ];
        assert_path(&spans, &[("root", 0, 2), ("before", 2, 10), ("slow", 10, 95), ("root", 95, 100)]);
    }

    #[test]
    fn work_that_outlives_its_parent_counts_up_to_its_end() {
        let spans = [span(1, 0, "root", 0, 100), span(2, 1, "stream", 40, 900)];
        assert_path(&spans, &[("root", 0, 40), ("stream", 40, 100)]);
    }

    #[test]
    fn a_grandchild_is_followed() {
        let spans = [span(1, 0, "root", 0, 100), span(2, 1, "call", 10, 90), span(3, 2, "serve", 20, 80)];
        let expected = [("root", 0, 10), ("call", 10, 20), ("serve", 20, 80), ("call", 80, 90), ("root", 90, 100)];
        assert_path(&spans, &expected);
    }

    #[test]
    fn fifty_thousand_levels_need_no_stack() {
        let spans: Vec<_> = (0..50_000).map(|id| span(id + 1, id, "deep", id, 200_000 - id)).collect();
        assert_eq!(names(&spans).len(), 2 * 50_000 - 1);
    }

    proptest! {
        #[test]
        fn a_path_covers_the_root_without_overlap(spans in arbitrary_trace()) {
            let spans: Vec<_> = spans.iter().collect();
            let tree = tree(&spans);
            let skew = skew(&spans, &tree);
            let times = Times::new(&spans, &tree, &skew);
            let path = critical_path(&spans, &tree, &skew);
            let Some(root) = tree.main_root(&times) else { return Ok(()) };
            let mut at = times.start[root];
            for (position, from, to) in path {
                prop_assert_eq!(from, at, "no gap and no overlap");
                prop_assert!(to > from);
                prop_assert!(times.start[position as usize] <= from && to <= times.end[position as usize]);
                at = to;
            }
            prop_assert_eq!(at, times.end[root]);
        }
    }
}
