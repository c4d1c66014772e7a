//! A reservoir with one exemplar per histogram bucket.

use std::sync::Arc;

use super::offer::{ExemplarReservoir, Offer};
use super::random::Random;
use crate::metrics::data::{Exemplar, Exemplars, bucket_of};

/// Keeps one measurement per histogram bucket, chosen uniformly from all measurements that fall into the bucket.
///
/// spec: metrics/sdk.md#alignedhistogrambucketexemplarreservoir
#[derive(Clone, Debug)]
pub struct AlignedHistogramBucketExemplarReservoir {
    bounds: Arc<[f64]>,
    /// Number of measurements to skip in each bucket.
    skip: Vec<u32>,
    kept: KeptByBucket,
}

impl AlignedHistogramBucketExemplarReservoir {
    /// Creates a reservoir for buckets with these upper bounds, plus one bucket above the last bound.
    pub fn new(bounds: impl Into<Arc<[f64]>>) -> Self {
        let bounds = bounds.into();
        let skip = vec![0; bounds.len() + 1];
        AlignedHistogramBucketExemplarReservoir { bounds, skip, kept: KeptByBucket::new() }
    }
}

impl ExemplarReservoir for AlignedHistogramBucketExemplarReservoir {
    fn offer(&mut self, offer: &Offer<'_>) {
        let bucket = bucket_of(&self.bounds, offer.value().as_f64());
        let buckets = self.skip.len();
        match self.skip.get_mut(bucket) {
            Some(skip @ 0) => *skip = self.kept.keep(bucket, buckets, offer.exemplar()),
            Some(skip) => *skip -= 1,
            None => {}
        }
    }

    fn collect(&mut self, is_delta: bool) -> Vec<Exemplar> {
        let mut merged = MergedBuckets::default();
        self.kept.take_into(&mut merged, |bucket| self.skip[bucket], is_delta);
        self.skip.fill(0);
        merged.finish().into_iter().collect()
    }
}

/// A histogram's exemplars, in bucket order. Buckets without an exemplar use no memory.
#[derive(Clone, Debug)]
pub(crate) struct KeptByBucket {
    kept: Exemplars,
    /// One entry per exemplar.
    places: Vec<Place>,
    random: Random,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    bucket: u32,
    /// Index of the next measurement to keep, counted since the last collection.
    next: u64,
}

impl KeptByBucket {
    pub(crate) fn new() -> Self {
        KeptByBucket { kept: Exemplars::none(), places: Vec::new(), random: Random::new() }
    }

    /// Keeps the measurement for its bucket, and returns how many measurements in that bucket to skip before keeping
    /// another one.
    pub(crate) fn keep(&mut self, bucket: usize, buckets: usize, exemplar: Exemplar) -> u32 {
        let bucket = bucket as u32;
        let at = match self.places.binary_search_by_key(&bucket, |place| place.bucket) {
            Ok(at) => {
                self.kept.replace(at, exemplar);
                at
            }
            Err(at) => {
                let known = self.places.len();
                if known == self.places.capacity() {
                    self.places.reserve_exact(known.min(buckets.saturating_sub(known)).max(1));
                }
                self.kept.insert(at, exemplar);
                self.places.insert(at, Place { bucket, next: 1 });
                at
            }
        };
        // With n measurements seen, the probability that none of the measurements n+1 to m is kept is n/m. The
        // cast saturates.
        let place = &mut self.places[at];
        let number = place.next;
        let pass = (number as f64 / self.random.unit()).floor() - number as f64;
        let pass = pass as u32;
        place.next = number + u64::from(pass) + 1;
        pass
    }

    /// Moves the exemplars to `merged` and resets the counts. For a bucket, `left` returns the number of measurements
    /// that are still to be skipped.
    pub(crate) fn take_into(&mut self, merged: &mut MergedBuckets, left: impl Fn(usize) -> u32, is_delta: bool) {
        let seen = |place: &Place| (place.next - 1).saturating_sub(left(place.bucket as usize).into());
        if merged.seen.is_empty() {
            // Usually, only one cell has exemplars.
            merged.seen = self.places.iter().map(|place| (place.bucket, seen(place))).collect();
            merged.chosen = self.kept.clone();
        } else {
            for (place, exemplar) in self.places.iter().zip(&self.kept) {
                merged.add(place.bucket, seen(place), exemplar, &mut self.random);
            }
        }
        if is_delta {
            (self.kept, self.places) = (Exemplars::none(), Vec::new());
        } else {
            self.places.iter_mut().for_each(|place| place.next = 1);
        }
    }
}

/// Merges a histogram's exemplars from several reservoirs, in bucket order, with the same probabilities as a
/// single reservoir.
#[derive(Debug, Default)]
pub(crate) struct MergedBuckets {
    chosen: Exemplars,
    /// The bucket of each exemplar, together with the number of measurements seen in that bucket.
    seen: Vec<(u32, u64)>,
}

impl MergedBuckets {
    fn add(&mut self, bucket: u32, seen: u64, exemplar: &Exemplar, random: &mut Random) {
        match self.seen.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Err(at) => {
                self.seen.insert(at, (bucket, seen));
                self.chosen.insert(at, exemplar.clone());
            }
            Ok(at) => {
                let (_, total) = &mut self.seen[at];
                *total += seen;
                if *total > 0 && random.below(*total) < seen {
                    self.chosen.replace(at, exemplar.clone());
                }
            }
        }
    }

    pub(crate) fn finish(self) -> Exemplars {
        self.chosen
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::metrics::exemplar::{Eligible, Given};
    use crate::time::Clock;

    fn offer(reservoir: &mut AlignedHistogramBucketExemplarReservoir, value: f64) {
        let span = Eligible::current();
        let clock = Clock::system();
        let offer = Offer { value: value.into(), given: Given::new(&[], None), of_series: &[], span, clock: &clock };
        reservoir.offer(&offer);
    }

    fn values(exemplars: &[Exemplar]) -> Vec<f64> {
        exemplars.iter().map(|exemplar| exemplar.value.as_f64()).collect()
    }

    #[test]
    fn one_for_each_bucket_and_bounds_belong_to_the_bucket_below() {
        let mut reservoir = AlignedHistogramBucketExemplarReservoir::new([0.0, 10.0]);
        for value in [10.0, -3.0, 11.0] {
            offer(&mut reservoir, value);
        }
        assert_eq!(values(&reservoir.collect(true)), [-3.0, 10.0, 11.0]);
        assert_eq!(values(&reservoir.collect(true)), []);
    }

    #[test]
    fn every_measurement_of_a_bucket_has_the_same_chance() {
        let mut reservoir = AlignedHistogramBucketExemplarReservoir::new([100.0]);
        reservoir.kept.random = Random::from_seed(3);
        let mut counts = [0u32; 8];
        for _ in 0..16_000 {
            (0..8).for_each(|value| offer(&mut reservoir, f64::from(value)));
            let kept = values(&reservoir.collect(true));
            assert_eq!(kept.len(), 1);
            counts[kept[0] as usize] += 1;
        }
        // The expected number is 2000; the tolerance is five standard deviations.
        assert!(counts.iter().all(|&count| count.abs_diff(2000) < 210), "{counts:?}");
    }
}
