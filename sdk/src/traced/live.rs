//! A span that has been started: how it becomes current, what is recorded on it, and its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, ContextGuard, KeyValue, Value};

use super::outcome::bounded;
use crate::context;
use crate::time::Timestamp;
use crate::trace::{END_NOW, Failure, Source};
use crate::unsampled::{self, Unsampled};
use crate::value::ToValue;

/// A span that has been started and is not current yet; nothing where there is none.
///
/// Dropping it ends the span as cancelled.
#[derive(Debug)]
#[must_use = "a span that is dropped at once measures nothing"]
pub struct Active(pub(super) State);

/// What became of a span.
#[derive(Debug, Default)]
pub(super) enum State {
    /// There is none: no tracer is installed, or telemetry is suppressed.
    #[default]
    Off,
    /// It is dropped as its parent was, whose context is current and says so.
    Unsampled(Unsampled),
    /// It is recorded, or else its context tells its children that they are not.
    Live(Live),
}

impl State {
    #[inline]
    pub(super) fn is_off(&self) -> bool {
        matches!(self, State::Off)
    }

    #[inline]
    pub(super) fn live(&self) -> Option<&Live> {
        match self {
            State::Live(live) => Some(live),
            State::Off | State::Unsampled(_) => None,
        }
    }

    /// Makes the span current on this thread.
    #[inline]
    pub(super) fn enter(&self) -> Current {
        match self {
            State::Off => Current::Off,
            State::Unsampled(span) => Current::Unsampled(span.enter()),
            State::Live(live) => live.attach().map_or(Current::Off, Current::Attached),
        }
    }

    /// Ends that the span is current.
    #[inline]
    pub(super) fn leave(&mut self, current: Current) {
        if let Current::Unsampled(entered) = current {
            *self = State::Unsampled(entered.leave());
        }
    }
}

/// While it lives, a span is current on this thread.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "what is in it works by being dropped")]
pub(super) enum Current {
    #[default]
    Off,
    Unsampled(unsampled::Entered),
    Attached(ContextGuard),
}

/// A context to attach, and whether it owns a span that records.
#[derive(Debug)]
pub struct Live {
    context: Context,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Its span does not record.
    NotRecording,
    /// Its span records since then.
    Recording(Timestamp),
    /// Its span records, and is of another provider: the API's global one.
    Foreign,
}

impl Live {
    /// A context whose span records if it has started.
    #[inline]
    pub(super) fn new(context: Context, started: Option<Timestamp>) -> Self {
        Live { context, kind: started.map_or(Kind::NotRecording, Kind::Recording) }
    }

    /// A context with a span of another provider.
    pub(super) fn foreign(context: Context) -> Self {
        let kind = if context.span().is_recording() { Kind::Foreign } else { Kind::NotRecording };
        Live { context, kind }
    }

    /// When the span started, if it records and is ours.
    #[inline]
    pub(super) fn started(&self) -> Option<Timestamp> {
        match self.kind {
            Kind::Recording(started) => Some(started),
            Kind::NotRecording | Kind::Foreign => None,
        }
    }

    #[inline]
    fn records(&self) -> bool {
        self.kind != Kind::NotRecording
    }

    #[inline]
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Makes the context current.
    #[inline]
    pub(super) fn attach(&self) -> Option<ContextGuard> {
        context::attach(self.context.clone())
    }

    #[inline]
    pub(super) fn recording(&self) -> Option<&Live> {
        self.records().then_some(self)
    }

    /// Sets an attribute.
    pub fn set<V: ToValue + ?Sized>(&self, key: &'static str, value: &V) {
        if let Ok(Some(value)) = catch_unwind(AssertUnwindSafe(|| value.to_value())) {
            self.attribute(key, value);
        }
    }

    /// Records that the function returned an error, unless the function has said itself how it ended: by an `error.type`,
    /// an error status with a description, or the status ok. An empty description is none.
    ///
    /// spec: semconv general/recording-errors.md
    pub fn fail(&self, description: String, error_type: &'static str) {
        if self.records() {
            let failure = Failure { description: bounded(description), error_type, source: Source::Returned };
            failure.tell(&self.context.span());
        }
    }

    #[cold]
    pub(super) fn panicked(&self) {
        self.attribute("error.type", "panic".into());
        self.attribute("telemark.outcome", "panicked".into());
        if self.records() {
            self.context.span().set_status(Status::error("panic"));
        }
    }

    #[cold]
    pub(super) fn cancelled(&self) {
        self.attribute("telemark.outcome", "cancelled".into());
    }

    /// Ends the span, whoever else still holds its context: at that time, or now.
    pub(super) fn end(&self, end: Option<Timestamp>) {
        match (self.kind, end) {
            (Kind::NotRecording, _) => {}
            (Kind::Recording(_), end) => {
                self.context.span().end_with_timestamp(end.map_or(END_NOW, SystemTime::from));
            }
            // May run while a panic unwinds, and the processors of the other provider are not shielded.
            (Kind::Foreign, _) => {
                let _ = catch_unwind(AssertUnwindSafe(|| self.context.span().end()));
            }
        }
    }

    fn attribute(&self, key: &'static str, value: Value) {
        if self.records() {
            self.context.span().set_attribute(KeyValue::new(key, value));
        }
    }
}
