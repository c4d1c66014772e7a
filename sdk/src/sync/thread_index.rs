//! A number for each thread, used as an index into per-thread cells.
//!
//! A new thread gets the smallest number not used by a live thread. This keeps the numbers small, and allows a new
//! thread to take over the cells of threads that have ended instead of sharing the cells of live threads.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Mutex, lock};

/// Marks a thread that has no number, either because it has not used one yet or because it is exiting. Never a valid
/// number.
const NONE: usize = usize::MAX;

/// Returns the number of the calling thread, which is unique among live threads.
///
/// Everything a thread writes before it exits is visible to the next thread with the same number, as if both were one thread.
/// A value written only by the holder of a number therefore needs only relaxed loads and stores.
#[inline]
pub(crate) fn thread_index() -> usize {
    match INDEX.get() {
        NONE => first(),
        known => known,
    }
}

/// Returns the number of the calling thread if it is ready: if the thread has a number and [`set_ready`] was called.
#[inline(always)]
pub(crate) fn ready_thread_index() -> Option<usize> {
    Some(READY.get()).filter(|index| *index != NONE)
}

/// Marks the calling thread as ready to record, or as no longer ready, for example because its context is destroyed.
pub(crate) fn set_ready(is_ready: bool) {
    READY.set(if is_ready { INDEX.get() } else { NONE });
}

thread_local! {
    // Has no destructor, so it can be read even if the thread's other values are being destroyed.
    static INDEX: Cell<usize> = const { Cell::new(NONE) };
    /// The same number while the thread is ready. Recording has to look at this value only.
    static READY: Cell<usize> = const { Cell::new(NONE) };
    /// Returns the number to the pool when the thread exits. Created together with the number.
    static RETURN: Return = const { Return };
}

#[cfg(not(loom))]
static NUMBERS: Numbers = Numbers::new();
#[cfg(loom)]
loom::lazy_static! {
    static ref NUMBERS: Numbers = Numbers::new();
}

#[cold]
fn first() -> usize {
    let number = match RETURN.try_with(|_| ()) {
        Ok(()) => NUMBERS.take(),
        Err(_) => late(),
    };
    INDEX.set(number);
    number
}

/// Returns a number for an exiting thread that has already returned its own number to the pool, but needs one again in
/// the destructor of another thread-local. Another thread may already have the old number. The new number is never
/// reused.
#[cold]
fn late() -> usize {
    // Counts down from the top of the range, which regular numbers never reach.
    static NEXT: AtomicUsize = AtomicUsize::new(NONE - 1);
    NEXT.fetch_sub(1, Ordering::Relaxed)
}

struct Return;

impl Drop for Return {
    fn drop(&mut self) {
        // Clear the index first, so that nothing uses the number from now on, not even an instrumented allocator.
        let number = INDEX.replace(NONE);
        READY.set(NONE);
        if number != NONE {
            NUMBERS.give_back(number);
        }
    }
}

/// A process's pool of numbers. The lock orders the uses of a number: all uses before the number is returned happen
/// before all uses after it is taken again.
struct Numbers(Mutex<Free>);

struct Free {
    returned: BinaryHeap<Reverse<usize>>,
    /// All smaller numbers have been handed out at least once.
    next: usize,
}

impl Numbers {
    #[cfg(not(loom))]
    const fn new() -> Self {
        Numbers(Mutex::new(Free { returned: BinaryHeap::new(), next: 0 }))
    }

    #[cfg(loom)]
    fn new() -> Self {
        Numbers(Mutex::new(Free { returned: BinaryHeap::new(), next: 0 }))
    }

    /// Takes the smallest free number.
    fn take(&self) -> usize {
        let mut free = lock(&self.0);
        if let Some(Reverse(number)) = free.returned.pop() {
            return number;
        }
        let number = free.next;
        free.next += 1;
        number
    }

    fn give_back(&self, number: usize) {
        lock(&self.0).returned.push(Reverse(number));
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests of threads")]
mod tests {
    use std::collections::HashSet;
    use std::sync::{Barrier, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn the_smallest_free_number_is_taken() {
        let numbers = Numbers::new();
        let take = || numbers.take();
        assert_eq!([take(), take(), take(), take()], [0, 1, 2, 3]);
        [2, 0, 3].into_iter().for_each(|number| numbers.give_back(number));
        assert_eq!([take(), take(), take(), take()], [0, 2, 3, 4]);
    }

    #[test]
    fn threads_that_live_at_once_have_different_numbers_and_those_that_follow_have_the_same() {
        const AT_ONCE: usize = 8;
        let mut seen = HashSet::new();
        for _ in 0..250 {
            let barrier = Barrier::new(AT_ONCE);
            let numbers: HashSet<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..AT_ONCE)
                    .map(|_| {
                        scope.spawn(|| {
                            let number = thread_index();
                            barrier.wait();
                            assert_eq!(thread_index(), number);
                            number
                        })
                    })
                    .collect();
                // Join each thread individually, because the end of a scope does not wait for its threads' thread-locals to
                // be destroyed.
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(numbers.len(), AT_ONCE);
            seen.extend(numbers);
        }
        // There are 2,000 threads, and other tests in this process also hold some numbers.
        assert!(seen.len() < 500, "{} numbers", seen.len());
    }

    /// Requests the number twice in its destructor.
    struct Asks(mpsc::Sender<[usize; 2]>);

    impl Drop for Asks {
        fn drop(&mut self) {
            let _ = self.0.send([thread_index(), thread_index()]);
        }
    }

    thread_local!(static ASKS: Cell<Option<Asks>> = const { Cell::new(None) });

    /// Returns a thread's number, and the numbers that the destructor of another of its thread-locals sees.
    fn asked(made_first: bool) -> (usize, [usize; 2]) {
        let (sender, numbers) = mpsc::channel();
        let thread = thread::spawn(move || {
            let make = || ASKS.set(Some(Asks(sender)));
            if made_first {
                make();
                thread_index()
            } else {
                let number = thread_index();
                make();
                number
            }
        });
        (thread.join().unwrap(), numbers.recv().unwrap())
    }

    #[test]
    fn a_thread_that_has_returned_its_number_gets_one_that_no_other_thread_has() {
        let all: Vec<_> = [true, false, true, false].map(asked).into();
        let is_late = |number: &usize| *number > usize::MAX / 2;
        for (number, [once, twice]) in &all {
            assert!(!is_late(number) && once == twice);
            assert!(once == number || (is_late(once) && *once != NONE));
        }
        let late: Vec<_> = all.iter().map(|(_, [number, _])| *number).filter(is_late).collect();
        // Whatever the order in which a thread destroys its values, one of the two creation orders produces the late
        // case.
        assert!(late.len() >= 2);
        assert_eq!(late.iter().collect::<HashSet<_>>().len(), late.len());
    }

    #[test]
    fn a_thread_that_asks_only_at_its_end_has_a_number_and_returns_it() {
        let (sender, numbers) = mpsc::channel();
        thread::spawn(move || ASKS.set(Some(Asks(sender)))).join().unwrap();
        let [once, twice] = numbers.recv().unwrap();
        assert_eq!(once, twice);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::thread;

    use super::super::{Arc, AtomicU64, Ordering};
    use super::*;

    /// Successive holders of number 0 store without synchronization, while other threads add atomically.
    #[test]
    fn the_next_holder_of_a_number_goes_on_where_the_last_one_ended() {
        loom::model(|| {
            let shared = Arc::new((Numbers::new(), AtomicU64::new(0), AtomicU64::new(0)));
            let record = |shared: &(Numbers, AtomicU64, AtomicU64)| {
                let (numbers, owned, others) = shared;
                let number = numbers.take();
                if number == 0 {
                    owned.store(owned.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                } else {
                    others.fetch_add(1, Ordering::Relaxed);
                }
                numbers.give_back(number);
            };
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let shared = shared.clone();
                    thread::spawn(move || record(&shared))
                })
                .collect();
            record(&shared);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            let (_, owned, others) = &*shared;
            assert_eq!(owned.load(Ordering::Relaxed) + others.load(Ordering::Relaxed), 3);
        });
    }
}
