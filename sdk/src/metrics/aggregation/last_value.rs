//! The last measurement of a series, regardless of which thread recorded it.

use super::cell::Outcome;
use super::sampling::Sampling;
use crate::metrics::data::Measured;
use crate::metrics::exemplar::{MergedSlots, Offer};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Nothing was recorded, or a delta collection has taken it.
const EMPTY: u32 = 0;
/// A value was recorded since the last look.
const FRESH: u32 = 1;
/// There is a value, and [`LastValueCell::take_touched`] has seen it.
const SEEN: u32 = 2;

/// A single cell for all threads, because the last value may come from any of them.
pub(crate) struct LastValueCell {
    value: AtomicU64,
    state: AtomicU32,
    sampling: Sampling,
}

impl LastValueCell {
    pub(crate) fn new() -> Self {
        LastValueCell { value: AtomicU64::new(0), state: AtomicU32::new(EMPTY), sampling: Sampling::new() }
    }

    #[inline(always)]
    pub(crate) fn record<T: Measured>(&self, value: T, is_offered: bool) -> Outcome {
        self.value.store(value.bits(), Ordering::Relaxed);
        // Release ensures that a reader that sees this state also sees the value.
        self.state.store(FRESH, Ordering::Release);
        Outcome::recorded(is_offered && self.sampling.is_due())
    }

    pub(crate) fn keep(&self, offer: &Offer<'_>) {
        self.sampling.keep(offer);
    }

    /// Returns the last value, or `None` if nothing was recorded. If `is_delta` is true, only values recorded since
    /// the last call count.
    pub(crate) fn take(&self, is_delta: bool) -> Option<u64> {
        let state =
            if is_delta { self.state.swap(EMPTY, Ordering::Acquire) } else { self.state.load(Ordering::Acquire) };
        (state != EMPTY).then(|| self.value())
    }

    /// Returns true if a value was recorded since the last call, and keeps the value. Use it only without deltas.
    pub(crate) fn take_touched(&self) -> bool {
        self.state.compare_exchange(FRESH, SEEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Returns the bits of the last value.
    pub(crate) fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    pub(crate) fn take_exemplars(&self, merged: &mut MergedSlots, is_delta: bool) {
        self.sampling.take_into(merged, is_delta);
    }
}
