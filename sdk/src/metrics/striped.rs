//! A cell for each thread that records into a series, made when the thread first does.

use std::sync::OnceLock;

/// How many further cells there are; more threads than these share them.
const STRIPES: usize = 8;

/// The cells of one series. Most series are recorded by few threads: the first one's cell is here, the others' are
/// allocated when they come.
pub(super) struct Striped<C> {
    first: Stripe<C>,
    more: OnceLock<Box<[Further<C>]>>,
}

/// A cell that is not there until its thread comes.
type Further<C> = OnceLock<Box<Stripe<C>>>;

/// Aligned so that no two threads write to one cache line.
#[repr(align(128))]
struct Stripe<C> {
    cell: C,
    /// The index of the thread that made it.
    owner: usize,
}

impl<C> Striped<C> {
    pub(super) fn new(thread: usize, cell: C) -> Self {
        Striped { first: Stripe { cell, owner: thread }, more: OnceLock::new() }
    }

    /// The cell of the thread with this index, and whether no other thread has the same one as its own.
    #[inline]
    pub(super) fn of(&self, thread: usize, make: impl FnOnce() -> C) -> (&C, bool) {
        if self.first.owner == thread {
            return (&self.first.cell, true);
        }
        self.further(thread, make)
    }

    #[inline(never)]
    fn further(&self, thread: usize, make: impl FnOnce() -> C) -> (&C, bool) {
        let stripes = self.more.get_or_init(|| (0..STRIPES).map(|_| OnceLock::new()).collect());
        let stripe = stripes[thread % STRIPES].get_or_init(|| Box::new(Stripe { cell: make(), owner: thread }));
        (&stripe.cell, stripe.owner == thread)
    }

    /// All cells.
    pub(super) fn iter(&self) -> impl Iterator<Item = &C> {
        let more = self.more.get().into_iter().flatten().filter_map(OnceLock::get);
        std::iter::once(&self.first.cell).chain(more.map(|stripe| &stripe.cell))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_owns_its_cell_until_there_are_more_threads_than_cells() {
        let striped = Striped::new(3, 0);
        let owned: Vec<_> =
            [3, 0, 1, 3, 0, 8, 11].map(|thread| striped.of(thread, || 1 + thread)).map(|(c, o)| (*c, o)).into();
        // Thread 8 meets the cell of thread 0; 11 has one of its own, for that of 3 is the first.
        assert_eq!(owned, [(0, true), (1, true), (2, true), (0, true), (1, true), (1, false), (12, true)]);
        assert_eq!(striped.iter().count(), 4);
    }
}
