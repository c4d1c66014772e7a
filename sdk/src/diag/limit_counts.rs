//! Counts what the limits on spans and log records drop or cut.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::text::counted;

/// The counts of one telemetry.
#[derive(Debug, Default)]
pub(crate) struct LimitCounts {
    pub(crate) over_trace: AtomicU64,
    pub(crate) over_rate: AtomicU64,
    pub(crate) cut_spans: AtomicU64,
    pub(crate) cut_records: AtomicU64,
}

impl LimitCounts {
    /// Returns the current counts.
    pub(crate) fn snapshot(&self) -> LimitsHealth {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LimitsHealth {
            dropped_over_trace: load(&self.over_trace),
            dropped_over_rate: load(&self.over_rate),
            cut_spans: load(&self.cut_spans),
            cut_log_records: load(&self.cut_records),
        }
    }
}

/// Counts of what the [limits](crate::stages::limits::ItemLimits) have dropped and cut since the start. The pipelines count the dropped
/// spans in [`SignalHealth::dropped_by_stage`](super::SignalHealth::dropped_by_stage) as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitsHealth {
    /// Spans that were dropped because their trace had too many.
    pub dropped_over_trace: u64,
    /// Spans that were dropped because too many ended in one second. With several exporters and without stages, counted once for each.
    pub dropped_over_rate: u64,
    /// Spans that lost attributes, events or links because they took up too many bytes.
    pub cut_spans: u64,
    /// Log records that lost attributes or a part of their body because they took up too many bytes.
    pub cut_log_records: u64,
}

impl LimitsHealth {
    /// Returns what the limits did, as in `limits dropped 3 spans and cut 1 span`; `None` if nothing.
    pub(crate) fn summary(&self) -> Option<String> {
        let dropped = self.dropped_over_trace + self.dropped_over_rate;
        let parts = [
            ("dropped ", dropped, "spans"),
            ("cut ", self.cut_spans, "spans"),
            ("cut ", self.cut_log_records, "log records"),
        ];
        let parts: Vec<_> = parts.into_iter().filter(|(_, number, _)| *number > 0).collect();
        let words = parts.iter().map(|(did, number, items)| format!("{did}{}", counted(*number, items)));
        (!parts.is_empty()).then(|| format!("limits {}", words.collect::<Vec<_>>().join(" and ")))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_what_was_dropped_and_cut() {
        let said = |[dropped_over_trace, dropped_over_rate, cut_spans, cut_log_records]: [u64; 4]| {
            LimitsHealth { dropped_over_trace, dropped_over_rate, cut_spans, cut_log_records }.summary()
        };
        let expect = |text: &str| Some(text.to_owned());
        assert_eq!(said([0; 4]), None);
        assert_eq!(said([1, 2, 0, 0]), expect("limits dropped 3 spans"));
        assert_eq!(said([0, 1, 1, 2]), expect("limits dropped 1 span and cut 1 span and cut 2 log records"));
    }
}
