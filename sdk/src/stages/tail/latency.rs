//! The durations of local roots by name, from which follows what is unusually slow.
//!
//! Each name has an exponential histogram with 16 buckets for each doubling, so a bound is at most 6.3 % too high. Every ten minutes, all
//! counts are halved, so old durations lose their weight and names that no longer occur are forgotten.

use std::collections::HashMap;
use std::time::Duration;

use crate::time::Timestamp;

/// The number of names with a histogram of their own. All others share one.
const MAX_NAMES: usize = 256;
/// The number of durations of a name before any is called slow.
const MIN_COUNT: u32 = 100;
const HALF_LIFE: Duration = Duration::from_secs(600);
/// Names are compared up to this number of bytes, because programs may put anything into them.
const MAX_NAME: usize = 256;

/// Buckets for each doubling, as a number of bits.
const BITS: u32 = 4;
/// Durations below 2^10 ns share the first bucket, and those from 2^42 ns, which are more than an hour, the last one.
const LOWEST: u32 = 10;
const HIGHEST: u32 = 42;
const BUCKETS: usize = ((HIGHEST - LOWEST) << BITS) as usize;

/// The histograms of one policy.
#[derive(Debug)]
pub(super) struct Latencies {
    quantile: f64,
    names: HashMap<String, Histogram>,
    others: Histogram,
    halved: Timestamp,
}

#[derive(Debug)]
struct Histogram {
    counts: Box<[u32]>,
    total: u32,
    /// The bucket that contains the quantile, and the number of durations until it is determined again.
    bound: usize,
    valid_for: u32,
}

impl Latencies {
    /// Creates histograms that know no durations. Slow is what lies above `quantile`, from 0 to 1.
    pub(super) fn new(quantile: f64, now: Timestamp) -> Self {
        Latencies { quantile, names: HashMap::new(), others: Histogram::new(), halved: now }
    }

    /// Returns true if the duration is slow for this name, by the durations so far, of which it is one from now on.
    pub(super) fn is_slow(&mut self, name: &str, duration: Duration) -> bool {
        let quantile = self.quantile;
        let name = name.get(..MAX_NAME).unwrap_or(name);
        let histogram = if let Some(known) = self.names.get_mut(name) {
            known
        } else if self.names.len() < MAX_NAMES && name.len() <= MAX_NAME {
            self.names.entry(name.to_owned()).or_insert_with(Histogram::new)
        } else {
            &mut self.others
        };
        histogram.is_slow(duration, quantile)
    }

    /// Halves the counts if it is time.
    pub(super) fn decay(&mut self, now: Timestamp) {
        if now.since(self.halved) < HALF_LIFE {
            return;
        }
        self.halved = now;
        self.others.halve();
        self.names.retain(|_, histogram| {
            histogram.halve();
            histogram.total > 0
        });
    }
}

impl Histogram {
    fn new() -> Self {
        Histogram { counts: vec![0; BUCKETS].into(), total: 0, bound: BUCKETS, valid_for: 0 }
    }

    fn is_slow(&mut self, duration: Duration, quantile: f64) -> bool {
        if self.valid_for == 0 {
            self.bound = self.bucket_of(quantile);
            self.valid_for = 16;
        }
        self.valid_for -= 1;
        let bucket = bucket(duration);
        let is_slow = self.total >= MIN_COUNT && bucket > self.bound;
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
            self.total = self.total.saturating_add(1);
        }
        is_slow
    }

    /// Returns the bucket that contains the quantile.
    fn bucket_of(&self, quantile: f64) -> usize {
        let above = f64::from(self.total) * (1.0 - quantile);
        let mut seen = 0.0;
        for (index, count) in self.counts.iter().enumerate().rev() {
            seen += f64::from(*count);
            if seen > above {
                return index;
            }
        }
        BUCKETS
    }

    fn halve(&mut self) {
        self.counts.iter_mut().for_each(|count| *count /= 2);
        self.total = self.counts.iter().sum();
        self.valid_for = 0;
    }
}

/// Returns the index of the bucket of a duration.
fn bucket(duration: Duration) -> usize {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let Some(exponent) = nanos.checked_ilog2().filter(|exponent| *exponent >= LOWEST) else { return 0 };
    if exponent >= HIGHEST {
        return BUCKETS - 1;
    }
    let within = (nanos >> (exponent - BITS)) & ((1 << BITS) - 1);
    (((exponent - LOWEST) << BITS) as usize) | within as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    fn record(latencies: &mut Latencies, times: u32, duration: u64) {
        for _ in 0..times {
            latencies.is_slow("GET /", micros(duration));
        }
    }

    #[test]
    fn buckets_rise_with_durations_and_are_narrow() {
        let mut last = 0;
        let mut nanos = 1_u64;
        while nanos < 1 << 44 {
            let (here, next) = (bucket(Duration::from_nanos(nanos)), bucket(Duration::from_nanos(nanos + nanos / 10)));
            assert!(here >= last && next <= here + 3, "{nanos}");
            (last, nanos) = (here, nanos + nanos / 10 + 1);
        }
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn what_is_slow_depends_on_the_durations_of_the_name() {
        let mut latencies = Latencies::new(0.95, Timestamp::default());
        let mut slow = 0;
        for number in 0..100_000_i32 {
            // From 1 ms to 148 ms, each doubling as often as another, in an order without pattern.
            let millis = 1.001_f64.powi(number * 7919 % 5000);
            slow += u32::from(latencies.is_slow("GET /", Duration::from_secs_f64(millis / 1000.0)));
            assert!(!latencies.is_slow("POST /", micros(50_000)), "all durations of this name are equal");
        }
        assert!((3900..=5000).contains(&slow), "{slow}: at most one of twenty, less the width of a bucket");
        assert!(latencies.is_slow("GET /", micros(150_000)) && latencies.is_slow("POST /", micros(60_000)));
    }

    #[test]
    fn nothing_is_slow_before_enough_is_known() {
        let mut latencies = Latencies::new(0.9, Timestamp::default());
        assert!((0..100).all(|number| !latencies.is_slow("GET /", micros(1 << number.min(30)))));
    }

    #[test]
    fn old_durations_lose_their_weight_and_old_names_are_forgotten() {
        let mut latencies = Latencies::new(0.5, Timestamp::default());
        record(&mut latencies, 1000, 100_000);
        latencies.is_slow("once", micros(1));
        assert!(!latencies.is_slow("GET /", micros(1000)));
        let mut now = 0;
        for _ in 0..4 {
            now += HALF_LIFE.as_nanos() as u64;
            latencies.decay(Timestamp::from_nanos(now));
            record(&mut latencies, 200, 100);
        }
        assert!(latencies.is_slow("GET /", micros(1000)), "the program became faster");
        assert!(!latencies.names.contains_key("once"));
    }

    #[test]
    fn names_are_bounded() {
        let mut latencies = Latencies::new(0.9, Timestamp::default());
        for number in 0..10_000 {
            latencies.is_slow(&format!("GET /{number}"), micros(10));
        }
        latencies.is_slow(&"é".repeat(100_000), micros(10));
        assert_eq!(latencies.names.len(), MAX_NAMES);
        assert_eq!(latencies.others.total, 10_000 - MAX_NAMES as u32 + 1);
    }
}
