//! The exemplars of a cell that is a single number.

use crate::metrics::exemplar::{MergedSlots, Offer, SimpleFixedSizeExemplarReservoir};
use crate::sync::{AtomicU64, Mutex, Ordering, lock, try_lock};

/// A reservoir of one place, with a count before it of how many offers to let pass: those cost neither lock nor clock.
///
/// Threads that share a cell may count one offer as two or two as one, which moves the chances a little and nothing else.
pub(super) struct Sampling {
    skip: AtomicU64,
    reservoir: Mutex<Option<Box<SimpleFixedSizeExemplarReservoir>>>,
}

impl Sampling {
    pub(super) fn new() -> Self {
        Sampling { skip: AtomicU64::new(0), reservoir: Mutex::new(None) }
    }

    #[inline]
    pub(super) fn offer(&self, offer: &Offer<'_>) {
        match self.skip.load(Ordering::Relaxed) {
            0 => self.keep(offer),
            skip => self.skip.store(skip - 1, Ordering::Relaxed),
        }
    }

    #[cold]
    fn keep(&self, offer: &Offer<'_>) {
        let exemplar = offer.exemplar();
        // A collection is at it: this one is let go instead of waiting.
        let Some(mut reservoir) = try_lock(&self.reservoir) else { return };
        let reservoir = reservoir.get_or_insert_with(|| Box::new(SimpleFixedSizeExemplarReservoir::new(1)));
        self.skip.store(reservoir.keep(exemplar), Ordering::Relaxed);
    }

    /// Adds what is kept to `merged`, and starts again.
    pub(super) fn take_into(&self, merged: &mut MergedSlots, is_delta: bool) {
        if let Some(reservoir) = &mut *lock(&self.reservoir) {
            let left = self.skip.swap(0, Ordering::Relaxed);
            merged.add(reservoir.take(left, is_delta));
        }
    }
}
