//! A histogram with given bounds.

use std::sync::Arc;

use crate::metrics::Exemplar;
use crate::metrics::exemplar::{
    AlignedHistogramBucketExemplarReservoir, MergedBuckets, MergedSlots, Offer, Random,
    SimpleFixedSizeExemplarReservoir,
};
use crate::sync::{Mutex, lock, try_lock};

/// What the histograms of a stream have in common.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::metrics) struct HistogramConfig {
    pub(in crate::metrics) bounds: Arc<[f64]>,
    pub(in crate::metrics) record_min_max: bool,
    pub(in crate::metrics) record_sum: bool,
}

/// The bucket of a value: how many bounds are below it.
#[inline]
pub(in crate::metrics) fn bucket_of(bounds: &[f64], value: f64) -> usize {
    // Without branches up to a size at which halving wins.
    if bounds.len() <= 32 {
        bounds.iter().map(|bound| usize::from(*bound < value)).sum()
    } else {
        bounds.partition_point(|bound| *bound < value)
    }
}

/// The histogram of one thread, and of those who share its cell. Its lock keeps a histogram from being torn. A thread
/// that finds it locked, by a collection for example, records into another cell instead of waiting.
pub(in crate::metrics) struct HistogramCell(Mutex<State>);

struct State {
    counts: Box<[u64]>,
    sum: f64,
    min: f64,
    max: f64,
    reservoir: Option<Reservoir>,
}

enum Reservoir {
    Aligned(Box<AlignedHistogramBucketExemplarReservoir>),
    /// Of a histogram without buckets.
    Fixed {
        reservoir: Box<SimpleFixedSizeExemplarReservoir>,
        skip: u64,
    },
}

impl HistogramCell {
    pub(in crate::metrics) fn new(config: &HistogramConfig) -> Self {
        let counts = vec![0; config.bounds.len() + 1].into_boxed_slice();
        HistogramCell(Mutex::new(State {
            counts,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            reservoir: None,
        }))
    }

    /// Adds a measurement if the cell is not locked just now; whether it did.
    #[inline(always)]
    pub(in crate::metrics) fn try_record(
        &self,
        config: &HistogramConfig,
        value: f64,
        offer: Option<&Offer<'_>>,
    ) -> bool {
        let bucket = bucket_of(&config.bounds, value);
        try_lock(&self.0).map(|mut state| state.record(config, bucket, value, offer)).is_some()
    }

    /// Adds a measurement when the cell is not locked any more.
    pub(in crate::metrics) fn record(&self, config: &HistogramConfig, value: f64, offer: Option<&Offer<'_>>) {
        lock(&self.0).record(config, bucket_of(&config.bounds, value), value, offer);
    }

    /// Adds the measurements since the last call, or since the beginning, to `total`.
    pub(in crate::metrics) fn take_into(&self, total: &mut HistogramTotal, is_delta: bool) {
        let mut state = lock(&self.0);
        let state = &mut *state;
        for (total, count) in total.counts.iter_mut().zip(&state.counts) {
            *total += count;
        }
        total.sum += state.sum;
        total.min = total.min.min(state.min);
        total.max = total.max.max(state.max);
        if is_delta {
            state.counts.fill(0);
            (state.sum, state.min, state.max) = (0.0, f64::INFINITY, f64::NEG_INFINITY);
        }
        match &mut state.reservoir {
            None => {}
            Some(Reservoir::Aligned(reservoir)) => reservoir.take_into(&mut total.aligned, is_delta),
            Some(Reservoir::Fixed { reservoir, skip }) => {
                total.fixed.add(reservoir.take(std::mem::take(skip), is_delta));
            }
        }
    }
}

impl State {
    #[inline(always)]
    fn record(&mut self, config: &HistogramConfig, bucket: usize, value: f64, offer: Option<&Offer<'_>>) {
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += value;
        // Plain comparisons: a measurement is finite.
        if value < self.min {
            self.min = value;
        }
        if value > self.max {
            self.max = value;
        }
        if let Some(offer) = offer {
            self.offer(config, bucket, offer);
        }
    }

    #[inline(never)]
    fn offer(&mut self, config: &HistogramConfig, bucket: usize, offer: &Offer<'_>) {
        // spec: metrics/sdk.md#exemplar-defaults — aligned where there is more than one bucket.
        let reservoir = self.reservoir.get_or_insert_with(|| match &*config.bounds {
            [] => Reservoir::Fixed { reservoir: Box::new(SimpleFixedSizeExemplarReservoir::new(1)), skip: 0 },
            _ => Reservoir::Aligned(Box::new(AlignedHistogramBucketExemplarReservoir::new(config.bounds.clone()))),
        });
        match reservoir {
            Reservoir::Aligned(reservoir) => reservoir.offer_in(bucket, offer),
            Reservoir::Fixed { skip, .. } if *skip > 0 => *skip -= 1,
            Reservoir::Fixed { reservoir, skip } => *skip = reservoir.keep(offer.exemplar()),
        }
    }
}

/// The cells of a series added up.
pub(in crate::metrics) struct HistogramTotal {
    pub(in crate::metrics) counts: Vec<u64>,
    pub(in crate::metrics) sum: f64,
    pub(in crate::metrics) min: f64,
    pub(in crate::metrics) max: f64,
    aligned: MergedBuckets,
    fixed: MergedSlots,
}

impl HistogramTotal {
    pub(in crate::metrics) fn new(config: &HistogramConfig) -> Self {
        HistogramTotal {
            counts: vec![0; config.bounds.len() + 1],
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            aligned: MergedBuckets::default(),
            fixed: MergedSlots::new(1),
        }
    }

    pub(in crate::metrics) fn exemplars(self, random: &mut Random) -> Vec<Exemplar> {
        let mut exemplars = self.aligned.finish();
        exemplars.extend(self.fixed.finish(random));
        exemplars
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
        let cell = HistogramCell::new(&config);
        let collection = lock(&cell.0);
        assert!(!cell.try_record(&config, 1.0, None));
        drop(collection);
        assert!(cell.try_record(&config, 1.0, None));
    }
}
