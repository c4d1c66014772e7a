//! How long an operation usually takes, by robust statistics of its recent past.

use std::collections::HashMap;

use crate::model::{Span, Text};

/// The number of durations that an operation's past consists of.
const PAST: usize = 101;
/// The number of operations in a generation. Two generations exist, so twice as many are remembered at most.
const OPERATIONS: usize = 1_000;

/// The recent durations of each operation, by service and name.
///
/// Programs that put ids into names have any number of operations. When a generation is full, a new one begins and the one before
/// the last is forgotten, so operations without a span for a long time go first and memory stays below 2 MB.
#[derive(Debug, Default)]
pub(crate) struct Baselines {
    current: HashMap<(Text, Text), Ring>,
    previous: HashMap<(Text, Text), Ring>,
}

/// What is usual for an operation: the median, and the median distance from it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) median: u64,
    /// The median of the absolute differences from the median.
    pub(crate) mad: u64,
    /// The number of durations that this was computed from.
    pub(crate) n: u64,
}

#[derive(Debug, Default)]
struct Ring {
    durations: Vec<u64>,
    next: usize,
}

impl Baselines {
    /// Creates an empty past.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a span that has ended to the past of its operation. A failed span says little about how long a success takes and is
    /// left out.
    pub(crate) fn record(&mut self, span: &Span) {
        if span.end == 0 || matches!(span.status, crate::model::Status::Error(_)) {
            return;
        }
        let key = (span.resource.service.clone(), span.name.clone());
        if !self.current.contains_key(&key) {
            if self.current.len() >= OPERATIONS {
                self.previous = std::mem::take(&mut self.current);
            }
            let ring = self.previous.remove(&key).unwrap_or_default();
            self.current.insert(key.clone(), ring);
        }
        if let Some(ring) = self.current.get_mut(&key) {
            ring.add(span.end.saturating_sub(span.start));
        }
    }

    /// Returns what is usual for the operation, if anything is known.
    pub(crate) fn of(&self, service: &str, name: &str) -> Option<Baseline> {
        let mut durations = self.recent(service, name).to_vec();
        let median = median(&mut durations)?;
        for duration in &mut durations {
            *duration = duration.abs_diff(median);
        }
        let mad = self::median(&mut durations)?;
        Some(Baseline { median, mad, n: durations.len() as u64 })
    }

    /// Returns the recent durations of the operation, in no order.
    pub(crate) fn recent(&self, service: &str, name: &str) -> &[u64] {
        let key = (service.into(), name.into());
        self.current.get(&key).or_else(|| self.previous.get(&key)).map_or(&[], |ring| &ring.durations)
    }
}

/// What is usual for the operations of one analysis, each computed once. Many spans have the same operation.
#[derive(Debug)]
pub(super) struct Usual<'a> {
    past: &'a Baselines,
    known: HashMap<(&'a str, &'a str), Option<Baseline>>,
}

impl<'a> Usual<'a> {
    pub(super) fn new(past: &'a Baselines) -> Self {
        Usual { past, known: HashMap::new() }
    }

    /// Returns what is usual for the operation of a span, if anything is known.
    pub(super) fn of(&mut self, span: &'a Span) -> Option<Baseline> {
        let (service, name) = (&*span.resource.service, &*span.name);
        self.known.entry((service, name)).or_insert_with(|| self.past.of(service, name)).clone()
    }

    /// Returns the recent durations of the operation of a span, in no order.
    pub(super) fn recent(&self, span: &Span) -> &'a [u64] {
        self.past.recent(&span.resource.service, &span.name)
    }
}

impl Baseline {
    /// Returns whether `duration` is far outside of what is usual: more than twice the median, and more than five median distances
    /// above it. Needs a past of at least 20 durations.
    pub(crate) fn is_slow(&self, duration: u64) -> bool {
        self.n >= 20
            && duration > self.median.saturating_mul(2)
            && duration > self.median.saturating_add(self.mad.saturating_mul(5))
    }

    /// Returns how many times the median `duration` is.
    pub(crate) fn ratio(&self, duration: u64) -> f64 {
        duration as f64 / self.median.max(1) as f64
    }
}

impl Ring {
    fn add(&mut self, duration: u64) {
        if self.durations.len() < PAST {
            self.durations.push(duration);
        } else {
            self.durations[self.next] = duration;
            self.next = (self.next + 1) % PAST;
        }
    }
}

/// Returns the median, the lower one of two, and reorders the numbers.
pub(super) fn median(numbers: &mut [u64]) -> Option<u64> {
    percentile(numbers, 0.5)
}

/// Returns the number that `share` of the numbers do not exceed, and reorders them.
pub(super) fn percentile(numbers: &mut [u64], share: f64) -> Option<u64> {
    let index = ((numbers.len() as f64 * share).ceil() as usize).saturating_sub(1);
    (index < numbers.len()).then(|| *numbers.select_nth_unstable(index).1)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{With, span};
    use super::*;

    fn past(durations: impl IntoIterator<Item = u64>) -> Baselines {
        let mut baselines = Baselines::default();
        for duration in durations {
            baselines.record(&span(1, 0, "work", 1, 1 + duration));
        }
        baselines
    }

    #[test]
    fn the_median_and_its_distance_ignore_an_outlier() {
        let baselines = past([10, 11, 9, 10, 12, 8, 10, 1_000_000]);
        let usual = baselines.of("shop", "work");
        assert_eq!(usual, Some(Baseline { median: 10, mad: 1, n: 8 }));
        assert_eq!(baselines.of("shop", "other"), None);
        assert_eq!(baselines.of("stock", "work"), None);
    }

    #[test]
    fn only_a_long_past_makes_a_span_slow() {
        let short = past([10; 19]).of("shop", "work").unwrap();
        let long = past([10; 20]).of("shop", "work").unwrap();
        assert!(!short.is_slow(1_000));
        assert!(long.is_slow(1_000) && long.is_slow(21) && !long.is_slow(20));
        let wide = past((0..40).map(|at| 100 + at * 10)).of("shop", "work").unwrap();
        assert!(!wide.is_slow(2 * wide.median + 1) && wide.is_slow(wide.median + 6 * wide.mad));
    }

    #[test]
    fn failures_and_running_spans_are_no_past() {
        let mut baselines = Baselines::default();
        baselines.record(&span(1, 0, "work", 5, 9).error("no"));
        baselines.record(&span(1, 0, "work", 5, 0));
        assert_eq!(baselines.of("shop", "work"), None);
    }

    #[test]
    fn the_past_and_the_operations_are_bounded() {
        let mut baselines = past((0..1_000).map(|at| if at < 900 { 10 } else { 50 }));
        let usual = baselines.of("shop", "work").unwrap();
        assert_eq!((usual.n, usual.median), (PAST as u64, 50), "the newest count");
        for id in 0..5_000 {
            baselines.record(&span(1, 0, &format!("GET /users/{id}"), 1, 2));
        }
        assert!(baselines.current.len() + baselines.previous.len() <= 2 * OPERATIONS);
        assert_eq!(baselines.of("shop", "work"), None, "forgotten");
    }
}
