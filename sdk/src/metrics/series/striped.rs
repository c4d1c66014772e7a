//! Cell ownership: a cell shared by all threads, or one cell per thread that records into a series.

use std::sync::OnceLock;

/// The thread that owns a cell. Only one live thread at a time records as the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u32);

impl Owner {
    /// No owner; all threads share the cell.
    pub(crate) const EVERYBODY: Owner = Owner(u32::MAX);

    /// Returns the thread with this index as an owner, or `EVERYBODY` if the thread has no index.
    #[inline]
    pub(crate) fn thread(index: usize) -> Owner {
        u32::try_from(index).map_or(Owner::EVERYBODY, Owner)
    }

    #[inline]
    pub(crate) fn is(self, thread: usize) -> bool {
        self.0 as usize == thread
    }
}

/// Returns the maximum number of additional cells per series: the available parallelism, clamped to between 4 and 64
/// and rounded up to a power of two. If there are more threads, they share cells.
fn stripes() -> usize {
    static STRIPES: OnceLock<usize> = OnceLock::new();
    *STRIPES.get_or_init(|| {
        let parallel = std::thread::available_parallelism().map_or(8, std::num::NonZero::get);
        parallel.clamp(4, 64).next_power_of_two()
    })
}

/// The cells of a series after its first cell. Each is allocated on first use.
#[derive(Default)]
pub(crate) struct Striped<C>(OnceLock<Box<[Slot<C>]>>);

type Slot<C> = OnceLock<Box<Stripe<C>>>;

/// Aligned so that no two cells share a cache line.
#[repr(align(128))]
struct Stripe<C> {
    cell: C,
    owner: Owner,
}

impl<C> Striped<C> {
    pub(crate) fn new() -> Self {
        Striped(OnceLock::new())
    }

    /// Returns the cell for the thread with index `thread`, and true if the thread owns that cell. Returns `None` if
    /// the cell has not been allocated yet.
    #[inline(always)]
    pub(crate) fn get(&self, thread: usize) -> Option<(&C, bool)> {
        let stripes = self.0.get()?;
        let stripe = stripes.get(thread & stripes.len().wrapping_sub(1))?.get()?;
        Some((&stripe.cell, stripe.owner.is(thread)))
    }

    /// Returns the cell for the thread with index `thread`. If there is none yet, creates the cell with `make` and
    /// assigns it to `owner`.
    #[cold]
    pub(crate) fn make(&self, thread: usize, owner: Owner, make: impl FnOnce() -> C) -> &C {
        let stripes = self.0.get_or_init(|| (0..stripes()).map(|_| OnceLock::new()).collect());
        let stripe = &stripes[thread & (stripes.len() - 1)];
        &stripe.get_or_init(|| Box::new(Stripe { cell: make(), owner })).cell
    }

    /// Iterates over all allocated cells.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &C> {
        self.0.get().into_iter().flat_map(|stripes| stripes.iter()).filter_map(OnceLock::get).map(|stripe| &stripe.cell)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_owns_its_cell_until_there_are_more_threads_than_cells() {
        let (striped, n) = (Striped::new(), stripes());
        let of = |thread: usize| {
            striped.make(thread, Owner::thread(thread), || thread);
            striped.get(thread).map(|(cell, owns)| (*cell, owns))
        };
        assert_eq!(striped.get(0), None);
        let expected = [(0, true), (1, true), (0, true), (0, false), (n + 2, true)];
        assert_eq!([0, 1, 0, n, n + 2].map(of), expected.map(Some));
        assert_eq!(striped.make(3, Owner::EVERYBODY, || 7), &7);
        assert_eq!(striped.get(3), Some((&7, false)));
        assert_eq!(striped.iter().copied().collect::<Vec<_>>(), [0, 1, n + 2, 7]);
    }
}
