//! A bound on the number of traces a second that keeps weights right.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sampling::Threshold;
use crate::time::{Clock, Timestamp};

/// Time is counted in sixteenths of a nanosecond, so that a small part of a trace is not rounded to nothing. The range is 36 years.
const UNITS_PER_NANO: u64 = 16;
const UNITS_PER_SECOND: f64 = UNITS_PER_NANO as f64 * 1e9;
/// Minimum number of traces that can be saved up. With fewer, the probability would change with every trace.
const MIN_SAVED: f64 = 10.0;

/// A token bucket that is charged with probabilities.
///
/// A bucket that refuses traces once it is empty would keep traces of which nobody can say how many they stand for. This one returns
/// a probability, which depends on how full the bucket is: 1 while it is at least half full, and in proportion below. Each trace is
/// charged with its probability, whether it is kept or not. The expected number of kept traces is therefore never larger than what a
/// token bucket allows: the rate times the time, plus the bucket. And because the probability does not depend on the trace's
/// own random value, the number of traces that a kept one stands for is right, however the rate changes.
///
/// At a constant rate above the allowed one, the fill level settles where each trace is charged with what flows in between two traces, so
/// that the probability is the allowed rate divided by the actual one.
#[derive(Debug)]
pub(super) struct Allowance {
    clock: Clock,
    start: Timestamp,
    /// The allowed number of traces a second.
    per_second: f64,
    /// The time in which one trace is earned.
    per_trace: f64,
    /// The time in which the empty bucket fills.
    capacity: u64,
}

/// The state of one bucket: the time that has been used up. Zero is a full bucket.
pub(super) type Used = AtomicU64;

impl Allowance {
    /// Creates the bound of `traces_per_second`, of which `saved_seconds` can be saved up. A rate that is not above 0 keeps nothing.
    pub(super) fn new(traces_per_second: f64, saved_seconds: f64) -> Self {
        let per_second = if traces_per_second > 0.0 { traces_per_second } else { 0.0 };
        let per_trace = UNITS_PER_SECOND / per_second;
        let capacity = (saved_seconds * UNITS_PER_SECOND).max(MIN_SAVED * per_trace);
        let clock = Clock::system();
        // The conversion saturates.
        let capacity = (capacity as u64).min(u64::MAX / 4);
        Allowance { start: clock.now(), clock, per_second, per_trace, capacity }
    }

    pub(super) fn with_clock(mut self, clock: Clock) -> Self {
        self.start = clock.now();
        self.clock = clock;
        self
    }

    /// Returns the allowed number of traces a second.
    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Returns the time. It begins where a full bucket has used up nothing.
    pub(super) fn now(&self) -> u64 {
        let nanos = self.clock.now().as_nanos().saturating_sub(self.start.as_nanos());
        nanos.saturating_mul(UNITS_PER_NANO).saturating_add(self.capacity)
    }

    /// Returns true if the bucket is full, so that it is the same as a new one.
    pub(super) fn is_full(&self, used: &Used, now: u64) -> bool {
        used.load(Ordering::Relaxed).saturating_add(self.capacity) <= now
    }

    /// Charges the bucket for one trace and returns the trace's threshold. Never waits.
    pub(super) fn charge(&self, used: &Used, now: u64) -> Option<Threshold> {
        if !self.per_trace.is_finite() {
            return None;
        }
        let mut before = used.load(Ordering::Relaxed);
        loop {
            let oldest = now - self.capacity.min(now);
            // After the clock was set back, the bucket is full instead of empty until the old time is reached.
            let from = if before > now.saturating_add(self.capacity) { oldest } else { before.max(oldest) };
            // The smallest unit is never given away, so that no trace is dropped for certain.
            let saved = now.saturating_sub(from).max(1) as f64;
            let threshold = Threshold::for_probability((2.0 * saved / self.capacity as f64).min(1.0))?;
            let charged = ((threshold.probability() * self.per_trace) as u64).max(1);
            let after = from.saturating_add(charged);
            match used.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(threshold),
                Err(current) => before = current,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = UNITS_PER_NANO * 1_000_000_000;

    /// Charges a bucket for traces at a constant rate and returns their probabilities.
    fn probabilities(allowance: &Allowance, used: &Used, start: f64, per_second: f64, seconds: f64) -> Vec<f64> {
        let count = (per_second * seconds) as u32;
        let at = |index: u32| allowance.capacity + ((start + f64::from(index) / per_second) * SECOND as f64) as u64;
        (0..count).map(|index| allowance.charge(used, at(index)).unwrap().probability()).collect()
    }

    #[test]
    fn the_probability_is_the_allowed_rate_divided_by_the_actual_one() {
        for (rate, actual) in [(100.0, 10_000.0), (100.0, 1000.0), (1.0, 50.0), (0.1, 5.0), (5000.0, 20_000.0)] {
            let allowance = Allowance::new(rate, 1.0);
            let seconds = (40.0 / rate).max(10.0);
            let all = probabilities(&allowance, &Used::new(0), 0.0, actual, seconds);
            let last = &all[all.len() / 2..];
            let mean = last.iter().sum::<f64>() / last.len() as f64;
            assert!((mean / (rate / actual) - 1.0).abs() < 0.02, "{rate} of {actual}: {mean}");
        }
    }

    #[test]
    fn what_is_allowed_is_kept_whole() {
        for (rate, actual) in [(100.0, 100.0), (100.0, 30.0), (1.0, 1.0), (0.1, 0.05)] {
            let allowance = Allowance::new(rate, 1.0);
            let all = probabilities(&allowance, &Used::new(0), 0.0, actual, 1000.0);
            assert!(all.iter().all(|probability| *probability == 1.0), "{rate} of {actual}");
        }
    }

    #[test]
    fn a_burst_is_kept_within_the_bucket_and_no_trace_is_dropped_for_certain() {
        let allowance = Allowance::new(100.0, 1.0);
        let used = Used::new(0);
        let now = allowance.capacity;
        let all: Vec<_> = (0..1_000_000).map(|_| allowance.charge(&used, now).unwrap().probability()).collect();
        assert!(all[..50].iter().all(|probability| *probability == 1.0));
        assert!(all.iter().all(|probability| *probability > 0.0));
        let kept: f64 = all.iter().sum();
        assert!((99.0..101.0).contains(&kept), "{kept}");
        assert!(allowance.is_full(&used, now + SECOND + SECOND / 1000) && !allowance.is_full(&used, now + SECOND / 2));
    }

    #[test]
    fn a_clock_that_is_set_back_refills_the_bucket() {
        let allowance = Allowance::new(100.0, 1.0);
        let used = Used::new(0);
        probabilities(&allowance, &used, 1_000_000.0, 10_000.0, 10.0);
        let probability = allowance.charge(&used, allowance.capacity).unwrap().probability();
        assert_eq!(probability, 1.0);
    }

    #[test]
    fn rates_that_are_none() {
        for rate in [0.0, -1.0, f64::NAN] {
            assert_eq!(Allowance::new(rate, 1.0).charge(&Used::new(0), SECOND), None, "{rate}");
        }
        let allowance = Allowance::new(f64::INFINITY, 1.0);
        assert_eq!(allowance.charge(&Used::new(0), SECOND), Some(Threshold::ALWAYS));
        assert!(Allowance::new(1e-9, 1.0).charge(&Used::new(0), SECOND).is_some());
    }

    proptest! {
        /// Whatever the arrivals are, the expected number of kept traces is at most the bucket and what flows in.
        #[test]
        fn the_expected_number_is_bounded(
            rate in 0.5..1000.0f64,
            gaps in proptest::collection::vec(prop_oneof![0u64..1000, 0..SECOND / 100, 0..SECOND], 1..500),
        ) {
            let allowance = Allowance::new(rate, 1.0);
            let used = Used::new(0);
            let (mut now, mut kept) = (allowance.capacity, 0.0);
            for gap in gaps {
                now += gap;
                kept += allowance.charge(&used, now).unwrap().probability();
                let flowed = now as f64 / allowance.per_trace;
                prop_assert!(kept <= flowed * (1.0 + 1e-6) + 0.1, "{} {}", kept, flowed);
            }
        }
    }
}
