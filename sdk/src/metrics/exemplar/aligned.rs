//! A reservoir with one place for each bucket of a histogram.

use std::sync::Arc;

use super::{ExemplarReservoir, Offer, Random};
use crate::metrics::Exemplar;
use crate::metrics::aggregation::bucket_of;

/// Keeps one measurement for each bucket of a histogram, each of the bucket's with the same chance.
///
/// spec: metrics/sdk.md#alignedhistogrambucketexemplarreservoir
#[derive(Clone, Debug)]
pub struct AlignedHistogramBucketExemplarReservoir {
    bounds: Arc<[f64]>,
    buckets: Vec<Bucket>,
    random: Random,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    /// Since the last collection.
    seen: u64,
    /// The number of the next measurement that is kept; nothing was seen yet when it is zero.
    next: u64,
    kept: Option<Exemplar>,
}

impl AlignedHistogramBucketExemplarReservoir {
    /// A reservoir for buckets with these upper bounds, and one above.
    pub fn new(bounds: impl Into<Arc<[f64]>>) -> Self {
        let bounds = bounds.into();
        AlignedHistogramBucketExemplarReservoir {
            buckets: vec![Bucket::default(); bounds.len() + 1],
            bounds,
            random: Random::new(),
        }
    }

    /// Offers a measurement whose bucket is known.
    #[inline]
    pub(in crate::metrics) fn offer_in(&mut self, bucket: usize, offer: &Offer<'_>) {
        let Some(bucket) = self.buckets.get_mut(bucket) else { return };
        bucket.seen += 1;
        if bucket.seen < bucket.next {
            return;
        }
        bucket.kept = Some(offer.exemplar());
        // The chance that none of the measurements n+1 to m is kept is n/m.
        let next = (bucket.seen as f64 / self.random.unit()).floor();
        bucket.next = if next < 9e15 { next as u64 + 1 } else { u64::MAX };
    }

    /// Adds what is kept to `merged`, and starts again.
    pub(in crate::metrics) fn take_into(&mut self, merged: &mut MergedBuckets, is_delta: bool) {
        merged.0.resize(self.buckets.len().max(merged.0.len()), (0, None));
        for (bucket, (total, chosen)) in self.buckets.iter_mut().zip(&mut merged.0) {
            let kept = if is_delta { bucket.kept.take() } else { bucket.kept.clone() };
            *total += bucket.seen;
            if kept.is_some() && (chosen.is_none() || *total > 0 && self.random.below(*total) < bucket.seen) {
                *chosen = kept;
            }
            (bucket.seen, bucket.next) = (0, 0);
        }
    }
}

impl ExemplarReservoir for AlignedHistogramBucketExemplarReservoir {
    fn offer(&mut self, offer: &Offer<'_>) {
        self.offer_in(bucket_of(&self.bounds, offer.value().as_f64()), offer);
    }

    fn collect(&mut self, is_delta: bool) -> Vec<Exemplar> {
        let mut merged = MergedBuckets::default();
        self.take_into(&mut merged, is_delta);
        merged.finish()
    }
}

/// The exemplars of a histogram whose measurements were shared among several reservoirs, as if it had been one: for
/// each bucket how many were seen, and the chosen one.
#[derive(Debug, Default)]
pub(in crate::metrics) struct MergedBuckets(Vec<(u64, Option<Exemplar>)>);

impl MergedBuckets {
    pub(in crate::metrics) fn finish(self) -> Vec<Exemplar> {
        self.0.into_iter().filter_map(|(_, chosen)| chosen).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::metrics::exemplar::ExemplarFilter;
    use crate::time::Clock;

    fn offer(reservoir: &mut AlignedHistogramBucketExemplarReservoir, value: f64) {
        let Some(span) = ExemplarFilter::AlwaysOn.eligible() else { unreachable!("always on") };
        let clock = Clock::system();
        let offer = Offer { value: value.into(), given: &[], of_series: &[], span, clock: &clock };
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
        reservoir.random = Random::from_seed(3);
        let mut counts = [0u32; 8];
        for _ in 0..16_000 {
            (0..8).for_each(|value| offer(&mut reservoir, f64::from(value)));
            let kept = values(&reservoir.collect(true));
            assert_eq!(kept.len(), 1);
            counts[kept[0] as usize] += 1;
        }
        // Five standard deviations around 2000.
        assert!(counts.iter().all(|&count| count.abs_diff(2000) < 210), "{counts:?}");
    }
}
