//! Cell ownership: a cell shared by all threads, or one cell per thread that records into a series.

use std::sync::OnceLock;

/// The thread that owns a cell. At most one live thread records as the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u32);

impl Owner {
    /// No owner; all threads share the cell.
    pub(crate) const EVERYBODY: Owner = Owner(u32::MAX);

    /// Returns the thread with this index as owner, or `EVERYBODY` if the thread has no index.
    #[inline]
    pub(crate) fn thread(index: usize) -> Owner {
        u32::try_from(index).map_or(Owner::EVERYBODY, Owner)
    }

    #[inline]
    pub(crate) fn is(self, thread: usize) -> bool {
        self.0 as usize == thread
    }
}

/// Returns the maximum number of additional cells of a series: the available parallelism, rounded up to a power
/// of two and kept between 4 and 64. Further threads share cells.
fn stripes() -> usize {
    static STRIPES: OnceLock<usize> = OnceLock::new();
    *STRIPES.get_or_init(|| {
        let parallel = std::thread::available_parallelism().map_or(8, std::num::NonZero::get);
        parallel.clamp(4, 64).next_power_of_two()
    })
}

/// The cells of a series after the first, each allocated on first use. Before that, this takes a pointer and a
/// half.
#[derive(Default)]
pub(crate) struct Striped<C>(OnceLock<Box<Stripes<C>>>);

type Stripes<C> = Vec<OnceLock<Box<Stripe<C>>>>;

/// Aligned so that no two threads share a cache line.
#[repr(align(128))]
struct Stripe<C> {
    cell: C,
    owner: Owner,
}

impl<C> Striped<C> {
    pub(crate) fn new() -> Self {
        Striped(OnceLock::new())
    }

    /// Returns the cell for the thread with this index, and true if the thread owns it.
    #[inline]
    pub(crate) fn of(&self, thread: usize, make: impl FnOnce() -> C) -> (&C, bool) {
        let known = self.0.get().and_then(|stripes| stripes[thread & (stripes.len() - 1)].get());
        let stripe = match known {
            Some(stripe) => stripe,
            None => self.further(thread, Owner::thread(thread), make),
        };
        (&stripe.cell, stripe.owner.is(thread))
    }

    /// Returns the cell after the thread's own, allocating it as a shared cell if needed. Used when a thread
    /// finds its own cell locked.
    #[cold]
    pub(crate) fn beside(&self, thread: usize, make: impl FnOnce() -> C) -> &C {
        &self.further(thread.wrapping_add(1), Owner::EVERYBODY, make).cell
    }

    #[cold]
    fn further(&self, thread: usize, owner: Owner, make: impl FnOnce() -> C) -> &Stripe<C> {
        let stripes = self.0.get_or_init(|| Box::new((0..stripes()).map(|_| OnceLock::new()).collect()));
        stripes[thread & (stripes.len() - 1)].get_or_init(|| Box::new(Stripe { cell: make(), owner }))
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
            let (cell, owns) = striped.of(thread, || thread);
            (*cell, owns)
        };
        assert_eq!([0, 1, 0, n, n + 2].map(of), [(0, true), (1, true), (0, true), (0, false), (n + 2, true)]);
        assert_eq!(striped.beside(2, || 7), &7);
        assert_eq!(of(3), (7, false));
        assert_eq!(striped.iter().copied().collect::<Vec<_>>(), [0, 1, n + 2, 7]);
    }
}
