//! The guard of synchronous code: the span is current until it is dropped, and ends then.

use std::cell::Cell;

use opentelemetry::ContextGuard;

use super::live::{Active, Live, State};
use crate::time::Timestamp;
use crate::unsampled;

/// A span that is current on this thread. Dropping it ends the span.
///
/// When it is dropped by a panic that began after it was entered, the span has the status error, `error.type = "panic"`
/// and `telemark.outcome = "panicked"`; the panic goes on.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped; bind it to a variable such as `_span`"]
pub struct Entered(Inner);

#[derive(Debug)]
enum Inner {
    Off,
    #[allow(dead_code, reason = "works by being dropped")]
    Unsampled(unsampled::Entered),
    Attached(Attached),
}

#[derive(Debug)]
struct Attached {
    guard: Option<ContextGuard>,
    live: Live,
    /// When the span ends, if that is known before it does.
    end: Cell<Option<Timestamp>>,
    /// The thread was unwinding already when the span started: this code runs in somebody's `drop`.
    unwinding: bool,
}

impl Entered {
    /// Makes a started span current.
    #[inline]
    pub fn new(active: Active) -> Self {
        Entered(match active.0 {
            State::Off => Inner::Off,
            State::Unsampled(span) => Inner::Unsampled(span.enter()),
            State::Live(live) => Inner::Attached(Attached::new(live)),
        })
    }

    /// The span or, where none records, what is attached instead.
    #[inline]
    pub(super) fn live(&self) -> Option<&Live> {
        self.attached().map(|attached| &attached.live)
    }

    /// Lets the span end at this time, whenever it is dropped.
    #[inline]
    pub(super) fn end_at(&self, end: Timestamp) {
        if let Some(attached) = self.attached() {
            attached.end.set(Some(end));
        }
    }

    /// The span, if it records.
    #[inline]
    pub fn recording(&self) -> Option<&Live> {
        self.live().and_then(Live::recording)
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
    fn new(live: Live) -> Self {
        Attached { guard: live.attach(), live, end: Cell::new(None), unwinding: std::thread::panicking() }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // Detached first, so that the processors that see the end run in the context of the caller.
        self.guard = None;
        if std::thread::panicking() && !self.unwinding {
            self.live.panicked();
        }
        self.live.end(self.end.get());
    }
}
