//! Counts the items of one pipeline: a processor or reader, and its exporter.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::losses::Losses;
use super::{Durations, Level, log};
use crate::error::ExportError;
use crate::error::report::ExportReport;
use crate::text::counted;

/// The counters of one pipeline, and its component names.
#[derive(Debug, Default)]
pub struct Counters {
    /// The word for the items in messages.
    pub(super) items: &'static str,
    exporter: &'static str,
    server: Option<(String, u16)>,
    destination: String,
    processor: Option<Processor>,
    passed_on: AtomicU64,
    exported: AtomicU64,
    rejected: AtomicU64,
    /// Indexed like [`ExportError::TYPES`].
    failed: [AtomicU64; ExportError::TYPES.len()],
    abandoned: AtomicU64,
    retries: AtomicU64,
    failed_refreshes: AtomicU64,
    queue_full: AtomicU64,
    bytes_full: AtomicU64,
    after_shutdown: AtomicU64,
    by_stage: AtomicU64,
    suppressed: Suppressed,
    operations: Durations,
    pub(super) losses: Losses,
}

/// Reads the number of items that were suppressed before the processor.
#[derive(Default)]
struct Suppressed(OnceLock<Box<dyn Fn() -> u64 + Send + Sync>>);

impl Suppressed {
    fn count(&self) -> u64 {
        self.0.get().map_or(0, |count| count())
    }
}

struct Processor {
    kind: &'static str,
    queue: Option<Queue>,
}

/// The queue of a processor, as shown by its metrics.
pub(crate) struct Queue {
    pub(crate) capacity: usize,
    pub(crate) max_bytes: usize,
    /// The variables that set the two limits.
    pub(crate) variables: [&'static str; 2],
    pub(crate) waiting: Box<dyn Fn() -> usize + Send + Sync>,
}

impl Counters {
    /// Creates the counters of a pipeline for `items`, whose exporter has this component type and sends to `server`.
    pub(crate) fn new(
        items: &'static str,
        exporter: &'static str,
        server: Option<(String, u16)>,
        destination: String,
    ) -> Self {
        Counters { items, exporter, server, destination, ..Counters::default() }
    }

    /// Sets the kind of processor, `batching` (with its queue) or `simple`.
    pub(crate) fn with_processor(mut self, kind: &'static str, queue: Option<Queue>) -> Self {
        self.processor = Some(Processor { kind, queue });
        self
    }

    /// Counts items passed to the exporter.
    pub(crate) fn passed_on(&self, items: u64) {
        // spec: semconv otel.sdk.processor.span.processed — counted when the export is invoked, regardless of its result.
        self.passed_on.fetch_add(items, Ordering::Relaxed);
    }

    /// Counts a batch of `items` of which at least a part was delivered, and reports how many items failed and how
    /// many the receiver rejected.
    pub(crate) fn delivered(&self, items: u64, took: Duration, report: &ExportReport) {
        // The number of failed items cannot exceed the number of items passed to the exporter.
        let mut left = items;
        for (counter, failed) in self.failed.iter().zip(report.failed_by_type()) {
            let failed = left.min(*failed);
            counter.fetch_add(failed, Ordering::Relaxed);
            left -= failed;
        }
        let rejected = report.rejected.min(left);
        let exported = left - rejected;
        self.exported.fetch_add(exported, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.retries.fetch_add(report.retries.into(), Ordering::Relaxed);
        let (shown, to) = (counted(exported, self.items), self.destination());
        log(Level::Debug, self.exporter, format_args!("exported {shown} in {took:?}: {to}"));
        if let Some(error) = report.failure() {
            self.report_failed(items - left, items, &error);
        }
        if rejected > 0 {
            self.report_rejected(rejected, items, report.message.as_deref().unwrap_or("no reason given"));
        } else if let Some(message) = report.message.as_deref() {
            self.report_warning(left, message);
        }
    }

    /// Counts a batch of `items` that could not be delivered.
    pub(crate) fn failed(&self, items: u64, error: &ExportError) {
        self.failed[error.type_index()].fetch_add(items, Ordering::Relaxed);
        self.retries.fetch_add(error.retries().into(), Ordering::Relaxed);
        self.report_failed(items, items, error);
    }

    /// Sets how often the exporter could not use changed credentials or certificates.
    pub(crate) fn set_failed_refreshes(&self, count: u64) {
        // An exporter that panics returns zero.
        self.failed_refreshes.fetch_max(count, Ordering::Relaxed);
    }

    /// Returns how often the exporter could not use changed credentials or certificates.
    pub(crate) fn failed_refreshes(&self) -> u64 {
        load(&self.failed_refreshes)
    }

    /// Counts items that never reached the exporter because the shutdown deadline passed.
    pub(crate) fn abandoned(&self, items: u64) {
        self.abandoned.fetch_add(items, Ordering::Relaxed);
        self.report_failed(items, items, &ExportError::timeout("shutdown had to end before they were sent"));
    }

    /// Counts items dropped because the queue was full.
    pub fn queue_full(&self, items: u64) {
        self.queue_full.fetch_add(items, Ordering::Relaxed);
    }

    /// Counts items that were dropped because the queue had no room for their bytes.
    pub fn queue_bytes_full(&self, items: u64) {
        self.bytes_full.fetch_add(items, Ordering::Relaxed);
    }

    /// Counts items that were added after shutdown.
    pub fn after_shutdown(&self, items: u64) {
        self.after_shutdown.fetch_add(items, Ordering::Relaxed);
    }

    /// Counts items that a stage dropped.
    pub(crate) fn dropped_by_stage(&self, items: u64) {
        self.by_stage.fetch_add(items, Ordering::Relaxed);
    }

    /// Sets the source of the number of suppressed items, which the first caller determines.
    pub(crate) fn set_suppressed(&self, count: impl Fn() -> u64 + Send + Sync + 'static) {
        let _ = self.suppressed.0.set(Box::new(count));
    }

    /// Returns the current counts.
    pub fn snapshot(&self) -> SignalHealth {
        SignalHealth {
            exported: load(&self.exported),
            rejected: load(&self.rejected),
            failed: self.failed.iter().map(load).sum::<u64>() + load(&self.abandoned),
            retries: load(&self.retries),
            failed_refreshes: self.failed_refreshes(),
            dropped_queue_full: load(&self.queue_full),
            dropped_queue_bytes_full: load(&self.bytes_full),
            dropped_after_shutdown: load(&self.after_shutdown),
            dropped_by_stage: load(&self.by_stage),
            suppressed: self.suppressed.count(),
        }
    }

    /// Returns the numbers of items dropped because the queue was full, and because it had no room for their bytes. Unlike
    /// [`Self::snapshot`], costs only two loads.
    pub(super) fn dropped_by_queue(&self) -> [u64; 2] {
        [load(&self.queue_full), load(&self.bytes_full)]
    }

    /// Returns the component type of the exporter.
    pub(crate) fn exporter(&self) -> &'static str {
        self.exporter
    }

    /// Returns the host and port to which the exporter sends, if it sends to a server.
    pub(crate) fn server(&self) -> Option<(&str, u16)> {
        self.server.as_ref().map(|(address, port)| (address.as_str(), *port))
    }

    /// Returns the exporter's destination, or its component type if it did not provide a destination.
    pub(crate) fn destination(&self) -> &str {
        if self.destination.is_empty() { self.exporter } else { &self.destination }
    }

    /// Returns the kind of processor, if there is a processor.
    pub(crate) fn processor(&self) -> Option<&'static str> {
        self.processor.as_ref().map(|processor| processor.kind)
    }

    /// Returns the processor's queue, if it has one.
    pub(crate) fn queue(&self) -> Option<&Queue> {
        self.processor.as_ref()?.queue.as_ref()
    }

    /// Returns the export durations.
    pub(crate) fn operations(&self) -> &Durations {
        &self.operations
    }

    /// Returns the number of items that the processor has handled, by `error.type`: first the items passed on, then
    /// the items dropped with each error that occurred.
    pub(crate) fn processed(&self) -> Vec<(Option<&'static str>, u64)> {
        let errors = [
            ("queue_full", load(&self.queue_full)),
            ("queue_bytes_full", load(&self.bytes_full)),
            ("already_shutdown", load(&self.after_shutdown)),
            ("timeout", load(&self.abandoned)),
            ("dropped_by_stage", load(&self.by_stage)),
            ("suppressed", self.suppressed.count()),
        ];
        by_error(load(&self.passed_on), errors)
    }

    /// Returns the number of items that the exporter has finished exporting, by `error.type`.
    pub(crate) fn concluded(&self) -> Vec<(Option<&'static str>, u64)> {
        // A rejected item and a rejected batch have the same `error.type`.
        let rejected = |kind| if kind == "rejected" { load(&self.rejected) } else { 0 };
        let errors = ExportError::TYPES.into_iter().zip(&self.failed);
        by_error(load(&self.exported), errors.map(|(kind, failed)| (kind, load(failed) + rejected(kind))))
    }

    /// Returns the number of items that are being exported.
    pub(crate) fn in_flight(&self) -> u64 {
        let concluded: u64 = self.concluded().iter().map(|(_, items)| items).sum();
        // Read after the counts of finished items, so that the difference cannot be negative.
        load(&self.passed_on).saturating_sub(concluded)
    }
}

fn by_error(success: u64, errors: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<(Option<&'static str>, u64)> {
    let errors = errors.into_iter().filter(|(_, items)| *items > 0).map(|(kind, items)| (Some(kind), items));
    std::iter::once((None, success)).chain(errors).collect()
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl fmt::Debug for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.count())
    }
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

/// Counts of the items of one pipeline since it started. Every dropped item is counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignalHealth {
    /// Accepted by the receiver.
    pub exported: u64,
    /// Rejected by a receiver that accepted the rest of their batch.
    pub rejected: u64,
    /// Dropped because the batch, or the part of it that contained them, could not be delivered.
    pub failed: u64,
    /// Number of retried exports.
    pub retries: u64,
    /// Times that changed credentials or certificates could not be used, so that the exporter kept its old ones.
    pub failed_refreshes: u64,
    /// Dropped because the queue was full.
    pub dropped_queue_full: u64,
    /// Dropped because the queue had no room for their bytes.
    pub dropped_queue_bytes_full: u64,
    /// Dropped because they were added after shutdown.
    pub dropped_after_shutdown: u64,
    /// Dropped by a stage, or by the [limit](crate::stages::limits) of spans a second, before they reached an exporter.
    pub dropped_by_stage: u64,
    /// Log records suppressed by [the rules that limit their volume](crate::logs::LogVolume), before they reached an exporter.
    pub suppressed: u64,
}
