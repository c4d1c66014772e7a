//! What the layer stores with each span in the registry.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use opentelemetry::logs::AnyValue;
use opentelemetry::{Context, KeyValue};
use telemark_sdk::instrument::bridge::BridgedSpan;
use telemark_sdk::time::Timestamp;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::stack::Exit;

/// A span's data in the registry's extensions. It is accessed only while the extensions are locked, so nothing here runs the
/// program's code.
#[derive(Debug)]
pub(crate) struct Data {
    /// The layer that created this, because a registry may have several.
    pub(crate) layer: usize,
    pub(crate) span: BridgedSpan,
    /// The fields to copy to log records within the span.
    pub(crate) for_records: Vec<(&'static str, AnyValue)>,
    /// True once the span's identity has been used, by a child or by code that requested the context.
    is_used: AtomicBool,
    /// The number of entries on all threads that have not been exited yet.
    entries: AtomicU32,
    /// Zero until the first exit.
    last_exit: AtomicU64,
    /// `None` unless the times are recorded.
    times: Option<Box<Mutex<Times>>>,
}

/// The total time for which a span was entered on at least one thread, and the total time for which it was not.
#[derive(Debug)]
struct Times {
    entered: u32,
    last: Timestamp,
    busy: u64,
    idle: u64,
}

impl Data {
    pub(crate) fn new(layer: usize, span: BridgedSpan, records_times: bool) -> Self {
        let times = records_times
            .then(|| Box::new(Mutex::new(Times { entered: 0, last: span.clock().now(), busy: 0, idle: 0 })));
        let (is_used, entries) = (AtomicBool::new(false), AtomicU32::new(0));
        Data { layer, span, for_records: Vec::new(), is_used, entries, last_exit: AtomicU64::new(0), times }
    }

    /// Marks a span whose identity has been used, so that its parent can no longer change.
    #[inline]
    pub(crate) fn mark_used(&self) {
        self.is_used.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Returns true if the times within and outside of the span are recorded.
    #[inline]
    pub(crate) fn records_times(&self) -> bool {
        self.times.is_some()
    }

    /// Counts an entry. [`exited`](Self::exited) decrements the count.
    #[inline]
    pub(crate) fn add_entry(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_entered(&self) -> bool {
        self.entries.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn entered(&self, now: Timestamp) {
        if let Some(times) = &self.times {
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            if times.entered == 0 {
                times.idle += times.advance(now);
            }
            times.entered = times.entered.saturating_add(1);
        }
    }

    #[inline]
    pub(crate) fn exited(&self, exit: Exit) {
        let now = exit.time;
        if exit.has_child {
            self.mark_used();
        }
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.last_exit.fetch_max(now.as_nanos(), Ordering::Relaxed);
        if let Some(times) = &self.times {
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            times.entered = times.entered.saturating_sub(1);
            if times.entered == 0 {
                times.busy += times.advance(now);
            }
        }
    }

    /// Returns the time of the last exit, or `None` if the span was never entered.
    #[inline]
    pub(crate) fn end(&self) -> Option<Timestamp> {
        let nanos = self.last_exit.load(Ordering::Relaxed);
        (nanos != 0).then(|| Timestamp::from_nanos(nanos))
    }

    /// Returns the attributes for the busy and idle times, if they are recorded.
    pub(crate) fn times(&self) -> Vec<KeyValue> {
        let Some(times) = &self.times else { return Vec::new() };
        let times = times.lock().unwrap_or_else(PoisonError::into_inner);
        let nanos = |nanos| i64::try_from(nanos).unwrap_or(i64::MAX);
        vec![KeyValue::new("busy_ns", nanos(times.busy)), KeyValue::new("idle_ns", nanos(times.idle))]
    }
}

impl Times {
    fn advance(&mut self, now: Timestamp) -> u64 {
        let passed = now.as_nanos().saturating_sub(self.last.as_nanos());
        self.last = self.last.max(now);
        passed
    }
}

/// Returns the context of a span, if the layer records it.
#[inline]
pub(crate) fn context<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, layer: usize) -> Option<Context> {
    span.extensions().get::<Data>().filter(|data| data.layer == layer).map(|data| data.span.context().clone())
}
