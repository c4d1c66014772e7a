//! Counts of started and ended spans, striped by thread so that the hot path shares no cache line.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::thread_index;

/// Number of threads that have their own stripe. These are the first threads; in a server these are usually the
/// long-lived ones.
const OWN: usize = 64;
/// Number of stripes shared by all other threads.
const SHARED: usize = 16;

/// Counts of the spans of one provider.
#[derive(Debug)]
pub(crate) struct SpanCounts {
    own: [Stripe; OWN],
    shared: [Stripe; SHARED],
}

/// Aligned so that two threads never write to the same cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    /// Indexed by origin and outcome.
    started: [AtomicU64; 9],
    /// Spans that were only recorded, and spans that were also sampled.
    ended: [AtomicU64; 2],
}

/// The origin of a span's parent; `otel.span.parent.origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    None = 0,
    Local = 1,
    Remote = 2,
}

/// The sampling decision for a span; `otel.span.sampling_result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Dropped = 0,
    Recorded = 1,
    Sampled = 2,
}

impl Origin {
    pub(crate) const ALL: [Origin; 3] = [Origin::None, Origin::Local, Origin::Remote];

    /// Returns the origin of a span's parent; [`Origin::None`] if the span has no parent.
    #[inline]
    pub(crate) fn of_parent(has_parent: bool, is_remote: bool) -> Self {
        match (has_parent, is_remote) {
            (false, _) => Origin::None,
            (true, false) => Origin::Local,
            (true, true) => Origin::Remote,
        }
    }
}

impl Outcome {
    pub(crate) const ALL: [Outcome; 3] = [Outcome::Dropped, Outcome::Recorded, Outcome::Sampled];

    /// Returns the outcome of a recorded span.
    #[inline]
    pub(crate) fn of_recorded(is_sampled: bool) -> Self {
        if is_sampled { Outcome::Sampled } else { Outcome::Recorded }
    }
}

impl SpanCounts {
    pub(crate) fn new() -> Self {
        SpanCounts {
            own: std::array::from_fn(|_| Stripe::default()),
            shared: std::array::from_fn(|_| Stripe::default()),
        }
    }

    /// Counts a started span, whether recorded or not. Not inlined, so that a provider that does not count spans pays
    /// only for a branch.
    #[inline(never)]
    pub(crate) fn start(&self, parent: Origin, outcome: Outcome) {
        self.add(thread_index(), |stripe| &stripe.started[parent as usize * 3 + outcome as usize]);
    }

    /// Counts the end of a recorded span.
    #[inline(never)]
    pub(crate) fn end(&self, is_sampled: bool) {
        self.add(thread_index(), |stripe| &stripe.ended[usize::from(is_sampled)]);
    }

    #[inline]
    fn add(&self, thread: usize, counter: impl Fn(&Stripe) -> &AtomicU64) {
        match self.own.get(thread) {
            Some(stripe) => {
                // No other thread writes to this stripe, so no locked instruction is needed.
                let counter = counter(stripe);
                counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            }
            None => drop(counter(&self.shared[thread % SHARED]).fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Returns the number of spans that started with this origin and outcome.
    pub(crate) fn started(&self, parent: Origin, outcome: Outcome) -> u64 {
        self.sum(|stripe| &stripe.started[parent as usize * 3 + outcome as usize])
    }

    /// Returns the number of live spans with this outcome, or `None` if none has ever started.
    pub(crate) fn live(&self, outcome: Outcome) -> Option<u64> {
        let ended = match outcome {
            Outcome::Dropped => return None,
            Outcome::Recorded | Outcome::Sampled => self.sum(|stripe| &stripe.ended[outcome as usize - 1]),
        };
        // Read after the ends, so that the difference cannot be negative if a span starts and ends between the two
        // reads.
        let started: u64 = Origin::ALL.iter().map(|parent| self.started(*parent, outcome)).sum();
        (started > 0).then(|| started.saturating_sub(ended))
    }

    fn sum(&self, counter: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
        self.own.iter().chain(&self.shared).map(|stripe| counter(stripe).load(Ordering::Relaxed)).sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test of many threads")]
    fn more_threads_than_stripes_are_counted_exactly() {
        const THREADS: usize = OWN + 2 * SHARED;
        const SPANS: u64 = 1000;
        let counts = SpanCounts::new();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let counts = &counts;
                scope.spawn(move || {
                    for _ in 0..SPANS {
                        counts.add(thread, |stripe| &stripe.started[5]);
                        counts.add(thread, |stripe| &stripe.ended[1]);
                        counts.add(thread, |stripe| &stripe.started[0]);
                    }
                    counts.add(thread, |stripe| &stripe.started[8]);
                });
            }
        });
        let all = THREADS as u64;
        assert_eq!(counts.started(Origin::Local, Outcome::Sampled), all * SPANS);
        assert_eq!(counts.started(Origin::None, Outcome::Dropped), all * SPANS);
        assert_eq!(counts.live(Outcome::Sampled), Some(all));
        assert_eq!((counts.live(Outcome::Recorded), counts.live(Outcome::Dropped)), (None, None));
    }

    #[test]
    fn each_origin_and_outcome_is_counted_apart() {
        let counts = SpanCounts::new();
        let mut number = 0;
        for parent in Origin::ALL {
            for outcome in Outcome::ALL {
                number += 1;
                (0..number).for_each(|_| counts.start(parent, outcome));
            }
        }
        let read: Vec<_> = Origin::ALL
            .iter()
            .flat_map(|parent| Outcome::ALL.map(|outcome| counts.started(*parent, outcome)))
            .collect();
        assert_eq!(read, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        counts.end(true);
        assert_eq!((counts.live(Outcome::Recorded), counts.live(Outcome::Sampled)), (Some(15), Some(17)));
    }
}
