//! A started span: how it becomes current, what is recorded on it, and how it ends.

use std::time::SystemTime;

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, ContextGuard, KeyValue, Value};

use super::outcome::Description;
use crate::context;
use crate::instrument::exception;
use crate::instrument::shield::shielded;
use crate::time::Timestamp;
use crate::trace::{END_NOW, Source, exceptions};
use crate::unsampled::{self, Unsampled};
use crate::value::ToValue;

/// A span that has been started but is not current yet, or nothing if there is no span.
#[derive(Debug)]
#[must_use = "a span that is dropped at once measures nothing"]
pub struct StartedSpan(pub(in crate::instrument) State);

/// The state of a span: off, unsampled, or open.
#[derive(Debug, Default)]
pub(in crate::instrument) enum State {
    /// There is no span: no tracer is installed, telemetry is suppressed, or the span has ended.
    #[default]
    Off,
    /// Neither the span nor its parent is sampled. The parent's context stays current, so children are not sampled
    /// either.
    Unsampled(Unsampled),
    /// The span is recorded, or its context marks its children as not sampled.
    Open(OpenSpan),
}

impl State {
    #[inline]
    pub(super) fn is_off(&self) -> bool {
        matches!(self, State::Off)
    }

    #[inline]
    pub(in crate::instrument) fn open(&self) -> Option<&OpenSpan> {
        match self {
            State::Open(span) => Some(span),
            State::Off | State::Unsampled(_) => None,
        }
    }

    /// Makes the span current on this thread.
    #[inline]
    pub(super) fn enter(&self) -> Current {
        match self {
            State::Off => Current::Off,
            State::Unsampled(span) => Current::Unsampled(span.enter()),
            State::Open(span) => span.attach().map_or(Current::Off, Current::Attached),
        }
    }

    /// Leaves the span, so that it is no longer current on this thread.
    #[inline]
    pub(super) fn leave(&mut self, current: Current) {
        if let Current::Unsampled(entered) = current {
            *self = State::Unsampled(entered.leave());
        }
    }
}

/// The guard of a span that is current on this thread; dropping it leaves the span.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "the guards act when they are dropped")]
pub(super) enum Current {
    #[default]
    Off,
    Unsampled(unsampled::Entered),
    Attached(ContextGuard),
}

/// An open span: its context, and how it is recorded.
#[derive(Debug)]
pub struct OpenSpan {
    context: Context,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The span is not recording.
    NotRecording,
    /// The span is recording and started at this time.
    Recording(Timestamp),
    /// The span is recorded by a different provider, namely the API's global one.
    Foreign,
}

impl OpenSpan {
    /// Opens the span in `context`. It is recording if it has a start time.
    #[inline]
    pub(super) fn new(context: Context, started: Option<Timestamp>) -> Self {
        OpenSpan { context, kind: started.map_or(Kind::NotRecording, Kind::Recording) }
    }

    /// Opens a span created by another provider.
    pub(super) fn foreign(context: Context) -> Self {
        let kind = if context.span().is_recording() { Kind::Foreign } else { Kind::NotRecording };
        OpenSpan { context, kind }
    }

    /// Returns the start time, if the span is recorded by Telemark.
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
    pub(super) fn recording(&self) -> Option<&OpenSpan> {
        self.records().then_some(self)
    }

    /// Sets an attribute.
    pub fn set<V: ToValue + ?Sized>(&self, key: &'static str, value: &V) {
        if let Some(value) = shielded(|| value.to_value()).flatten() {
            self.attribute(key, value);
        }
    }

    /// Records that the function returned an error, unless the function has already set an `error.type`, an error status with
    /// a description, or the status ok. An empty description is ignored. Also records an exception, unless this span or
    /// a span that ended within it has already recorded the same exception: on the span, as a log record, or as both.
    ///
    /// spec: semconv general/recording-errors.md
    pub fn fail(&self, description: Description, error_type: &'static str) {
        if self.records() {
            let appeared = description.into_failure(error_type, Source::Returned).tell(&self.context.span());
            if let Some(appeared) = appeared {
                exception::write(appeared, &self.context);
            }
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

    /// Ends the span at `end`, or now if `end` is `None`, even if its context is still held elsewhere.
    pub(super) fn end(&self, end: Option<Timestamp>) {
        match (self.kind, end) {
            (Kind::NotRecording, _) => {}
            (Kind::Recording(_), end) => {
                self.context.span().end_with_timestamp(end.map_or(END_NOW, SystemTime::from));
                if exceptions::has_ended() {
                    // This span is no longer current; the caller's span is.
                    context::look(|caller| exceptions::pass_on(self.context.span().span_context(), &caller.span()));
                }
            }
            // A panic may already be unwinding here, and the other provider does not catch panics in its processors.
            (Kind::Foreign, _) => {
                shielded(|| self.context.span().end());
            }
        }
    }

    fn attribute(&self, key: &'static str, value: Value) {
        if self.records() {
            self.context.span().set_attribute(KeyValue::new(key, value));
        }
    }
}
