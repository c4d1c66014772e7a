//! The limits that a program sets.

use std::sync::Arc;

use super::records::RecordLimits;
use super::spans::SpanLimits;
use crate::batch::Stage;
use crate::config::Settings;
use crate::diag::LimitCounts;
use crate::signal::{Logs, Traces};

/// Minimum of the limits on bytes. A span that has lost everything that it can lose takes up less.
const MIN_BYTES: usize = 4096;

/// Limits on spans and log records; see the [module](super) for what happens to those that are beyond. None is set at first.
///
/// ```
/// use telemark_sdk::config::Env;
/// use telemark_sdk::install::Telemetry;
/// use telemark_sdk::stages::limits::ItemLimits;
///
/// let limits = ItemLimits::new().with_max_spans_per_trace(1000).with_max_span_bytes(256 << 10);
/// let builder = Telemetry::builder(Env::process()).with_item_limits(limits);
/// # drop(builder);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemLimits {
    spans_per_trace: Option<usize>,
    spans_per_second: Option<u32>,
    span_bytes: Option<usize>,
    log_record_bytes: Option<usize>,
}

impl ItemLimits {
    /// Creates limits of which none is set.
    pub fn new() -> Self {
        ItemLimits::default()
    }

    pub(crate) fn from_settings(settings: Settings<'_>) -> Self {
        let per_second = settings.size("max_spans_per_second", 1);
        ItemLimits {
            spans_per_trace: settings.size("max_spans_per_trace", 1),
            spans_per_second: per_second.map(|spans| u32::try_from(spans).unwrap_or(u32::MAX)),
            span_bytes: settings.size("max_span_bytes", MIN_BYTES as i64),
            log_record_bytes: settings.size("max_log_record_bytes", MIN_BYTES as i64),
        }
    }

    /// Sets the maximum number of spans that one trace may have in this process, at least 1. Spans that end after that are dropped, except for
    /// local roots, which are the spans without a parent in this process. A local root says in the attribute `telemark.trace.dropped_spans`
    /// how many spans were dropped before it ended.
    ///
    /// Counts the spans of the last 16,384 to 32,768 traces, in at most 2 MB.
    pub fn with_max_spans_per_trace(mut self, spans: usize) -> Self {
        self.spans_per_trace = Some(spans.max(1));
        self
    }

    /// Sets the maximum number of spans that are taken in one second, at least 1. Spans that end after that are dropped, whatever their
    /// trace, before they take up room in a queue.
    pub fn with_max_spans_per_second(mut self, spans: u32) -> Self {
        self.spans_per_second = Some(spans.max(1));
        self
    }

    /// Sets the maximum number of bytes of a span in memory, at least 4096. A larger span loses the largest attributes of its own, its events
    /// and its links first, which are counted as dropped attributes.
    pub fn with_max_span_bytes(mut self, bytes: usize) -> Self {
        self.span_bytes = Some(bytes.max(MIN_BYTES));
        self
    }

    /// Sets the maximum number of bytes of a log record in memory, at least 4096. The text of the body of a larger record is cut to no less
    /// than half of this, and if that does not suffice, the record loses its largest attributes.
    pub fn with_max_log_record_bytes(mut self, bytes: usize) -> Self {
        self.log_record_bytes = Some(bytes.max(MIN_BYTES));
        self
    }

    pub(crate) fn max_spans_per_second(&self) -> Option<u32> {
        self.spans_per_second
    }

    /// Returns the stage for spans, if these limits need one.
    pub(crate) fn span_stage(&self, counts: &Arc<LimitCounts>) -> Option<Box<dyn Stage<Traces>>> {
        if self.spans_per_trace.is_none() && self.span_bytes.is_none() {
            return None;
        }
        Some(Box::new(SpanLimits::new(self.spans_per_trace, self.span_bytes, counts.clone())))
    }

    /// Returns the stage for log records, if these limits need one.
    pub(crate) fn log_stage(&self, counts: &Arc<LimitCounts>) -> Option<Box<dyn Stage<Logs>>> {
        let max_bytes = self.log_record_bytes?;
        Some(Box::new(RecordLimits { max_bytes, counts: counts.clone() }))
    }
}
