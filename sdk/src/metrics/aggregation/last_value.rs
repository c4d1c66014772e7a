//! The last measurement of a series, regardless of which thread recorded it.

use super::cell::Outcome;
use super::sampling::Sampling;
use crate::metrics::data::Measured;
use crate::metrics::exemplar::{MergedSlots, Offer};
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// A single cell for all threads, because the last value may come from any of them.
pub(crate) struct LastValueCell {
    value: AtomicU64,
    touched: AtomicBool,
    sampling: Sampling,
}

impl LastValueCell {
    pub(crate) fn new() -> Self {
        LastValueCell { value: AtomicU64::new(0), touched: AtomicBool::new(false), sampling: Sampling::new() }
    }

    #[inline(always)]
    pub(crate) fn record<T: Measured>(&self, value: T, is_offered: bool) -> Outcome {
        self.value.store(value.bits(), Ordering::Relaxed);
        // Release ensures that a reader that sees this flag also sees the value.
        self.touched.store(true, Ordering::Release);
        Outcome::recorded(is_offered && self.sampling.is_due())
    }

    pub(crate) fn keep(&self, offer: &Offer<'_>) {
        self.sampling.keep(offer);
    }

    /// Returns the last value, or `None` if nothing was recorded. If `is_delta` is true, only values recorded since
    /// the last call count.
    pub(crate) fn take(&self, is_delta: bool) -> Option<u64> {
        let touched =
            if is_delta { self.touched.swap(false, Ordering::Acquire) } else { self.touched.load(Ordering::Acquire) };
        touched.then(|| self.value.load(Ordering::Relaxed))
    }

    pub(crate) fn take_exemplars(&self, merged: &mut MergedSlots, is_delta: bool) {
        self.sampling.take_into(merged, is_delta);
    }
}
