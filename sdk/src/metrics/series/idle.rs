//! Finds the series of a stream without deltas that nothing records into any more.
//!
//! A series that has not changed for the time of its stream *expires*: collections no longer contain it. A thread or a bound instrument
//! may still hold it, and its next measurement makes collections contain it again, with its total and its start time. Once nothing holds
//! an expired series, the store gives it up, and the next measurement with its attributes begins a new one.

use std::collections::HashMap;
use std::time::Duration;

use super::one::Series;
use crate::metrics::config::StreamConfig;
use crate::sync::Arc;
use crate::time::Timestamp;

/// What collections have seen of the series of a stream.
#[derive(Default)]
pub(super) struct Idle {
    /// By the address of the series, which belongs to no other series as long as the store holds this one.
    seen: HashMap<usize, Seen>,
    /// The number of series that have expired and are still in the store.
    expired: usize,
    /// The time since which threads that record have had to look up their series.
    turned: Option<Timestamp>,
}

struct Seen {
    /// See [`Series::progress`].
    progress: u64,
    /// The collection that found the last change.
    changed: Timestamp,
    is_expired: bool,
}

impl Idle {
    /// Looks at a series in a collection.
    pub(super) fn look(
        &mut self,
        series: &Arc<Series>,
        config: &StreamConfig,
        expiry: Duration,
        now: Timestamp,
    ) -> Look {
        let (progress, is_touched) = series.progress(config);
        let new = || Seen { progress, changed: now, is_expired: false };
        let seen = self.seen.entry(address(series)).or_insert_with(new);
        if is_touched || seen.progress != progress {
            self.expired -= usize::from(seen.is_expired);
            *seen = new();
            Look::Used
        } else if seen.is_expired {
            Look::Expired
        } else if now.since(seen.changed) >= expiry {
            seen.is_expired = true;
            self.expired += 1;
            Look::Expires
        } else {
            Look::Used
        }
    }

    /// Returns true if there are expired series.
    pub(super) fn has_expired(&self) -> bool {
        self.expired > 0
    }

    /// Returns true if the series has expired and has not changed since.
    pub(super) fn is_expired(&mut self, series: &Arc<Series>, config: &StreamConfig, now: Timestamp) -> bool {
        let Some(seen) = self.seen.get_mut(&address(series)).filter(|seen| seen.is_expired) else { return false };
        let (progress, is_touched) = series.progress(config);
        if is_touched || seen.progress != progress {
            // The progress stays as the last collection has seen it, so that the next one finds the change.
            (seen.changed, seen.is_expired) = (now, false);
            self.expired -= 1;
        }
        seen.is_expired
    }

    /// Forgets a series that the store has given up.
    pub(super) fn forget(&mut self, series: &Arc<Series>) {
        if self.seen.remove(&address(series)).is_some_and(|seen| seen.is_expired) {
            self.expired -= 1;
        }
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn number_seen(&self) -> usize {
        self.seen.len()
    }

    /// Returns true at most once in `expiry`: threads that still hold expired series should look their series up again.
    pub(super) fn is_turn_due(&mut self, expiry: Duration, now: Timestamp) -> bool {
        let is_due = self.turned.is_none_or(|turned| now.since(turned) >= expiry);
        if is_due {
            self.turned = Some(now);
        }
        is_due
    }
}

/// The state of a series in a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Used,
    /// Expired in this collection.
    Expires,
    /// Expired in an earlier collection.
    Expired,
}

fn address(series: &Arc<Series>) -> usize {
    let series: *const Series = &**series;
    series.addr()
}
