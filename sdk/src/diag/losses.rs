//! The messages about items of one pipeline that were lost, and their sum at the end.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::tally::Tally;
use super::{Counters, Level, SignalHealth};
use crate::error::ExportError;
use crate::text::{self, counted};

/// The lost items of one pipeline that no message has reported yet, by reason.
#[derive(Debug, Default)]
pub(super) struct Losses {
    full: Tally,
    bytes_full: Tally,
    failed: Tally,
    rejected: Tally,
    warned: Tally,
    /// The numbers of dropped items that are in the first two tallies or were reported.
    seen: [AtomicU64; 2],
}

impl Counters {
    /// Reports the items that the queue dropped since the last message, but at most once a minute for each of the two reasons.
    pub(crate) fn report_drops(&self) {
        let Some(queue) = self.queue() else { return };
        let [full, bytes_full] = self.dropped_by_queue();
        let [size_variable, bytes_variable] = queue.variables;
        let size = || format!("{} were already waiting ({size_variable})", counted(queue.capacity as u64, self.items));
        let bytes = || {
            format!(
                "those that were waiting or being exported took most of {} bytes ({bytes_variable})",
                queue.max_bytes
            )
        };
        self.report_dropped(&self.losses.full, &self.losses.seen[0], full, size);
        self.report_dropped(&self.losses.bytes_full, &self.losses.seen[1], bytes_full, bytes);
    }

    fn report_dropped(&self, tally: &Tally, seen: &AtomicU64, dropped: u64, reason: impl FnOnce() -> String) {
        let new = dropped.saturating_sub(seen.fetch_max(dropped, Ordering::Relaxed));
        if new > 0 {
            tally.add(Level::Warn, new, reason, |lost| self.dropped(lost.items, lost.is_more, &lost.reason));
        }
    }

    fn dropped(&self, items: u64, is_more: bool, reason: &str) -> String {
        let items = counted(items, self.items).more(is_more);
        format!("{items} {} dropped because {reason}", items.were())
    }

    /// Reports `failed` of the `items` of a batch.
    pub(super) fn report_failed(&self, failed: u64, items: u64, error: &ExportError) {
        let reason = || error.to_string();
        self.losses.failed.add(Level::Error, failed, reason, |lost| {
            let all = counted(lost.items, self.items).more(lost.is_more);
            if lost.items == failed && failed < items {
                let of = counted(items, self.items);
                return format!("{failed} of {of} {} not exported: {}", all.were(), lost.reason);
            }
            format!("{all} {} not exported: {}", all.were(), lost.reason)
        });
    }

    /// Reports the items of a batch that the receiver rejected, and its reason.
    pub(super) fn report_rejected(&self, rejected: u64, items: u64, message: &str) {
        let reason = || text::foreign(message).to_string();
        self.losses.rejected.add(Level::Warn, rejected, reason, |lost| {
            if lost.items == rejected {
                return format!("the receiver rejected {rejected} of {}: {}", counted(items, self.items), lost.reason);
            }
            format!("the receiver rejected {}: {}", counted(lost.items, self.items).more(lost.is_more), lost.reason)
        });
    }

    /// Reports a warning of a receiver that accepted the `items`.
    pub(super) fn report_warning(&self, items: u64, message: &str) {
        let message = || text::foreign(message).to_string();
        self.losses.warned.add(Level::Warn, items, message, |warned| {
            format!("the receiver took {} but warns: {}", counted(items, self.items), warned.reason)
        });
    }

    /// Reports all lost items that no message has reported yet, including those whose export is still unfinished, because of
    /// `error`. Call this once, after the shutdown.
    pub(crate) fn report_rest(&self, error: Option<&ExportError>) {
        self.report_drops();
        let dropped = |lost: &super::tally::Unreported| self.dropped(lost.items, lost.is_more, &lost.reason);
        self.losses.full.report_rest(Level::Warn, dropped);
        self.losses.bytes_full.report_rest(Level::Warn, dropped);
        self.losses.failed.report_rest(Level::Error, |lost| {
            let items = counted(lost.items, self.items).more(lost.is_more);
            format!("{items} {} not exported, the last of them because: {}", items.were(), lost.reason)
        });
        self.losses.rejected.report_rest(Level::Warn, |lost| {
            let items = counted(lost.items, self.items).more(lost.is_more);
            format!("the receiver rejected {items}, the last of them because: {}", lost.reason)
        });
        let unfinished = self.unfinished();
        if unfinished > 0 {
            let items = counted(unfinished, self.items);
            let reason = error.map_or_else(|| "the shutdown ended before their export".to_owned(), ToString::to_string);
            let message = format_args!("{items} {} not exported: {reason}", items.were());
            super::log_always(Level::Error, message);
        }
    }

    /// Returns the number of items that are in the queue or being exported.
    pub(crate) fn unfinished(&self) -> u64 {
        let waiting = self.queue().map_or(0, |queue| (queue.waiting)());
        self.in_flight().saturating_add(waiting as u64)
    }
}

/// The items of one signal that were lost, with the words for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    items: &'static str,
    dropped: u64,
    not_exported: u64,
}

impl Total {
    /// Adds up the items that the pipelines of a signal lost, including unfinished ones if this is the end. Items that a stage or
    /// a rule drops are not lost.
    pub(crate) fn of<'a>(pipelines: impl IntoIterator<Item = &'a Counters>, is_end: bool) -> Self {
        pipelines.into_iter().fold(Total::default(), |sum, counters| {
            let health = counters.snapshot();
            let SignalHealth { dropped_queue_full, dropped_queue_bytes_full, dropped_after_shutdown, .. } = health;
            let unfinished = if is_end { counters.unfinished() } else { 0 };
            Total {
                items: counters.items,
                dropped: sum.dropped + dropped_queue_full + dropped_queue_bytes_full + dropped_after_shutdown,
                not_exported: sum.not_exported + health.failed + health.rejected + unfinished,
            }
        })
    }

    /// Returns the number of items that were not exported, for another reason than a full queue.
    pub(crate) fn not_exported(&self) -> u64 {
        self.not_exported
    }

    /// Returns true if nothing was lost.
    pub(crate) fn is_zero(&self) -> bool {
        self.dropped == 0 && self.not_exported == 0
    }
}

/// Writes the total, as in `2 spans were dropped and 1 was not exported`.
impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dropped, failed) = (counted(self.dropped, self.items), counted(self.not_exported, self.items));
        match (self.dropped, self.not_exported) {
            (0, _) => write!(f, "{failed} {} not exported", failed.were()),
            (_, 0) => write!(f, "{dropped} {} dropped", dropped.were()),
            (_, n) => write!(f, "{dropped} {} dropped and {n} {} not exported", dropped.were(), failed.were()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Queue;
    use super::*;

    #[test]
    fn a_look_for_drops_reads_no_other_counts() {
        let (variables, waiting) = (["SIZE", "BYTES"], Box::new(|| 0));
        let queue = Queue { capacity: 8, max_bytes: 8, variables, waiting };
        let counters = Counters::new("spans", "test", None, String::new()).with_processor("batching", Some(queue));
        let reads = Arc::new(AtomicU64::new(0));
        let counter = reads.clone();
        // Reads the places of all call sites.
        counters.set_suppressed(move || counter.fetch_add(1, Ordering::Relaxed));
        counters.queue_full(2);
        counters.report_drops();
        assert_eq!(counters.losses.seen.each_ref().map(|seen| seen.load(Ordering::Relaxed)), [2, 0]);
        assert_eq!(reads.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_total_names_what_was_dropped_and_what_was_not_exported() {
        let said = |dropped, not_exported| Total { items: "spans", dropped, not_exported }.to_string();
        assert_eq!(said(3283, 0), "3283 spans were dropped");
        assert_eq!(said(0, 1), "1 span was not exported");
        assert_eq!(said(1, 2), "1 span was dropped and 2 were not exported");
        assert!(Total::default().is_zero());
    }
}
