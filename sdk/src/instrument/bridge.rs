//! Spans for bridges: crates that connect another instrumentation library to Telemark, such as `telemark-tracing`.
//!
//! A bridge decides when a span starts, is current and ends. This module finds the tracer, asks the sampler, and keeps the
//! span in a context, so that the spans of all libraries nest.

use std::borrow::Cow;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, ContextGuard, KeyValue};

use super::exception;
use super::shield::shielded;
use super::spans::outcome;
use crate::context;
pub use crate::process::PerProcess;
use crate::runtime::is_background;
#[doc(hidden)]
pub use crate::sync::free;
use crate::sync::{Mutex, lock};
use crate::time::{Clock, Timestamp};
use crate::trace::bridged::{self, Bridged};
use crate::trace::exceptions::{self, Appeared};
use crate::trace::{
    self, CallSite, END_NOW, ExceptionSignal, Glance, Scope, SdkTracer, SpanData, SpanRecord, active, is_ending,
};

/// The parent of a new span.
#[derive(Clone, Copy, Debug)]
pub enum Parent<'a> {
    /// The span of the current context.
    Current,
    /// No span; the baggage of the current context is kept.
    Root,
    /// The span of this context.
    Of(&'a Context),
}

/// The static description of the code that starts a span, and the options of the bridge.
#[derive(Clone, Copy, Debug)]
pub struct BridgedSite {
    /// The scope and the place.
    pub call_site: &'static CallSite,
    /// True if the span gets the `code.*` attributes.
    pub code_attributes: bool,
}

/// What a span starts with. The attributes may contain a key more than once; the last value counts.
#[derive(Debug)]
pub struct Fields<'a>(&'a mut SpanRecord);

impl Fields<'_> {
    /// Sets the name.
    #[inline]
    pub fn set_name(&mut self, name: impl Into<Cow<'static, str>>) {
        self.0.name = name.into();
    }

    /// Sets the kind.
    #[inline]
    pub fn set_kind(&mut self, kind: SpanKind) {
        self.0.kind = kind;
    }

    /// Sets the status.
    pub fn set_status(&mut self, status: Status) {
        self.0.status = status;
    }

    /// Returns the attributes, to which the bridge adds.
    #[inline]
    pub fn attributes(&mut self) -> &mut Vec<KeyValue> {
        &mut self.0.own_attributes
    }
}

/// A span of another library. It ends when [`end`](Self::end) is called or when it and all contexts that contain it are
/// dropped.
#[derive(Debug)]
pub struct BridgedSpan {
    context: Context,
    clock: Clock,
    /// What a span that the sampler dropped would have recorded, and its tracer. Empty once the span has another parent.
    unrecorded: Option<Box<Mutex<Option<Unrecorded>>>>,
}

type Unrecorded = (SpanData, SdkTracer);

impl BridgedSpan {
    /// Starts a span. Returns `None` if no telemetry is installed, or if telemetry is suppressed on this thread or in `parent`.
    ///
    /// `fill` runs on this thread before or after the sampler is asked, or not at all if the span is dropped like its parent. A
    /// panic in `fill` loses the fields after it, not the span.
    pub fn start(site: BridgedSite, parent: Parent<'_>, fill: impl FnOnce(&mut Fields<'_>)) -> Option<BridgedSpan> {
        if !active::is_installed() || is_background() {
            return None;
        }
        let fill = |record: &mut SpanRecord| {
            shielded(|| fill(&mut Fields(record)));
        };
        // The common case: below a sampled span, neither the sampler nor a copy of the parent's context is needed.
        if let (Parent::Current, Some(tracer)) =
            (parent, active::only_installed().filter(|tracer| !tracer.wants_start()))
        {
            match context::look(|current| tracer.begin_at_once(current))? {
                Glance::Silent => return None,
                Glance::Recorded(data) => {
                    let span = tracer.record_bridged(site.call_site, site.code_attributes, data, fill);
                    let context = context::look(|current| span.in_context(current))?;
                    return Some(BridgedSpan { context, clock: tracer.clock(), unrecorded: None });
                }
                Glance::Dropped(_) | Glance::Unknown => {}
            }
        }
        let current = context::current();
        if current.is_telemetry_suppressed() {
            return None;
        }
        let root;
        let parent = match parent {
            Parent::Current => &current,
            Parent::Of(context) => context,
            Parent::Root => {
                root = current.with_remote_span_context(SpanContext::NONE);
                &root
            }
        };
        // A test's tracer lies in its context, which an explicit parent has inherited.
        let tracer = active::tracer(parent).or_else(|| active::tracer(&current))?;
        let started = tracer.start_bridged(site.call_site, site.code_attributes, parent, fill)?;
        Some(BridgedSpan::new(started, tracer, parent))
    }

    fn new(started: Bridged, tracer: &SdkTracer, parent: &Context) -> Self {
        let (context, unrecorded) = match started {
            Bridged::Span(span) => (span.in_context(parent), None),
            Bridged::Dropped(context, data) => {
                (parent.with_remote_span_context(context), Some(Box::new(Mutex::new(Some((data, tracer.clone()))))))
            }
        };
        BridgedSpan { context, clock: tracer.clock(), unrecorded }
    }

    /// Returns a stand-in for a span that is not recorded: its context has the identity of the parent, so that the trace passes
    /// through it. Changes and the end have no effect.
    pub fn passing_through(parent: &Context) -> BridgedSpan {
        let context = parent.with_remote_span_context(parent.span().span_context().clone());
        BridgedSpan { context, clock: Clock::system(), unrecorded: None }
    }

    /// Returns the context of the span.
    #[inline]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns the clock of the span.
    #[inline]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns true if fields and events are worth evaluating: the span is recording, or it may still be given a parent with
    /// which it is.
    pub fn takes_fields(&self) -> bool {
        self.unrecorded.is_some() || is_recording(&self.context)
    }

    /// Begins to give the span another parent. From then on, this span takes no changes.
    pub fn reparent(&self) -> Reparent {
        let unrecorded = self.unrecorded.as_ref();
        let unrecorded = unrecorded.and_then(|kept| lock(kept).take());
        Reparent { context: self.context.clone(), unrecorded }
    }

    /// Applies a change to the span.
    pub fn change(&self, change: Change) {
        let Some(kept) = &self.unrecorded else { return change.apply(&self.context) };
        let mut kept = lock(kept);
        let Some((data, tracer)) = &mut *kept else { return };
        match change {
            // The span may live as long as the program, so the limits apply here too.
            Change::Attributes(list) => list.into_iter().for_each(|attribute| tracer.set_attribute(data, attribute)),
            Change::Name(name) => data.name = name,
            Change::Kind(kind) => data.kind = kind,
            Change::Status(status) if data.status != Status::Ok => data.status = status,
            Change::Fail if data.status == Status::Unset => data.status = Status::error(""),
            // Events and links are rare on a span that is not recorded, and are not kept.
            _ => {}
        }
    }

    /// Gives up the span without exporting it.
    pub fn discard(&self) {
        if let Some((data, tracer)) = bridged::take(&self.context.span()) {
            tracer.count_end(&data);
        }
    }

    /// Ends the span at `end` or, if that is `None`, now.
    pub fn end(&self, end: Option<Timestamp>) {
        self.context.span().end_with_timestamp(end.map_or(END_NOW, SystemTime::from));
        if exceptions::has_ended() {
            // This span is no longer current; the caller's span is.
            context::look(|caller| exceptions::pass_on(self.context.span().span_context(), &caller.span()));
        }
    }
}

/// A span that is about to have another parent. Separate from the span, so that the sampler is asked without a lock on it.
#[derive(Debug)]
pub struct Reparent {
    context: Context,
    unrecorded: Option<Unrecorded>,
}

impl Reparent {
    /// Returns the span with another parent, and thereby with another identity. Children that have already started keep their
    /// parent. Returns `None` if the span has ended, or is dropped like its first parent.
    ///
    /// The sampler is consulted again. The start time, fields, events and links are kept.
    pub fn below(self, parent: &Context) -> Option<BridgedSpan> {
        let was_recorded = self.unrecorded.is_none();
        let (data, tracer) = self.unrecorded.or_else(|| bridged::take(&self.context.span()))?;
        let clock = tracer.clock();
        Some(match tracer.restart_bridged(data, &self.context, was_recorded, parent) {
            Some(started) => BridgedSpan::new(started, &tracer, parent),
            // The children get the identity of the parent, whose span this one must not change or end.
            None => {
                let context = parent.with_remote_span_context(parent.span().span_context().clone());
                BridgedSpan { context, clock, unrecorded: None }
            }
        })
    }
}

/// A change of a span that has started.
#[derive(Debug)]
pub enum Change {
    /// Sets attributes.
    Attributes(Vec<KeyValue>),
    /// Sets the name.
    Name(Cow<'static, str>),
    /// Sets the kind.
    Kind(SpanKind),
    /// Sets the status.
    Status(Status),
    /// Sets the status to error without a description, unless the span has a status.
    Fail,
    /// Adds an event.
    Event {
        /// The name.
        name: Cow<'static, str>,
        /// The time.
        time: Timestamp,
        /// The attributes.
        attributes: Vec<KeyValue>,
    },
    /// Records an exception in the signal that the program has selected, unless the span or a span that ended within it has
    /// recorded the same exception.
    Exception {
        /// The message, with those of the causes.
        message: String,
        /// The time.
        time: Timestamp,
        /// The scope of a log record.
        scope: Scope,
    },
    /// Adds a link.
    Link(Link),
}

impl Change {
    /// Applies this to the span in `context`. Does nothing if the span is not recording.
    pub fn apply(self, context: &Context) {
        let span = context.span();
        if is_ending(span.span_context()) {
            return;
        }
        match self {
            Change::Attributes(list) => span.set_attributes(list),
            Change::Name(name) => span.update_name(name),
            Change::Kind(kind) => bridged::set_kind(&span, kind),
            Change::Status(status) => span.set_status(status),
            Change::Fail => bridged::fail(&span),
            Change::Event { name, time, attributes } => span.add_event_with_timestamp(name, time.into(), attributes),
            Change::Exception { message, time, scope } => {
                let Some(kind) = bridged::note_exception(&span, &message) else { return };
                let signal = exception_signal(context);
                if signal.has_span_events() {
                    let attributes = vec![KeyValue::new("exception.message", message.clone())];
                    span.add_event_with_timestamp("exception", time.into(), attributes);
                }
                if signal.has_log_records() {
                    log_exception(message, scope, kind, context);
                }
            }
            Change::Link(link) => span.add_link(link.span_context, link.attributes),
        }
    }
}

/// Returns true if the span of `context` is recording. Returns false while its processors run on this thread, because the
/// API then holds the lock of the span.
#[inline]
pub fn is_recording(context: &Context) -> bool {
    trace::is_recording(&context.span())
}

/// Makes `context` current. Returns `None` at thread exit, where the API would panic.
#[inline]
pub fn attach(context: &Context) -> Option<ContextGuard> {
    context::attach(context.clone())
}

/// Drops the guard of a context, unless the thread's context has been destroyed, where the API would panic.
#[inline]
pub fn detach(guard: ContextGuard) {
    let mut guard = Some(guard);
    context::while_alive(|| drop(guard.take()));
    std::mem::forget(guard);
}

/// Returns the current context, or an empty one at thread exit, where the API would panic.
pub fn current_context() -> Context {
    context::current()
}

/// Returns true if there may be a tracer. Returns false before the installation, and if telemetry is disabled.
pub fn is_installed() -> bool {
    active::is_installed()
}

/// Returns the current time of the tracer in use, or `None` if there is none.
pub fn now() -> Option<Timestamp> {
    context::look(|current| active::tracer(current).map(SdkTracer::clock)).flatten().map(|clock| clock.now())
}

/// Returns the signal in which exceptions on the span of `context` are recorded.
pub fn exception_signal(context: &Context) -> ExceptionSignal {
    let of = |context: &Context| active::tracer(context).map(SdkTracer::exception_signal);
    // A test's tracer lies in its context, which an explicit parent need not have.
    of(context).or_else(|| context::look(of).flatten()).unwrap_or_default()
}

/// Remembers an exception with this message on the span of `context`. Returns the kind of the span, or `None` if the exception must
/// not be recorded: the span is not recording, or the span or one that ended within it has recorded the same exception.
pub fn note_exception(context: &Context, message: &str) -> Option<SpanKind> {
    bridged::note_exception(&context.span(), message)
}

/// Writes an exception as a log record with the ids of the span of `context`, which has this kind. Runs processors of the program.
pub fn log_exception(message: String, scope: Scope, kind: SpanKind, context: &Context) {
    exception::write(Appeared { exception_type: "", message, scope, kind }, context);
}

/// Returns the messages of an error and its causes, limited in length.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    outcome::describe(error).to_string()
}

/// Returns true while this thread does the SDK's own work, which must not create telemetry. [`is_suppressed`] includes this.
#[inline]
pub fn is_sdk_thread() -> bool {
    is_background()
}

/// Returns true if telemetry is suppressed on this thread.
pub fn is_suppressed() -> bool {
    is_background() || context::look(Context::is_telemetry_suppressed).unwrap_or(true)
}

/// Notes that the program exports through an exporter of another SDK, whose HTTP client may have threads of its own, on which
/// telemetry is not suppressed.
pub fn note_foreign_exporter() {
    HAS_FOREIGN_EXPORTER.store(true, Ordering::Relaxed);
}

/// Returns true if the program exports through an exporter of another SDK. A bridge then drops what an HTTP client says outside of
/// all spans, or every export would cause another.
#[inline]
pub fn has_foreign_exporter() -> bool {
    HAS_FOREIGN_EXPORTER.load(Ordering::Relaxed)
}

static HAS_FOREIGN_EXPORTER: AtomicBool = AtomicBool::new(false);

/// Runs `work`, which may call code of the program. Returns `None` if it panics.
#[inline]
pub fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    shielded(work)
}

#[cfg(test)]
mod tests {
    use opentelemetry::baggage::BaggageExt;
    use opentelemetry::trace::{TraceFlags, TraceState};

    use super::*;
    use crate::baggage_attributes::BaggageAttributes;
    use crate::diag::{Origin, Outcome};
    use crate::sampling::{AlwaysOff, ParentBased, TraceIdRatio};
    use crate::testing::TestTelemetry;

    fn start(name: &'static str) -> BridgedSpan {
        let call_site = Box::leak(Box::new(CallSite::for_target("test", "", 0)));
        let site = BridgedSite { call_site, code_attributes: false };
        BridgedSpan::start(site, Parent::Current, |fields| fields.set_name(name)).unwrap()
    }

    #[test]
    fn a_span_with_another_parent_counts_once_and_has_the_baggage_of_that_parent() {
        let baggage = BaggageAttributes::new(["user", "tenant"]);
        let telemetry = TestTelemetry::with(|builder| builder.with_span_counts().with_baggage_attributes(baggage));
        let first = [KeyValue::new("user", "ada"), KeyValue::new("tenant", "shop")];
        let _attached = telemetry.context().with_baggage(first).attach();
        let second = telemetry.context().with_baggage([KeyValue::new("user", "eve")]);
        let remote = SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, true, TraceState::default());
        let started = start("worker");
        let restarted = started.reparent().below(&second.with_remote_span_context(remote)).unwrap();
        let [given_up, ended] = [start("given up"), start("ended")];
        given_up.discard();
        ended.end(None);
        restarted.end(None);
        let tree = telemetry.tree();
        assert!(tree.ends_with("worker user=eve\n") && tree.lines().count() == 2, "{tree}");
        let counts = telemetry.provider().span_counts().unwrap();
        assert_eq!(counts.started(Origin::None, Outcome::Sampled), 3);
        assert_eq!(counts.started(Origin::Remote, Outcome::Sampled), 0);
        assert_eq!(counts.live(Outcome::Sampled), Some(0));
    }

    #[test]
    fn a_dropped_span_with_another_parent_counts_once() {
        // A sampler that is asked again about the new parent.
        let sampler = TraceIdRatio::new(0.0);
        let telemetry = TestTelemetry::with(|builder| builder.with_span_counts().with_sampler(sampler));
        let _attached = telemetry.context().attach();
        let remote = SpanContext::new(1.into(), 2.into(), TraceFlags::default(), true, TraceState::default());
        let started = start("worker");
        let restarted = started.reparent().below(&telemetry.context().with_remote_span_context(remote)).unwrap();
        restarted.end(None);
        let counts = telemetry.provider().span_counts().unwrap();
        let dropped = [Origin::None, Origin::Remote].map(|origin| counts.started(origin, Outcome::Dropped));
        assert_eq!(dropped, [1, 0]);
    }

    #[test]
    fn an_unsampled_root_keeps_each_attribute_once_and_within_the_limit() {
        let telemetry = TestTelemetry::with(|builder| builder.with_sampler(ParentBased::new(AlwaysOff)));
        let _attached = telemetry.attach();
        let span = start("worker");
        for depth in 0..1000 {
            span.change(Change::Attributes(vec![KeyValue::new("depth", depth)]));
            span.change(Change::Attributes(vec![KeyValue::new(format!("n{depth}"), depth)]));
        }
        let kept = span.unrecorded.as_ref().unwrap().lock().unwrap();
        let (data, _) = kept.as_ref().unwrap();
        assert_eq!(data.own_attributes.len(), 128);
        assert_eq!(data.dropped_attributes, 1000 - 127);
        assert_eq!(data.own_attributes[0].value, 999.into());
    }
}
