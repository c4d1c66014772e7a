//! One sample for all instruments that observe from a file, which is read once in a collection.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use telemark_kit::lock;

/// The last sample of a file, and the instruments that have observed from it.
///
/// The API calls each instrument separately and does not say when a collection begins. An instrument that asks for a
/// sample a second time has begun another collection. Age is not enough, because two collections may follow each other
/// at once; nor is this rule alone, because a reader may leave out the instrument that asks first for the others.
#[derive(Debug)]
pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
    /// The greatest age of a sample that is given away.
    fresh: Duration,
}

/// A sample and when it was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<T> {
    pub(super) value: T,
    pub(super) taken: Instant,
}

#[derive(Debug)]
struct State<T> {
    /// The inner `None` is a file that could not be read; the same collection does not try again.
    last: Option<(Instant, Option<T>)>,
    /// One bit for each instrument.
    observers: u8,
}

impl<T: Copy> Shared<T> {
    pub(super) fn new(fresh: Duration) -> Self {
        Shared { state: Mutex::new(State { last: None, observers: 0 }), fresh }
    }

    /// Returns the sample of this collection for the instrument with the bit `observer`. Calls `read` if a new one is due.
    pub(super) fn sample(&self, observer: u8, now: Instant, read: impl FnOnce() -> Option<T>) -> Option<Sample<T>> {
        let mut state = lock(&self.state);
        let (taken, value) = match state.last {
            Some((taken, value))
                if state.observers & observer == 0 && now.saturating_duration_since(taken) <= self.fresh =>
            {
                (taken, value)
            }
            _ => {
                state.observers = 0;
                *state.last.insert((now, read()))
            }
        };
        state.observers |= observer;
        value.map(|value| Sample { value, taken })
    }
}

/// Returns the time now, for a sample.
#[allow(clippy::disallowed_methods, reason = "an integration does not know the sdk, whose clock it would be")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Each step is an observer and the milliseconds since the start; expected is the number of the read it gets.
    fn check(steps: &[(u8, u64)], expected: &str) {
        let (shared, start, reads) = (Shared::new(Duration::from_millis(100)), now(), Cell::new(0));
        let read = || {
            reads.set(reads.get() + 1);
            // The third time, the file cannot be read.
            (reads.get() != 3).then(|| reads.get())
        };
        let found: Vec<_> = steps
            .iter()
            .map(|(observer, at)| {
                let sample = shared.sample(*observer, start + Duration::from_millis(*at), read);
                sample.map_or_else(|| "-".to_owned(), |sample| sample.value.to_string())
            })
            .collect();
        assert_eq!(found.join(" "), expected, "{steps:?}");
    }

    #[test]
    fn a_collection_reads_once() {
        check(&[(1, 0), (2, 0), (4, 1)], "1 1 1");
        // Another collection, at once.
        check(&[(1, 0), (2, 0), (1, 0), (2, 0)], "1 1 2 2");
        // In another order.
        check(&[(1, 0), (2, 0), (2, 0), (1, 0)], "1 1 2 2");
    }

    #[test]
    fn an_old_sample_is_not_given_to_a_new_observer() {
        check(&[(1, 0), (2, 100)], "1 1");
        check(&[(1, 0), (2, 101)], "1 2");
    }

    #[test]
    fn a_failure_lasts_one_collection() {
        check(&[(1, 0), (1, 0), (1, 0), (2, 0), (1, 0), (2, 0)], "1 2 - - 4 4");
    }
}
