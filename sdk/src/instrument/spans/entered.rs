//! The guard for synchronous code: the span is current until the guard is dropped, which ends the span.

use std::cell::Cell;

use opentelemetry::ContextGuard;

use super::open::{OpenSpan, StartedSpan, State};
use crate::time::Timestamp;
use crate::unsampled;

/// A span that is current on this thread. Dropping it ends the span.
///
/// If the guard is dropped by a panic that began after the span started, the span gets the status error, `error.type =
/// "panic"` and `telemark.outcome = "panicked"`, and the panic continues.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped; bind it to a variable such as `_span`"]
pub struct Entered(Inner);

#[derive(Debug)]
enum Inner {
    Off,
    #[allow(dead_code, reason = "acts when it is dropped")]
    Unsampled(unsampled::Entered),
    Attached(Attached),
}

#[derive(Debug)]
struct Attached {
    guard: Option<ContextGuard>,
    span: OpenSpan,
    /// End time of the span, if known before the drop.
    end: Cell<Option<Timestamp>>,
    /// True if the thread was already unwinding when the span started, which is possible inside a `drop`.
    unwinding: bool,
}

impl Entered {
    /// Makes a started span current.
    #[inline]
    pub fn new(span: StartedSpan) -> Self {
        Entered(match span.0 {
            State::Off => Inner::Off,
            State::Unsampled(span) => Inner::Unsampled(span.enter()),
            State::Open(span) => Inner::Attached(Attached::new(span)),
        })
    }

    /// Returns the open span, if there is one.
    #[inline]
    pub(super) fn open(&self) -> Option<&OpenSpan> {
        self.attached().map(|attached| &attached.span)
    }

    /// Sets the end time of the span, overriding the time of the drop.
    #[inline]
    pub(super) fn end_at(&self, end: Timestamp) {
        if let Some(attached) = self.attached() {
            attached.end.set(Some(end));
        }
    }

    /// Returns the span if it is recording.
    #[inline]
    pub fn recording(&self) -> Option<&OpenSpan> {
        self.open().and_then(OpenSpan::recording)
    }

    #[inline]
    fn attached(&self) -> Option<&Attached> {
        match &self.0 {
            Inner::Attached(attached) => Some(attached),
            Inner::Off | Inner::Unsampled(_) => None,
        }
    }
}

impl Attached {
    #[inline]
    fn new(span: OpenSpan) -> Self {
        Attached { guard: span.attach(), span, end: Cell::new(None), unwinding: std::thread::panicking() }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // Detach first, so that processors run in the caller's context.
        self.guard = None;
        if std::thread::panicking() && !self.unwinding {
            self.span.panicked();
        }
        self.span.end(self.end.get());
    }
}
