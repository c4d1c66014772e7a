//! Counts the lost items that no message has reported yet. Each pipeline has its own tallies, so that neither another signal nor
//! another reason holds its messages back.

use std::sync::Mutex;

use super::message::{INTERVAL, Level, is_shown, log_always};
use crate::process::Generation;
use crate::sync::{free, unpoisoned};
use crate::time::Deadline;

/// The items that were lost for one reason and are not reported yet. Its messages are at least a minute apart, and each
/// reports the items since the previous one.
#[derive(Debug)]
pub(crate) struct Tally {
    state: Mutex<State>,
    /// In a forked child, the lock may stay locked forever.
    home: Generation,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { state: Mutex::default(), home: Generation::current() }
    }
}

#[derive(Debug, Default)]
struct State {
    /// `None` before the first message.
    silent_until: Option<Deadline>,
    items: u64,
    /// Describes why the last of the `items` were lost.
    reason: String,
}

/// The items that a message reports.
#[derive(Debug)]
pub(crate) struct Unreported {
    pub(crate) items: u64,
    /// True if an earlier message reported other items.
    pub(crate) is_more: bool,
    pub(crate) reason: String,
}

impl Tally {
    /// Adds `items`, and reports all items since the last message unless that message is less than a minute old.
    pub(crate) fn add(
        &self,
        level: Level,
        items: u64,
        reason: impl FnOnce() -> String,
        message: impl FnOnce(&Unreported) -> String,
    ) {
        if !is_shown(level) {
            return self.count(items);
        }
        let reason = reason();
        let due = |state: &mut State| {
            state.items += items;
            state.reason = reason;
            state.silent_until.is_none_or(Deadline::has_passed).then(|| state.take())
        };
        self.report(level, due, message);
    }

    fn count(&self, items: u64) {
        self.with(|state| state.items += items);
    }

    /// Reports the items since the last message, if there are any, however old that message is.
    pub(crate) fn report_rest(&self, level: Level, message: impl FnOnce(&Unreported) -> String) {
        if is_shown(level) {
            self.report(level, |state| (state.items > 0).then(|| state.take()), message);
        }
    }

    /// Prints the items that `due` takes, without the lock, because the message sink is user code.
    fn report(
        &self,
        level: Level,
        due: impl FnOnce(&mut State) -> Option<Unreported>,
        message: impl FnOnce(&Unreported) -> String,
    ) {
        if let Some(unreported) = self.with(due).flatten() {
            log_always(level, format_args!("{}", message(&unreported)));
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> Option<T> {
        let state = if self.home.is_past() { free(self.state.try_lock()) } else { Some(unpoisoned(self.state.lock())) };
        state.map(|mut state| work(&mut state))
    }
}

impl State {
    fn take(&mut self) -> Unreported {
        let is_more = self.silent_until.replace(Deadline::after(INTERVAL)).is_some();
        Unreported { items: std::mem::take(&mut self.items), is_more, reason: std::mem::take(&mut self.reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(tally: &Tally, items: u64) -> Option<(u64, bool)> {
        let take = |state: &mut State| {
            state.items += items;
            state.silent_until.is_none_or(Deadline::has_passed).then(|| state.take())
        };
        tally.with(take).flatten().map(|unreported| (unreported.items, unreported.is_more))
    }

    #[test]
    fn items_of_a_message_that_is_held_back_are_in_the_next_one() {
        let tally = Tally::default();
        assert_eq!(due(&tally, 3), Some((3, false)));
        assert_eq!((due(&tally, 4), due(&tally, 5)), (None, None));
        tally.with(|state| state.silent_until = Some(Deadline::after(std::time::Duration::ZERO)));
        assert_eq!(due(&tally, 6), Some((15, true)));
        assert_eq!(due(&tally, 1), None);
    }
}
