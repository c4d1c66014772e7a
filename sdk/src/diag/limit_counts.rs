//! Counts what the limits on spans and log records drop or cut.

use std::sync::atomic::{AtomicU64, Ordering};

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
