//! Clocks that disagree: a span of one machine that seems to begin before its caller on another one.

use std::collections::HashMap;
use std::sync::Arc;

use super::tree::Tree;
use crate::model::{Kind, Resource, Span};

/// Less than this between two clocks, in nanoseconds, is not worth a correction that a reader has to think about.
const NOTICEABLE: i64 = 100_000;

/// Returns the nanoseconds to add to the times of each position, so that calls lie within their callers.
///
/// Each resource has one clock. The root's clock counts as right, and the clock of a callee is corrected only if one of its spans
/// begins before the span that called it, or a server's span begins after the client's has ended. A correction that fits all calls
/// between the two is used, and of these the middle one, as NTP does.
pub(crate) fn skew(spans: &[&Span], tree: &Tree) -> Vec<i64> {
    let span = |position: usize| spans[tree.order[position] as usize];
    let clock = |position: usize| Arc::as_ptr(&span(position).resource);
    let calls = || {
        (0..tree.order.len()).filter_map(|child| {
            let parent = tree.parent_of(child)?;
            (clock(parent) != clock(child)).then_some((parent, child))
        })
    };

    let mut windows: HashMap<(*const Resource, *const Resource), Window> = HashMap::new();
    for (parent, child) in calls() {
        windows.entry((clock(parent), clock(child))).or_default().add(span(parent), span(child));
    }
    if windows.values().all(|window| window.correction() == 0) {
        return vec![0; tree.order.len()];
    }

    // Callers come before their callees in the tree, so a caller's clock is known here. A clock's first caller decides.
    let mut clocks: HashMap<*const Resource, i64> = HashMap::new();
    for position in 0..tree.order.len() {
        let own = clock(position);
        let known = match tree.parent_of(position).map(clock) {
            Some(caller) if caller != own => {
                let relative = windows.get(&(caller, own)).map_or(0, Window::correction);
                clocks.get(&caller).copied().unwrap_or(0).saturating_add(relative)
            }
            _ => 0,
        };
        clocks.entry(own).or_insert(known);
    }
    (0..tree.order.len()).map(|position| clocks.get(&clock(position)).copied().unwrap_or(0)).collect()
}

/// The corrections that put all calls from one clock to another into their callers.
struct Window {
    least: i64,
    most: i64,
    /// Whether a call is impossible with the clocks as they are.
    wrong: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self { least: i64::MIN, most: i64::MAX, wrong: false }
    }
}

impl Window {
    fn add(&mut self, caller: &Span, callee: &Span) {
        let least = difference(caller.start, callee.start);
        self.least = self.least.max(least);
        self.wrong |= least > NOTICEABLE;
        // A consumer may begin after its producer has ended, and a server may be slower than a client that has given up.
        let waits = caller.kind == Kind::Client && callee.kind == Kind::Server;
        if waits && caller.end != 0 && callee.end >= callee.start {
            self.wrong |= difference(callee.start, caller.end) > NOTICEABLE;
            let most = difference(caller.end, callee.end);
            if most >= least {
                self.most = self.most.min(most);
            }
        }
    }

    fn correction(&self) -> i64 {
        match self.wrong {
            false => 0,
            true if self.most < i64::MAX && self.least <= self.most => self.least + (self.most - self.least) / 2,
            true => self.least,
        }
    }
}

/// Returns `a - b`.
fn difference(a: u64, b: u64) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b))
        .unwrap_or(if a > b { i64::MAX / 4 } else { i64::MIN / 4 })
        .clamp(i64::MIN / 4, i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{arbitrary_trace, resource, span};
    use super::super::tree::tree;
    use super::*;

    const MS: u64 = 1_000_000;

    /// Returns a client's span of 0 to 100 ms with its server's span, and then the corrections.
    fn call(start: u64, end: u64, kinds: [Kind; 2]) -> Vec<i64> {
        let mut spans = [span(1, 0, "call", 1000 * MS, 1100 * MS), span(2, 1, "serve", start * MS, end * MS)];
        spans[1].resource = resource("stock");
        for (span, kind) in spans.iter_mut().zip(kinds) {
            span.kind = kind;
        }
        let spans: Vec<_> = spans.iter().collect();
        skew(&spans, &tree(&spans))
    }

    const CALL: [Kind; 2] = [Kind::Client, Kind::Server];
    const MESSAGE: [Kind; 2] = [Kind::Producer, Kind::Consumer];

    #[test]
    fn a_callee_within_its_caller_is_not_moved() {
        assert_eq!(call(1010, 1090, CALL), [0, 0]);
    }

    #[test]
    fn a_server_that_begins_before_its_client_is_centred() {
        assert_eq!(call(900, 980, CALL), [0, 110 * MS as i64]);
    }

    #[test]
    fn a_server_that_begins_after_its_client_has_ended_is_centred() {
        assert_eq!(call(5000, 5080, CALL), [0, -3990 * MS as i64]);
    }

    #[test]
    fn a_server_that_outlives_a_client_which_gave_up_is_not_moved() {
        assert_eq!(call(1050, 1120, CALL), [0, 0]);
        assert_eq!(call(1050, 9000, CALL), [0, 0]);
    }

    #[test]
    fn a_consumer_may_begin_later_but_not_earlier() {
        assert_eq!(call(5000, 5080, MESSAGE), [0, 0]);
        assert_eq!(call(900, 980, MESSAGE), [0, 100 * MS as i64]);
    }

    #[test]
    fn a_difference_that_nobody_sees_is_left_alone() {
        let mut spans = [span(1, 0, "call", 1_000_000, 2_000_000), span(2, 1, "serve", 950_000, 1_900_000)];
        spans[1].resource = resource("stock");
        let spans: Vec<_> = spans.iter().collect();
        assert_eq!(skew(&spans, &tree(&spans)), [0, 0]);
    }

    #[test]
    fn a_callee_of_a_corrected_service_moves_along() {
        let (stock, disk) = (resource("stock"), resource("disk"));
        let mut spans = [
            span(1, 0, "call", 1000 * MS, 1100 * MS),
            span(2, 1, "serve", 900 * MS, 1000 * MS),
            span(3, 2, "store", 910 * MS, 990 * MS),
        ];
        (spans[1].resource, spans[2].resource) = (stock, disk);
        let spans: Vec<_> = spans.iter().collect();
        assert_eq!(skew(&spans, &tree(&spans)), [0, 100 * MS as i64, 100 * MS as i64]);
    }

    proptest! {
        #[test]
        fn no_trace_is_too_wrong(spans in arbitrary_trace()) {
            let spans: Vec<_> = spans.iter().collect();
            let tree = tree(&spans);
            prop_assert_eq!(skew(&spans, &tree).len(), spans.len());
        }
    }
}
