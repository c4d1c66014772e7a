//! A histogram with exponential buckets that halves its resolution whenever it would exceed its bucket limit.

use super::cell::Outcome;
use super::mapping::index_of;
use crate::metrics::config::ExponentialConfig;
use crate::metrics::data::{Buckets, ExponentialHistogramPoint};
use crate::metrics::exemplar::{MergedSlots, Offer, SimpleFixedSizeExemplarReservoir};
use crate::sync::{Mutex, lock, try_lock};

/// At this scale two buckets cover every float, so a coarser scale is never needed.
const MIN_SCALE: i32 = -11;

/// The exponential histogram of one cell. See [`HistogramCell`](super::histogram::HistogramCell) for the
/// locking rules.
pub(crate) struct ExponentialCell(Mutex<State>);

struct State {
    total: ExponentialTotal,
    reservoir: Option<Box<SimpleFixedSizeExemplarReservoir>>,
    /// Number of offers to skip before the next offer is kept.
    skip: u64,
}

impl ExponentialCell {
    pub(crate) fn new(config: &ExponentialConfig) -> Self {
        ExponentialCell(Mutex::new(State { total: ExponentialTotal::new(config), reservoir: None, skip: 0 }))
    }

    /// Adds a measurement unless the cell is locked.
    pub(crate) fn try_record(&self, config: &ExponentialConfig, value: f64, is_offered: bool) -> Outcome {
        let Some(mut state) = try_lock(&self.0) else { return Outcome::Refused };
        Outcome::recorded(state.record(config, value, is_offered))
    }

    /// Keeps an offer that is due. Like [`HistogramCell`](super::histogram::HistogramCell), reads the clock, which may
    /// be user code, without holding a lock.
    pub(crate) fn keep(&self, config: &ExponentialConfig, offer: &Offer<'_>) {
        let exemplar = offer.exemplar();
        let Some(mut state) = try_lock(&self.0) else { return };
        if state.is_due() {
            let new = || Box::new(SimpleFixedSizeExemplarReservoir::new(config.exemplars()));
            state.skip = state.reservoir.get_or_insert_with(new).keep(exemplar);
        }
    }

    /// Adds this cell's measurements to `total`: all of them, or only those since the last call if `is_delta`.
    pub(crate) fn take_into(
        &self,
        config: &ExponentialConfig,
        total: &mut ExponentialTotal,
        exemplars: &mut MergedSlots,
        is_delta: bool,
    ) {
        let mut state = lock(&self.0);
        total.merge(config, &state.total);
        if is_delta {
            state.total.clear(config);
        }
        let left = std::mem::take(&mut state.skip);
        if let Some(reservoir) = &mut state.reservoir {
            exemplars.add(reservoir.take(left, is_delta));
        }
    }

    /// Returns the number of measurements.
    pub(crate) fn progress(&self) -> u64 {
        lock(&self.0).total.count()
    }
}

impl State {
    /// Records the measurement. Returns true if it was offered as an exemplar and should be kept.
    fn record(&mut self, config: &ExponentialConfig, value: f64, is_offered: bool) -> bool {
        self.total.record(config, value);
        is_offered && self.is_due()
    }

    fn is_due(&mut self) -> bool {
        let is_due = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        is_due
    }
}

/// Bucket counts at a single resolution, together with sum, minimum and maximum.
pub(crate) struct ExponentialTotal {
    scale: i32,
    zeros: u64,
    positive: Side,
    negative: Side,
    sum: f64,
    min: f64,
    max: f64,
}

impl ExponentialTotal {
    pub(crate) fn new(config: &ExponentialConfig) -> Self {
        ExponentialTotal {
            scale: config.max_scale,
            zeros: 0,
            positive: Side::default(),
            negative: Side::default(),
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    pub(super) fn record(&mut self, config: &ExponentialConfig, value: f64) {
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value == 0.0 {
            self.zeros += 1;
            return;
        }
        let magnitude = value.abs();
        let mut index = index_of(magnitude, self.scale);
        let coarser = self.side(value).excess(index, index, config.max_size);
        if coarser > 0 {
            self.coarsen(coarser);
            // Shift the index instead of mapping the value again, so that it lands in the same bucket as its
            // neighbours.
            index >>= coarser;
        }
        self.side(value).add(index, 1);
    }

    fn side(&mut self, value: f64) -> &mut Side {
        if value > 0.0 { &mut self.positive } else { &mut self.negative }
    }

    /// Halves the resolution `times` times.
    fn coarsen(&mut self, times: u32) {
        let times = times.min((self.scale - MIN_SCALE).max(0) as u32);
        self.scale -= times as i32;
        self.positive.coarsen(times);
        self.negative.coarsen(times);
    }

    pub(super) fn merge(&mut self, config: &ExponentialConfig, other: &ExponentialTotal) {
        if other.is_empty() {
            return;
        }
        self.zeros += other.zeros;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        // Reduce both to the coarser of their scales, and then further until both fit together.
        self.coarsen(self.scale.saturating_sub(other.scale).max(0) as u32);
        for (mine, theirs) in [(0, &other.positive), (1, &other.negative)] {
            let Some((low, high)) = theirs.range() else { continue };
            let shift = (other.scale - self.scale) as u32;
            let side = if mine == 0 { &self.positive } else { &self.negative };
            let coarser = side.excess(low >> shift, high >> shift, config.max_size);
            self.coarsen(coarser);
            let shift = (other.scale - self.scale) as u32;
            let side = if mine == 0 { &mut self.positive } else { &mut self.negative };
            for (at, count) in theirs.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                side.add((theirs.offset + at as i32) >> shift, *count);
            }
        }
    }

    /// Resets the counts and the resolution but keeps the allocations.
    fn clear(&mut self, config: &ExponentialConfig) {
        let (mut positive, mut negative) = (std::mem::take(&mut self.positive), std::mem::take(&mut self.negative));
        positive.counts.clear();
        negative.counts.clear();
        *self = ExponentialTotal { positive, negative, ..ExponentialTotal::new(config) };
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.min > self.max
    }

    fn count(&self) -> u64 {
        self.positive.counts.iter().chain(&self.negative.counts).fold(self.zeros, |sum, count| sum.wrapping_add(*count))
    }

    /// Moves the counts into a point.
    pub(crate) fn into_point(
        self,
        config: &ExponentialConfig,
        attributes: crate::metrics::Attributes,
    ) -> ExponentialHistogramPoint {
        let (positive, negative) = (self.positive.into(), self.negative.into());
        let mut point = ExponentialHistogramPoint::new(attributes, self.scale, self.zeros, positive, negative);
        point.sum = config.record_sum.then_some(self.sum);
        if config.record_min_max {
            (point.min, point.max) = (Some(self.min), Some(self.max));
        }
        point
    }
}

/// The buckets for values of one sign. Counts start at index `offset`; the first and the last count are nonzero.
#[derive(Default)]
struct Side {
    offset: i32,
    counts: Vec<u64>,
}

impl From<Side> for Buckets {
    fn from(side: Side) -> Self {
        Buckets::new(if side.counts.is_empty() { 0 } else { side.offset }, side.counts)
    }
}

impl Side {
    /// Returns the indices of the first and the last bucket.
    fn range(&self) -> Option<(i32, i32)> {
        let last = self.counts.len().checked_sub(1)?;
        Some((self.offset, self.offset + last as i32))
    }

    /// Returns how many times the resolution must be halved so that the buckets from `low` to `high` also fit.
    fn excess(&self, low: i32, high: i32, max_size: usize) -> u32 {
        let (mut low, mut high) = self.range().map_or((low, high), |(first, last)| (first.min(low), last.max(high)));
        let mut times = 0;
        while i64::from(high) - i64::from(low) >= max_size as i64 {
            (low, high) = (low >> 1, high >> 1);
            times += 1;
        }
        times
    }

    fn add(&mut self, index: i32, count: u64) {
        let Some((first, last)) = self.range() else {
            self.offset = index;
            self.counts.push(count);
            return;
        };
        if index < first {
            let missing = (first - index) as usize;
            self.counts.splice(..0, std::iter::repeat_n(0, missing));
            self.offset = index;
        } else if index > last {
            self.counts.resize((index - first) as usize + 1, 0);
        }
        if let Some(bucket) = self.counts.get_mut((index - self.offset) as usize) {
            *bucket += count;
        }
    }

    fn coarsen(&mut self, times: u32) {
        let Some((first, last)) = self.range().filter(|_| times > 0) else { return };
        let low = first >> times;
        for index in first..=last {
            let count = std::mem::take(&mut self.counts[(index - first) as usize]);
            self.counts[((index >> times) - low) as usize] += count;
        }
        self.counts.truncate(((last >> times) - low) as usize + 1);
        self.offset = low;
    }
}
