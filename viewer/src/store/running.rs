//! The spans of this process that have not ended yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemark_sdk::time::Clock;

use crate::model::{Dropped, Kind, Resource, Scope, Span, SpanId, Status, Text, TraceId};

/// The maximum number of running spans. Others are not shown.
const MAX_SPANS: usize = 10_000;
/// How long a request for running spans stays in effect.
const WANTED: u64 = Duration::from_secs(5).as_nanos() as u64;

/// Facts about a span that has started.
#[derive(Clone, Debug)]
pub struct RunningSpan {
    /// The id of the trace.
    pub trace_id: TraceId,
    /// The id of the span.
    pub span_id: SpanId,
    /// The id of the parent, or zero for a root.
    pub parent: SpanId,
    /// The name.
    pub name: Text,
    /// The kind.
    pub kind: Kind,
    /// The start, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// The resource.
    pub resource: Arc<Resource>,
}

/// Follows the spans of this process, while a page shows them.
#[derive(Debug)]
pub struct Running {
    clock: Clock,
    /// When a page last asked, in nanoseconds since the Unix epoch; zero if no page has asked lately.
    asked: AtomicU64,
    spans: Mutex<HashMap<SpanId, RunningSpan>>,
}

impl Running {
    pub(crate) fn new(clock: Clock) -> Self {
        Running { clock, asked: AtomicU64::new(0), spans: Mutex::default() }
    }

    /// Returns true if a page has asked for running spans within the last 5 seconds. Costs one relaxed load while no
    /// page is open.
    pub fn wanted(&self) -> bool {
        match self.asked.load(Ordering::Relaxed) {
            0 => false,
            asked => self.is_recent(asked),
        }
    }

    /// Adds a span that has started. Call it only while the spans are [`wanted`](Running::wanted).
    pub fn span_started(&self, span: RunningSpan) {
        let mut spans = self.lock();
        if spans.len() < MAX_SPANS || spans.contains_key(&span.span_id) {
            spans.insert(span.span_id, span);
        }
    }

    /// Removes a span that has ended. Call it only while the spans are [`wanted`](Running::wanted).
    pub fn span_ended(&self, span_id: SpanId) {
        self.lock().remove(&span_id);
    }

    /// Returns the running spans by start, and keeps them wanted.
    pub(crate) fn spans(&self) -> Vec<Arc<Span>> {
        self.asked.store(self.clock.now().as_nanos().max(1), Ordering::Relaxed);
        let scope = Arc::new(Scope { name: "".into(), version: "".into(), attributes: Box::default() });
        let running: Vec<RunningSpan> = self.lock().values().cloned().collect();
        let mut spans: Vec<_> = running.into_iter().map(|span| Arc::new(span.into_span(scope.clone()))).collect();
        spans.sort_by_key(|span| (span.start, span.span_id));
        spans
    }

    /// Returns the number of running spans, and keeps them wanted.
    pub(crate) fn count(&self) -> usize {
        self.asked.store(self.clock.now().as_nanos().max(1), Ordering::Relaxed);
        self.lock().len()
    }

    /// Returns a text that changes whenever a span starts or ends.
    pub(crate) fn cursor(&self) -> String {
        let spans = self.lock();
        let sum = spans.keys().fold(0u64, |sum, id| sum.wrapping_add(id.0));
        format!("{}-{sum:x}", spans.len())
    }

    fn is_recent(&self, asked: u64) -> bool {
        let is_recent = self.clock.now().as_nanos().saturating_sub(asked) < WANTED;
        // The first caller to notice clears the spans, since their ends will not be reported.
        if !is_recent && self.asked.compare_exchange(asked, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let old = std::mem::take(&mut *self.lock());
            drop(old);
        }
        is_recent
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SpanId, RunningSpan>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningSpan {
    fn into_span(self, scope: Arc<Scope>) -> Span {
        Span {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent: self.parent,
            name: self.name,
            kind: self.kind,
            start: self.start,
            end: 0,
            status: Status::Unset,
            trace_state: "".into(),
            attributes: Box::default(),
            events: Box::default(),
            links: Box::default(),
            dropped: Dropped::default(),
            resource: self.resource,
            scope,
        }
    }
}

#[cfg(test)]
mod tests {
    use telemark_sdk::testing::ManualClock;

    use super::*;

    fn span(id: u64) -> RunningSpan {
        let resource = Arc::new(Resource { service: "shop".into(), attributes: Box::default() });
        let (trace_id, span_id) = (TraceId(1), SpanId(id));
        RunningSpan {
            trace_id,
            span_id,
            parent: SpanId(0),
            name: "work".into(),
            kind: Kind::Internal,
            start: id,
            resource,
        }
    }

    fn ids(running: &Running) -> Vec<u64> {
        running.spans().iter().map(|span| span.span_id.0).collect()
    }

    #[test]
    fn spans_are_wanted_for_five_seconds_after_a_page_asked() {
        let clock = ManualClock::new();
        let running = Running::new(clock.clock());
        assert!(!running.wanted());
        assert!(ids(&running).is_empty());
        assert!(running.wanted());
        running.span_started(span(2));
        running.span_started(span(1));
        assert_eq!(ids(&running), [1, 2]);
        running.span_ended(SpanId(1));
        clock.advance(Duration::from_millis(4_999));
        assert!(running.wanted());
        clock.advance(Duration::from_millis(1));
        assert!(!running.wanted());
        assert!(ids(&running).is_empty(), "the end of a span was not reported");
    }

    #[test]
    fn the_number_of_running_spans_is_bounded() {
        let running = Running::new(ManualClock::new().clock());
        for id in 1..=MAX_SPANS as u64 + 5 {
            running.span_started(span(id));
        }
        assert_eq!(running.spans().len(), MAX_SPANS);
    }
}
