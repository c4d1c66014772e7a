//! The spans of this process that have not ended yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemark_sdk::instrument::bridge::PerProcess;
use telemark_sdk::time::Clock;
use telemark_sdk::trace::Attention;

use crate::model::{Dropped, Kind, Resource, Scope, Span, SpanId, Status, Text, TraceId};

/// The maximum number of running spans. Those that started first make room, such as spans that the program has forgotten to end.
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

type Spans = HashMap<SpanId, RunningSpan>;

/// Follows the spans of this process, while a page shows them.
#[derive(Debug)]
pub struct Running {
    clock: Clock,
    /// On while a page is open. Changes only under the lock, together with the spans.
    attention: Attention,
    /// When a page last asked, in nanoseconds since the Unix epoch.
    asked: AtomicU64,
    /// A forked child has spans of its own: its parent's do not run there, and another thread may have held the lock.
    spans: PerProcess<Mutex<Spans>>,
}

impl Running {
    pub(crate) fn new(clock: Clock) -> Self {
        let spans = std::array::from_fn(|_| Mutex::default());
        Running { clock, attention: Attention::new(), asked: AtomicU64::new(0), spans: PerProcess::new(spans) }
    }

    /// Returns true if a page has asked for running spans within the last 5 seconds. Costs one relaxed load while no
    /// page is open.
    pub fn wanted(&self) -> bool {
        self.attention.is_on() && (self.is_recent() || self.ask_no_longer())
    }

    /// Returns the switch that is on while a page may be open.
    pub fn attention(&self) -> Attention {
        self.attention.clone()
    }

    /// Adds a span that has started, if spans are [`wanted`](Running::wanted).
    pub fn span_started(&self, span: RunningSpan) {
        let mut spans = self.lock();
        // The end of a span that is added later would not be reported.
        if !self.attention.is_on() {
            return;
        }
        if spans.len() >= MAX_SPANS {
            make_room(&mut spans);
        }
        spans.insert(span.span_id, span);
    }

    /// Removes a span that has ended. Call it only while the spans are [`wanted`](Running::wanted).
    pub fn span_ended(&self, span_id: SpanId) {
        self.lock().remove(&span_id);
    }

    /// Removes the spans of a provider, which reports no ends after its shutdown.
    pub(crate) fn provider_ended(&self, resource: &Arc<Resource>) {
        self.lock().retain(|_, span| !Arc::ptr_eq(&span.resource, resource));
    }

    /// Returns the running spans by start, and keeps them wanted.
    pub(crate) fn spans(&self) -> Vec<Arc<Span>> {
        let scope = Arc::new(Scope { name: "".into(), version: "".into(), attributes: Box::default() });
        let running: Vec<RunningSpan> = self.ask().values().cloned().collect();
        let mut spans: Vec<_> = running.into_iter().map(|span| Arc::new(span.into_span(scope.clone()))).collect();
        spans.sort_by_key(|span| (span.start, span.span_id));
        spans
    }

    /// Returns the number of running spans, and keeps them wanted.
    pub(crate) fn count(&self) -> usize {
        self.ask().len()
    }

    /// Asks for the spans that start from now on.
    fn ask(&self) -> MutexGuard<'_, Spans> {
        let spans = self.lock();
        self.asked.store(self.clock.now().as_nanos(), Ordering::Relaxed);
        self.attention.set(true);
        spans
    }

    /// Forgets the spans, since their ends will not be reported, unless a page asks at this moment. Returns true if one does.
    #[cold]
    fn ask_no_longer(&self) -> bool {
        let mut spans = self.lock();
        if self.is_recent() {
            return true;
        }
        self.attention.set(false);
        let old = std::mem::take(&mut *spans);
        drop(spans);
        drop(old);
        false
    }

    fn is_recent(&self) -> bool {
        self.clock.now().as_nanos().saturating_sub(self.asked.load(Ordering::Relaxed)) < WANTED
    }

    fn lock(&self) -> MutexGuard<'_, Spans> {
        self.spans.get().lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the quarter of the spans that started first. One by one, each start would search all spans.
fn make_room(spans: &mut Spans) {
    let mut starts: Vec<u64> = spans.values().map(|span| span.start).collect();
    let (_, &mut latest, _) = starts.select_nth_unstable(MAX_SPANS / 4);
    spans.retain(|_, span| span.start > latest);
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
    fn a_span_that_starts_when_its_page_closes_does_not_run_forever() {
        let clock = ManualClock::new();
        let running = Running::new(clock.clock());
        running.count();
        assert!(running.wanted());
        // Another thread notices that the page is closed before this one adds its span.
        clock.advance(Duration::from_secs(6));
        assert!(!running.wanted());
        running.span_started(span(1));
        assert!(ids(&running).is_empty());
    }

    #[test]
    fn the_running_spans_are_bounded_and_the_oldest_make_room() {
        let running = Running::new(ManualClock::new().clock());
        running.count();
        let last = 2 * MAX_SPANS as u64;
        for id in 1..=last {
            running.span_started(span(id));
            assert!(running.count() <= MAX_SPANS);
        }
        let ids = ids(&running);
        assert!(ids.len() > MAX_SPANS / 2, "{} are left", ids.len());
        assert_eq!(ids, (last - ids.len() as u64 + 1..=last).collect::<Vec<_>>());
    }
}
