//! A limit on the number of items that reach a processor in a second.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Processor;
use crate::diag::{Counters, LimitCounts};
use crate::error::ExportError;
use crate::signal::Signal;
use crate::time::{Clock, Deadline};

/// Number of seconds by which the clock may go back within one window. If it goes back further, a new window begins.
const MAX_BACKWARDS: u32 = 60;

/// Passes a number of items on in each second of the clock, and drops the others before they take up room in a queue.
pub(crate) struct RateLimited<S: Signal> {
    inner: Box<dyn Processor<S>>,
    window: Window,
    clock: Clock,
    counters: Vec<Arc<Counters>>,
    counts: Arc<LimitCounts>,
}

impl<S: Signal> RateLimited<S> {
    pub(crate) fn new(
        inner: Box<dyn Processor<S>>,
        max_per_second: u32,
        clock: Clock,
        counts: Arc<LimitCounts>,
    ) -> Self {
        let (counters, window) = (inner.all_counters(), Window::new(max_per_second));
        RateLimited { inner, window, clock, counters, counts }
    }

    #[cold]
    fn lose(&self, item: &S::Item) {
        self.inner.lost(item);
        self.counts.over_rate.fetch_add(1, Ordering::Relaxed);
        self.counters.iter().for_each(|counters| counters.dropped_by_stage(1));
    }
}

impl<S: Signal> Processor<S> for RateLimited<S> {
    fn add(&self, item: S::Item) {
        match self.window.admits(self.clock.now().as_nanos() / 1_000_000_000) {
            true => self.inner.add(item),
            false => self.lose(&item),
        }
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.inner.flush(deadline)
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.inner.shutdown(deadline)
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        self.counters.clone()
    }

    fn make_room(&self, deadline: Deadline) -> bool {
        self.inner.make_room(deadline)
    }

    #[inline]
    fn takes_unsampled(&self) -> bool {
        self.inner.takes_unsampled()
    }
}

impl<S: Signal> fmt::Debug for RateLimited<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimited").field("max_per_second", &self.window.max).field("inner", &self.inner).finish()
    }
}

/// The current second and the number of items in it, without a lock.
#[derive(Debug)]
struct Window {
    max: u32,
    /// The lower half of the second, then the number of items.
    state: AtomicU64,
}

impl Window {
    fn new(max: u32) -> Self {
        Window { max: max.max(1), state: AtomicU64::new(0) }
    }

    /// Returns true if the item of this second is within the limit. A second that is over because another thread has seen a later one counts
    /// in that.
    fn admits(&self, second: u64) -> bool {
        let second = second as u32;
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            let (of, count) = ((seen >> 32) as u32, seen as u32);
            let is_same = of.wrapping_sub(second) <= MAX_BACKWARDS;
            if is_same && count >= self.max {
                return false;
            }
            let next = if is_same { seen + 1 } else { u64::from(second) << 32 | 1 };
            match self.state.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn admitted(window: &Window, seconds: &[u64]) -> String {
        seconds.iter().map(|second| if window.admits(*second) { '+' } else { '-' }).collect()
    }

    #[test]
    fn each_second_has_its_own_number() {
        let window = Window::new(2);
        assert_eq!(admitted(&window, &[7, 7, 7, 8, 8, 8, 100, 100, 100]), "++-++-++-");
        // A thread that is late counts in the later second, and a clock that was set back begins anew.
        assert_eq!(admitted(&window, &[200, 199, 200, 200, 100, 100, 100]), "++--++-");
        let around = u64::from(u32::MAX);
        assert_eq!(admitted(&window, &[around, around, around, around + 1, around + 1, around + 1]), "++-++-");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test of several threads")]
    fn threads_share_one_number_exactly() {
        let window = Window::new(1000);
        let admitted: usize = std::thread::scope(|scope| {
            let count = || (0..1000).filter(|_| window.admits(5)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1000);
    }
}
