//! Exemplar sampling in a cell. A counter in front of each reservoir skips most offers without taking a lock or
//! reading the clock.

use crate::metrics::data::Exemplar;
use crate::metrics::exemplar::{KeptByBucket, MergedBuckets, MergedSlots, Offer, SimpleFixedSizeExemplarReservoir};
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering, lock, try_lock};

/// A reservoir for a single exemplar.
///
/// Threads that share a cell may miscount concurrent offers. This changes the sampling probability slightly and
/// has no other effect.
#[repr(C)]
pub(super) struct Sampling {
    reservoir: Mutex<Option<Box<SimpleFixedSizeExemplarReservoir>>>,
    skip: AtomicU64,
}

impl Sampling {
    pub(super) fn new() -> Self {
        Sampling { reservoir: Mutex::new(None), skip: AtomicU64::new(0) }
    }

    /// Counts an offer. Returns true if it should be kept.
    #[inline(always)]
    pub(super) fn is_due(&self) -> bool {
        match self.skip.load(Ordering::Relaxed) {
            0 => true,
            skip => {
                self.skip.store(skip - 1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Keeps an offer for which `is_due` returned true.
    pub(super) fn keep(&self, offer: &Offer<'_>) {
        // Read the clock before locking, because it may be user code.
        let exemplar = offer.exemplar();
        // If another thread holds the lock, discard this offer instead of waiting.
        let Some(mut reservoir) = try_lock(&self.reservoir) else { return };
        let reservoir = reservoir.get_or_insert_with(|| Box::new(SimpleFixedSizeExemplarReservoir::new(1)));
        self.skip.store(reservoir.keep(exemplar), Ordering::Relaxed);
    }

    /// Moves the exemplars to `merged` and restarts the skip count.
    pub(super) fn take_into(&self, merged: &mut MergedSlots, is_delta: bool) {
        if let Some(reservoir) = &mut *lock(&self.reservoir) {
            let left = self.skip.swap(0, Ordering::Relaxed);
            merged.add(reservoir.take(left, is_delta));
        }
    }
}

/// A reservoir with one exemplar per histogram bucket. The caller holds the cell's latch.
pub(super) struct BucketSampling {
    skip: Box<[AtomicU32]>,
    kept: Mutex<KeptByBucket>,
}

impl BucketSampling {
    pub(super) fn new(buckets: usize) -> Self {
        BucketSampling {
            skip: (0..buckets).map(|_| AtomicU32::new(0)).collect(),
            kept: Mutex::new(KeptByBucket::new()),
        }
    }

    /// Counts an offer. Returns true if it should be kept.
    #[inline]
    pub(super) fn is_due(&self, bucket: usize) -> bool {
        let Some(skip) = self.skip.get(bucket) else { return false };
        match skip.load(Ordering::Relaxed) {
            0 => true,
            more => {
                skip.store(more - 1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Keeps an offer for which `is_due` returned true.
    pub(super) fn keep(&self, bucket: usize, exemplar: Exemplar) {
        if let Some(skip) = self.skip.get(bucket) {
            skip.store(lock(&self.kept).keep(bucket, self.skip.len(), exemplar), Ordering::Relaxed);
        }
    }

    /// Moves the exemplars to `merged` and restarts the skip counts.
    pub(super) fn take_into(&self, merged: &mut MergedBuckets, is_delta: bool) {
        let left = |bucket: usize| self.skip.get(bucket).map_or(0, |skip| skip.load(Ordering::Relaxed));
        lock(&self.kept).take_into(merged, left, is_delta);
        self.skip.iter().for_each(|skip| skip.store(0, Ordering::Relaxed));
    }
}
