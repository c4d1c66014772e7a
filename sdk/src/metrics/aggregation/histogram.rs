//! A histogram with explicit bounds.

use std::sync::OnceLock;

use super::cell::Outcome;
use super::sampling::{BucketSampling, Sampling};
use crate::metrics::config::HistogramConfig;
use crate::metrics::data::{Exemplars, bucket_of};
use crate::metrics::exemplar::{MergedBuckets, MergedSlots, Offer, Random};
use crate::sync::{AtomicU32, AtomicU64, Latch, Ordering};

/// Number of buckets counted inside the cell itself. Sixteen suffice for the default boundaries.
const NEAR: usize = if cfg!(loom) { 1 } else { 16 };

/// The histogram of one cell. Its latch keeps the count, the sum and the buckets consistent. If a thread finds the
/// latch closed, for instance during a collection, it records into the neighbouring cell.
///
/// Only the thread that closed the latch reads or writes the fields. No user code runs while the latch is closed.
#[repr(C)]
pub(crate) struct HistogramCell {
    rare: OnceLock<Box<Rare>>,
    latch: Latch,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    /// Counts of the first buckets, modulo 2^32.
    near: [AtomicU32; NEAR],
}

/// Parts that most cells never need.
#[derive(Default)]
struct Rare {
    /// Carries from the `near` counts, and the counts of all other buckets.
    far: OnceLock<Box<[AtomicU64]>>,
    reservoir: OnceLock<Reservoir>,
}

enum Reservoir {
    Aligned(BucketSampling),
    /// Used if the histogram has no bounds.
    Fixed(Sampling),
}

impl HistogramCell {
    pub(crate) fn new() -> Self {
        HistogramCell {
            rare: OnceLock::new(),
            latch: Latch::new(),
            sum: number(0.0),
            min: number(f64::INFINITY),
            max: number(f64::NEG_INFINITY),
            near: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// Adds a measurement unless the cell is locked.
    #[inline(always)]
    pub(crate) fn try_record(&self, config: &HistogramConfig, value: f64, is_offered: bool) -> Outcome {
        let bucket = bucket_of(&config.bounds, value);
        let Some(closed) = self.latch.try_close() else { return Outcome::Refused };
        self.add(config, bucket, value);
        let is_due = is_offered && self.is_due(bucket);
        drop(closed);
        Outcome::recorded(is_due)
    }

    #[inline(always)]
    fn add(&self, config: &HistogramConfig, bucket: usize, value: f64) {
        match self.near.get(bucket) {
            Some(count) => {
                let new = count.load(Ordering::Relaxed).wrapping_add(1);
                count.store(new, Ordering::Relaxed);
                if new == 0 {
                    self.add_far(config, bucket, 1 << 32);
                }
            }
            None => self.add_far(config, bucket, 1),
        }
        set(&self.sum, get(&self.sum) + value);
        // Measurements are finite, so plain comparisons suffice.
        if value < get(&self.min) {
            set(&self.min, value);
        }
        if value > get(&self.max) {
            set(&self.max, value);
        }
    }

    #[inline(never)]
    fn add_far(&self, config: &HistogramConfig, bucket: usize, more: u64) {
        let far = self.rare().far.get_or_init(|| (0..=config.bounds.len()).map(|_| AtomicU64::new(0)).collect());
        if let Some(count) = far.get(bucket) {
            count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        }
    }

    /// Counts an offer. Returns true if it should be kept.
    #[inline(always)]
    fn is_due(&self, bucket: usize) -> bool {
        match self.rare.get().and_then(|rare| rare.reservoir.get()) {
            None => true,
            Some(Reservoir::Aligned(sampling)) => sampling.is_due(bucket),
            Some(Reservoir::Fixed(sampling)) => sampling.is_due(),
        }
    }

    /// Keeps an offer that is due. Reads the clock, which may be user code, without holding a lock.
    pub(crate) fn keep(&self, config: &HistogramConfig, value: f64, offer: &Offer<'_>) {
        // spec: metrics/sdk.md#exemplar-defaults — aligned where there is more than one bucket.
        let reservoir = self.rare().reservoir.get_or_init(|| match config.bounds.len() {
            0 => Reservoir::Fixed(Sampling::new()),
            bounds => Reservoir::Aligned(BucketSampling::new(bounds + 1)),
        });
        match reservoir {
            Reservoir::Fixed(sampling) => sampling.keep(offer),
            Reservoir::Aligned(sampling) => {
                let (bucket, exemplar) = (bucket_of(&config.bounds, value), offer.exemplar());
                // If another thread holds the latch, discard this offer; the next one is due.
                let Some(_closed) = self.latch.try_close() else { return };
                // Another thread may have kept an offer since the first check.
                if sampling.is_due(bucket) {
                    sampling.keep(bucket, exemplar);
                }
            }
        }
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    /// Adds this cell's measurements to `total`: all of them, or only those since the last call if `is_delta`.
    pub(crate) fn take_into(&self, total: &mut HistogramTotal, is_delta: bool) {
        let _closed = self.latch.close();
        self.add_to(total, is_delta);
    }

    /// Returns a number that differs after each measurement. Does not lock the cell, so a concurrent measurement may be counted
    /// in part.
    pub(crate) fn progress(&self) -> u64 {
        let far = self.rare.get().and_then(|rare| rare.far.get()).into_iter().flatten();
        let near = self.near.iter().map(|count| u64::from(count.load(Ordering::Relaxed)));
        near.chain(far.map(|count| count.load(Ordering::Relaxed))).fold(0, u64::wrapping_add)
    }

    /// Locks the cell until the returned value is dropped.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn locked(&self) -> impl Sized + '_ {
        self.latch.close()
    }

    /// Like `take_into`, but returns false if the cell is locked.
    #[cfg(all(test, loom))]
    pub(crate) fn try_take_into(&self, total: &mut HistogramTotal, is_delta: bool) -> bool {
        self.latch.try_close().map(|_closed| self.add_to(total, is_delta)).is_some()
    }

    fn add_to(&self, total: &mut HistogramTotal, is_delta: bool) {
        for (total, count) in total.counts.iter_mut().zip(&self.near) {
            *total += u64::from(count.load(Ordering::Relaxed));
        }
        total.sum += get(&self.sum);
        total.min = total.min.min(get(&self.min));
        total.max = total.max.max(get(&self.max));
        let rare = self.rare.get();
        let far = rare.and_then(|rare| rare.far.get());
        for (total, count) in total.counts.iter_mut().zip(far.into_iter().flatten()) {
            *total += count.load(Ordering::Relaxed);
        }
        match rare.and_then(|rare| rare.reservoir.get()) {
            None => {}
            Some(Reservoir::Aligned(sampling)) => sampling.take_into(&mut total.aligned, is_delta),
            Some(Reservoir::Fixed(sampling)) => sampling.take_into(&mut total.fixed, is_delta),
        }
        if is_delta {
            self.near.iter().for_each(|count| count.store(0, Ordering::Relaxed));
            far.into_iter().flatten().for_each(|count| count.store(0, Ordering::Relaxed));
            set(&self.sum, 0.0);
            set(&self.min, f64::INFINITY);
            set(&self.max, f64::NEG_INFINITY);
        }
    }
}

fn number(value: f64) -> AtomicU64 {
    AtomicU64::new(value.to_bits())
}

#[inline(always)]
fn get(number: &AtomicU64) -> f64 {
    f64::from_bits(number.load(Ordering::Relaxed))
}

#[inline(always)]
fn set(number: &AtomicU64, value: f64) {
    number.store(value.to_bits(), Ordering::Relaxed);
}

/// The total over all cells of a series.
pub(crate) struct HistogramTotal {
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    aligned: MergedBuckets,
    fixed: MergedSlots,
}

impl HistogramTotal {
    pub(crate) fn new(config: &HistogramConfig) -> Self {
        HistogramTotal {
            counts: vec![0; config.bounds.len() + 1],
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            aligned: MergedBuckets::default(),
            fixed: MergedSlots::new(1),
        }
    }

    pub(crate) fn exemplars(self, random: &mut Random) -> Exemplars {
        let of_buckets = self.aligned.finish();
        if of_buckets.is_empty() { self.fixed.finish(random).into() } else { of_buckets }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_the_bucket_below() {
        for bounds in [vec![0.0, 5.0, 10.0], (0..100).map(f64::from).collect()] {
            assert_eq!(bucket_of(&bounds, -1.0), 0);
            assert_eq!(bucket_of(&bounds, bounds[0]), 0);
            assert_eq!(bucket_of(&bounds, bounds[0] + 0.5), 1);
            assert_eq!(bucket_of(&bounds, bounds[1]), 1);
            assert_eq!(bucket_of(&bounds, 1e9), bounds.len());
        }
        assert_eq!(bucket_of(&[], 1.0), 0);
    }

    #[test]
    fn a_locked_cell_is_not_waited_for() {
        let config = HistogramConfig { bounds: [].into(), record_min_max: true, record_sum: true };
        let cell = HistogramCell::new();
        let collection = cell.locked();
        assert_eq!(cell.try_record(&config, 1.0, false), Outcome::Refused);
        drop(collection);
        assert_eq!(cell.try_record(&config, 1.0, false), Outcome::Recorded);
    }

    fn counts(cell: &HistogramCell, config: &HistogramConfig, is_delta: bool) -> Vec<u64> {
        let mut total = HistogramTotal::new(config);
        cell.take_into(&mut total, is_delta);
        total.counts
    }

    #[test]
    fn a_count_does_not_stop_at_32_bits() {
        let config = HistogramConfig { bounds: [0.0].into(), record_min_max: true, record_sum: true };
        let cell = HistogramCell::new();
        cell.near[1].store(u32::MAX - 1, Ordering::Relaxed);
        (0..3).for_each(|_| assert_eq!(cell.try_record(&config, 1.0, false), Outcome::Recorded));
        assert_eq!(counts(&cell, &config, true), [0, (1 << 32) + 1]);
        assert_eq!(counts(&cell, &config, true), [0, 0]);
    }

    #[test]
    fn any_number_of_buckets() {
        for bounds in [0, 1, NEAR - 1, NEAR, 100] {
            let bounds: Vec<_> = (0..bounds).map(|bound| bound as f64).collect();
            let config = HistogramConfig { bounds: bounds.into(), record_min_max: true, record_sum: true };
            let cell = HistogramCell::new();
            let buckets = config.bounds.len() + 1;
            let mut expected = vec![0; buckets];
            for value in 0..2 * buckets {
                assert_eq!(cell.try_record(&config, value as f64 / 2.0 - 0.5, false), Outcome::Recorded);
                expected[bucket_of(&config.bounds, value as f64 / 2.0 - 0.5)] += 1;
            }
            assert_eq!(counts(&cell, &config, false), expected);
            assert_eq!(counts(&cell, &config, true), expected);
            assert_eq!(counts(&cell, &config, true), vec![0; buckets]);
        }
    }
}
