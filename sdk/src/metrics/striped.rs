//! A cell for each thread that records into a series, made when the thread first does.

use std::sync::OnceLock;

/// How many further cells a series may have: one for each thread that can run at once, a power of two. More threads
/// than these share them.
fn stripes() -> usize {
    static STRIPES: OnceLock<usize> = OnceLock::new();
    *STRIPES.get_or_init(|| {
        let parallel = std::thread::available_parallelism().map_or(8, std::num::NonZero::get);
        parallel.clamp(4, 64).next_power_of_two()
    })
}

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
        let known = self.more.get().and_then(|stripes| stripes[thread & (stripes.len() - 1)].get());
        let stripe = match known {
            Some(stripe) => stripe,
            None => self.further(thread, thread, make),
        };
        (&stripe.cell, stripe.owner == thread)
    }

    /// A cell beside that of the thread, which is nobody's own if it is not there yet: for a measurement that finds the
    /// thread's cell locked.
    #[cold]
    pub(super) fn beside(&self, thread: usize, make: impl FnOnce() -> C) -> &C {
        &self.further(thread.wrapping_add(1), usize::MAX, make).cell
    }

    #[cold]
    fn further(&self, thread: usize, owner: usize, make: impl FnOnce() -> C) -> &Stripe<C> {
        let stripes = self.more.get_or_init(|| (0..stripes()).map(|_| OnceLock::new()).collect());
        stripes[thread & (stripes.len() - 1)].get_or_init(|| Box::new(Stripe { cell: make(), owner }))
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
        let (striped, n) = (Striped::new(3, 0), stripes());
        let mut of = |thread: usize| {
            let (cell, owns) = striped.of(thread, || 1 + thread);
            (*cell, owns)
        };
        // Thread n meets the cell of thread 0; n + 3 has one of its own, for that of 3 is the first.
        let seen = [3, 0, 1, 3, 0, n, n + 3].map(&mut of);
        assert_eq!(seen, [(0, true), (1, true), (2, true), (0, true), (1, true), (1, false), (n + 4, true)]);
        assert_eq!(striped.iter().count(), 4);
    }
}
