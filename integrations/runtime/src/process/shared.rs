//! One sample for all instruments that read the same file, which is read once per collection.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use telemark_kit::lock;

/// The last sample of a file, and the instruments that have already observed it.
///
/// The API calls each instrument separately and does not announce a new collection. If an instrument requests a
/// sample for the second time, a new collection has begun. Age alone is not a sufficient criterion, because one collection
/// may immediately follow another. Neither is a repeated request alone, because a reader may omit the instrument that is
/// usually observed first.
#[derive(Debug)]
pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
    /// The maximum age of a sample that is reused.
    fresh: Duration,
}

/// A sample and its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<T> {
    pub(super) value: T,
    pub(super) taken: Instant,
}

#[derive(Debug)]
struct State<T> {
    /// An inner `None` means that the file could not be read; the same collection does not retry.
    last: Option<(Instant, Option<T>)>,
    /// One bit per instrument.
    observers: u8,
}

impl<T: Copy> Shared<T> {
    pub(super) fn new(fresh: Duration) -> Self {
        Shared { state: Mutex::new(State { last: None, observers: 0 }), fresh }
    }

    /// Returns the current collection's sample for the instrument with the bit `observer`. Calls `read` if a new one is due.
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

/// Returns the current time, for a sample.
#[allow(clippy::disallowed_methods, reason = "an integration does not know the sdk, whose clock it would be")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Each step is an observer and the milliseconds since the start; `expected` lists the number of the read that each
    /// step returns.
    fn check(steps: &[(u8, u64)], expected: &str) {
        let (shared, start, reads) = (Shared::new(Duration::from_millis(100)), now(), Cell::new(0));
        let read = || {
            reads.set(reads.get() + 1);
            // The third read fails.
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
        // Another collection follows immediately.
        check(&[(1, 0), (2, 0), (1, 0), (2, 0)], "1 1 2 2");
        // The order of the instruments differs.
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
