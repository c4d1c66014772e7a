//! Exceptions on spans: where they are recorded, and the memory that prevents an exception from being recorded twice.
//!
//! An error often propagates through several functions. The span of each of these functions gets the error status, but
//! the exception is recorded only on the span in which the error first appeared. To recognize an error, a span
//! remembers the *roots* of the exceptions recorded on it and on the spans that ended within it. The root is the last
//! message of an error's source chain, which wrapping an error does not change. When a span ends, it passes its roots
//! to the span that is then current, which is its caller's span. A span without exceptions has no roots and allocates
//! nothing for them.

use std::cell::Cell;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, SpanRef, Status};

use super::failure::{Failure, Told};
use super::span::{Recording, is_ending};
use super::{Scope, SpanEvent, TracerProviderBuilder};
use crate::config::Env;
use crate::text::contains;

/// Maximum number of roots that a span remembers. Beyond this number, the oldest roots are forgotten.
const MAX_ROOTS: usize = 8;

/// Maximum length of a remembered root in bytes.
const MAX_ROOT_LENGTH: usize = 512;

/// The signal in which exceptions are recorded, as selected by `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`.
///
/// A log record has the event name `exception`, the trace context and the scope of the span, and the severity `ERROR`, or `WARN`
/// on a span of the kind client or producer, whose caller handles the exception. Without
/// a logger provider no record is written. A span that is not recording has exceptions in neither signal.
///
/// spec: semconv exceptions/README.md, exceptions/exceptions-logs.md
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExceptionSignal {
    /// Exceptions are recorded as span events, which is the default.
    #[default]
    SpanEvents,
    /// Exceptions are recorded only as log records (`logs`), not as span events.
    Logs,
    /// Exceptions are recorded as both span events and log records (`logs/dup`).
    SpanEventsAndLogs,
}

impl ExceptionSignal {
    /// Reads `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`.
    pub fn from_env(env: &Env) -> Self {
        let values = [("logs", ExceptionSignal::Logs), ("logs/dup", ExceptionSignal::SpanEventsAndLogs)];
        env.one_of("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", &values).unwrap_or_default()
    }

    /// Returns true if exceptions are recorded as span events.
    pub fn has_span_events(self) -> bool {
        self != ExceptionSignal::Logs
    }

    /// Returns true if exceptions are recorded as log records.
    pub fn has_log_records(self) -> bool {
        self != ExceptionSignal::SpanEvents
    }
}

impl TracerProviderBuilder {
    /// Sets the signal in which exceptions are recorded. The default is span events.
    pub fn with_exception_signal(mut self, signal: ExceptionSignal) -> Self {
        self.exceptions = signal;
        self
    }
}

/// The roots of the exceptions recorded on a span and on the spans that ended within it, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roots(Vec<Box<str>>);

impl Roots {
    fn add(&mut self, root: Box<str>) {
        if self.0.contains(&root) {
            return;
        }
        if self.0.len() == MAX_ROOTS {
            self.0.remove(0);
        }
        self.0.push(root);
    }
}

/// Records the exception for a failure, unless the span already knows the exception's root.
///
/// spec: semconv exceptions/exceptions-spans.md, general/recording-errors.md
pub(super) fn record(failure: &Failure, recording: &mut Recording) {
    // An error without a message is recognized by its type.
    let root = failure.root.as_deref().unwrap_or(&failure.description);
    if !appears(if root.is_empty() { failure.error_type } else { root }, &failure.description, recording) {
        return;
    }
    let signal = recording.provider.exceptions;
    if signal.has_span_events() {
        let event = SpanEvent::new("exception", recording.provider.clock.now(), attributes(failure));
        recording.push_event(event);
    }
    if signal.has_log_records() {
        let (exception_type, message) = (exception_type(failure), failure.description.clone());
        let (scope, kind) = (recording.data.scope.clone(), recording.data.kind.clone());
        Told::Appeared(Appeared { exception_type, message, scope, kind }).leave();
    }
}

/// Remembers the root of an exception whose messages are `text`. Returns false if the span already knows the exception.
pub(super) fn appears(root: &str, text: &str, recording: &mut Recording) -> bool {
    let root = shortened(root);
    let roots = recording.roots.get_or_insert_default();
    // A root may have been truncated in the middle of a word.
    let occurs = |known: &str| contains(text, known) || known.len() + 4 > MAX_ROOT_LENGTH && text.contains(known);
    let is_known = |known: &str| known == root || occurs(known);
    if roots.0.iter().any(|known| is_known(known)) {
        return false;
    }
    roots.add(root.into());
    true
}

/// An exception that has appeared on a span and has yet to be written as a log record. Traces do not know logs, and the span
/// may be locked, so [`Failure::tell`] hands the exception to its caller.
#[derive(Debug)]
#[must_use = "the exception is lost"]
pub(crate) struct Appeared {
    /// The type, or an empty string if the type is hidden.
    pub(crate) exception_type: &'static str,
    /// The message, which may be empty.
    pub(crate) message: String,
    /// The scope of the span.
    pub(crate) scope: Scope,
    /// The kind of the span.
    pub(crate) kind: SpanKind,
}

/// The exception message includes the messages of the error's causes, as the status description does.
fn attributes(failure: &Failure) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(2);
    let exception_type = exception_type(failure);
    if !exception_type.is_empty() {
        attributes.push(KeyValue::new("exception.type", exception_type));
    }
    if !failure.description.is_empty() {
        attributes.push(KeyValue::new("exception.message", failure.description.clone()));
    }
    attributes
}

/// Returns an empty string for a hidden type, unless the exception would then say nothing.
fn exception_type(failure: &Failure) -> &'static str {
    let is_hidden = failure.error_type == UNKNOWN_TYPE && !failure.description.is_empty();
    if is_hidden { "" } else { failure.error_type }
}

/// The `error.type` used for an error whose type is hidden. It is not the name of a type.
const UNKNOWN_TYPE: &str = "_OTHER";

fn shortened(root: &str) -> &str {
    let cut = (0..=root.len().min(MAX_ROOT_LENGTH)).rev().find(|&at| root.is_char_boundary(at));
    root.get(..cut.unwrap_or(0)).unwrap_or(root)
}

thread_local! {
    // Has no destructor, so that reading it costs only one load.
    static ENDED: Cell<SpanId> = const { Cell::new(SpanId::INVALID) };
}

/// Keeps the roots of a span that has just ended on this thread, for [`pass_on`].
#[cold]
pub(super) fn ended(span: SpanId, roots: Roots) {
    ENDED.set(span);
    Told::Ended(roots).leave();
}

/// Returns true if a span with roots has ended on this thread and [`pass_on`] has not been called since.
#[inline]
pub(crate) fn has_ended() -> bool {
    ENDED.get() != SpanId::INVALID
}

/// Passes the roots of the span `ended` to `caller`. If the kept roots belong to another span, which did not end
/// together with its function, forgets them.
#[cold]
pub(crate) fn pass_on(ended: &SpanContext, caller: &SpanRef<'_>) {
    let is_this = ENDED.replace(SpanId::INVALID) == ended.span_id();
    match Told::take() {
        Some(Told::Ended(roots)) if is_this && caller.span_context() != ended && !is_ending(caller.span_context()) => {
            Told::Roots(roots).leave();
            caller.set_status(Status::Unset);
            // The message is still there if the span belongs to another SDK or has ended.
            Told::take();
        }
        _ => {}
    }
}

/// Adds the roots of a span that ended within this span.
pub(super) fn adopt(roots: Roots, recording: &mut Recording) {
    let own = recording.roots.get_or_insert_default();
    roots.0.into_iter().for_each(|root| own.add(root));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_bounded_in_number_and_length() {
        let mut roots = Roots::default();
        for n in 0..2 * MAX_ROOTS {
            roots.add(format!("root {}", n / 2 * 2).into());
        }
        roots.add("the newest".into());
        assert_eq!(roots.0.len(), MAX_ROOTS);
        assert_eq!(roots.0.last().map(|root| &**root), Some("the newest"));
        let long = "ä".repeat(MAX_ROOT_LENGTH);
        assert_eq!(shortened(&long).len(), MAX_ROOT_LENGTH);
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn the_variable_selects_the_signal() {
        let read =
            |value| ExceptionSignal::from_env(&Env::from_pairs([("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", value)]));
        assert_eq!(read(""), ExceptionSignal::SpanEvents);
        assert_eq!(read("logs"), ExceptionSignal::Logs);
        assert_eq!(read("logs/dup"), ExceptionSignal::SpanEventsAndLogs);
        assert_eq!(read("spans"), ExceptionSignal::SpanEvents);
    }
}
