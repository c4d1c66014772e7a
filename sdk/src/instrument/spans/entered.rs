//! The guard of synchronous code: the span is current until the guard is dropped, and ends then.

use std::cell::Cell;

use opentelemetry::ContextGuard;

use super::open::{OpenSpan, StartedSpan, State};
use crate::time::Timestamp;
use crate::unsampled;

/// A span that is current on this thread. Dropping it ends the span.
///
/// If a panic that began after the start drops it, the span has the status error, `error.type = "panic"` and
/// `telemark.outcome = "panicked"`; the panic continues.
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
    /// The end of the span, if known before the drop.
    end: Cell<Option<Timestamp>>,
    /// True if the thread was already unwinding at the start of the span, inside a `drop`.
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

    /// Returns the span, unless it is off or dropped.
    #[inline]
    pub(super) fn open(&self) -> Option<&OpenSpan> {
        self.attached().map(|attached| &attached.span)
    }

    /// Sets the end of the span, in place of the time of the drop.
    #[inline]
    pub(super) fn end_at(&self, end: Timestamp) {
        if let Some(attached) = self.attached() {
            attached.end.set(Some(end));
        }
    }

    /// Returns the span if it records.
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
    fn new(span: OpenSpan) -> Self {
        Attached { guard: span.attach(), span, end: Cell::new(None), unwinding: std::thread::panicking() }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // Detach first, so that processors see the end in the context of the caller.
        self.guard = None;
        if std::thread::panicking() && !self.unwinding {
            self.span.panicked();
        }
        self.span.end(self.end.get());
    }
}
