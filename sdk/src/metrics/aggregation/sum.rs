//! The sum of the measurements in one cell, recorded by its owner and by threads that share it.

use super::cell::Outcome;
use super::sampling::Sampling;
use crate::metrics::data::{Measured, NumberType};
use crate::metrics::exemplar::{MergedSlots, Offer};
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Two sums: one written only by the owner, without an atomic read-modify-write, and one for all other threads.
#[repr(C)]
pub(crate) struct SumCell {
    sampling: Sampling,
    owned: AtomicU64,
    shared: AtomicU64,
    /// The total over all cells of the series at the last delta collection. Only collections use it, one at a
    /// time, and only in the first cell.
    reported: AtomicU64,
    /// True if anything was added since the last collection; the sum alone cannot tell.
    touched: AtomicBool,
    /// True once a collection has found a measurement in any cell of the series. Used only in the first cell.
    ever_touched: AtomicBool,
}

impl SumCell {
    pub(crate) fn new() -> Self {
        SumCell {
            sampling: Sampling::new(),
            owned: AtomicU64::new(0),
            shared: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            touched: AtomicBool::new(false),
            ever_touched: AtomicBool::new(false),
        }
    }

    /// Adds a measurement. `owns` may be true for only one living thread, and never if collections take the sum out of the
    /// cell.
    #[inline(always)]
    pub(crate) fn record<T: Measured>(&self, owns: bool, value: T, is_offered: bool) -> Outcome {
        if owns {
            // If the sum would overflow here, the measurement is added to the shared sum instead; the total of both
            // stops at the limit.
            let sum = T::from_bits(self.owned.load(Ordering::Relaxed)).checked_plus(value);
            let Some(sum) = sum else { return Outcome::Refused };
            self.owned.store(sum.bits(), Ordering::Relaxed);
        } else {
            self.add_shared(value);
        }
        if !self.touched.load(Ordering::Relaxed) {
            self.touched.store(true, Ordering::Relaxed);
        }
        Outcome::recorded(is_offered && self.sampling.is_due())
    }

    #[inline(always)]
    fn add_shared<T: Measured>(&self, value: T) {
        if T::TYPE == NumberType::U64 {
            let before = self.shared.fetch_add(value.bits(), Ordering::Relaxed);
            if before.checked_add(value.bits()).is_none() {
                // Saturate. The next addition overflows as well, so the sum stays at the limit.
                self.shared.store(u64::MAX, Ordering::Relaxed);
            }
            return;
        }
        let mut sum = self.shared.load(Ordering::Relaxed);
        loop {
            let new = T::from_bits(sum).plus(value).bits();
            match self.shared.compare_exchange_weak(sum, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => sum = now,
            }
        }
    }

    pub(crate) fn keep(&self, offer: &Offer<'_>) {
        self.sampling.keep(offer);
    }

    /// Returns the total sum.
    pub(crate) fn total(&self, number: NumberType) -> u64 {
        number.add(self.owned.load(Ordering::Relaxed), self.shared.load(Ordering::Relaxed))
    }

    /// Returns the sum since the last call. Use it only for cells without an owner.
    pub(crate) fn take_shared(&self) -> u64 {
        self.shared.swap(0, Ordering::Relaxed)
    }

    /// Stores `total` as the reported total and returns the previous one.
    pub(crate) fn report(&self, total: u64) -> u64 {
        self.reported.swap(total, Ordering::Relaxed)
    }

    /// Returns true if anything was added since the last call. A concurrent addition may change the sum before
    /// it sets this flag, so callers also check the sum itself.
    pub(crate) fn take_touched(&self) -> bool {
        self.touched.swap(false, Ordering::Relaxed)
    }

    /// Returns true if `now` is true, in this call or any earlier one.
    pub(crate) fn ever_touched(&self, now: bool) -> bool {
        self.ever_touched.fetch_or(now, Ordering::Relaxed) | now
    }

    pub(crate) fn take_exemplars(&self, merged: &mut MergedSlots, is_delta: bool) {
        self.sampling.take_into(merged, is_delta);
    }
}
