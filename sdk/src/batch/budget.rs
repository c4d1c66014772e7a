//! A bound shared by the shards of a queue. Each shard takes its part in portions.

use crate::sync::{AtomicIsize, Ordering};

/// An amount of items or bytes that many threads use up without contending for it.
pub(super) struct Budget {
    /// The amount that no shard has taken. Negative if [`Self::charge`], which never refuses, exceeds the capacity.
    free: AtomicIsize,
    capacity: usize,
    /// The amount that a shard normally takes at a time.
    portion: usize,
    /// The amount taken at which the worker should run.
    threshold: usize,
}

impl Budget {
    pub(super) fn new(capacity: usize, portion: usize, threshold: usize) -> Self {
        let free = isize::try_from(capacity).unwrap_or(isize::MAX);
        Budget { free: AtomicIsize::new(free), capacity: free.unsigned_abs(), portion, threshold }
    }

    /// Takes a portion, or `needed` if that is larger, or everything that is left if less than a portion is left.
    /// Takes nothing and returns zero if less than `needed` is left.
    pub(super) fn take(&self, needed: usize) -> usize {
        let mut free = self.free.load(Ordering::Relaxed);
        loop {
            let there = usize::try_from(free).unwrap_or(0);
            if there < needed {
                return 0;
            }
            let taken = there.min(self.portion.max(needed));
            let left = free.saturating_sub_unsigned(taken);
            match self.free.compare_exchange_weak(free, left, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return taken,
                Err(now) => free = now,
            }
        }
    }

    /// Takes an amount that is already in use, even if it exceeds what is left.
    pub(super) fn charge(&self, amount: usize) {
        self.free.fetch_sub(signed(amount), Ordering::Relaxed);
    }

    /// Returns an amount to the budget.
    pub(super) fn release(&self, amount: usize) {
        self.free.fetch_add(signed(amount), Ordering::Relaxed);
    }

    /// Returns the total amount taken.
    pub(super) fn taken(&self) -> usize {
        let free = self.free.load(Ordering::Relaxed);
        self.capacity.saturating_add_signed(free.saturating_neg())
    }

    /// Returns true if enough has been taken that the worker should run.
    pub(super) fn is_much_taken(&self) -> bool {
        self.taken() >= self.threshold
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }
}

fn signed(amount: usize) -> isize {
    isize::try_from(amount).unwrap_or(isize::MAX)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_in_portions_and_as_much_as_is_needed() {
        let budget = Budget::new(100, 30, 50);
        assert_eq!([budget.take(1), budget.take(40), budget.take(31)], [30, 40, 0]);
        assert_eq!((budget.take(30), budget.take(1), budget.taken()), (30, 0, 100));
        budget.release(40);
        assert_eq!((budget.taken(), budget.is_much_taken()), (60, true));
    }

    #[test]
    fn what_is_used_already_is_charged_beyond_the_capacity() {
        let budget = Budget::new(10, 10, 5);
        budget.charge(25);
        assert_eq!((budget.take(1), budget.taken()), (0, 25));
        budget.release(25);
        assert_eq!((budget.take(1), budget.taken()), (10, 10));
    }

    #[test]
    fn a_capacity_without_bound_does_not_overflow() {
        let budget = Budget::new(usize::MAX, usize::MAX, usize::MAX);
        assert!(budget.take(1) > 0);
        budget.charge(3);
        assert!(budget.taken() > 0);
    }
}
