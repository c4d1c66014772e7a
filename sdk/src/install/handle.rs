//! The handle of a telemetry: flushes and ends it, for the guard, a termination signal and the exit of the program alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::diag::{self, Level};
use crate::error::ExportError;
use crate::metrics::SdkMeterProvider;
use crate::process::Generation;
use crate::runtime::OFF_IN_A_FORKED_CHILD;
use crate::time::Deadline;
use crate::trace::SdkTracerProvider;

/// Flushes and shuts down a [`Telemetry`](super::Telemetry) from elsewhere than its owner. Cheap to clone; the clones are one.
#[derive(Clone, Debug)]
pub struct TelemetryHandle {
    pub(super) tracers: SdkTracerProvider,
    pub(super) meters: SdkMeterProvider,
    pub(super) flush_timeout: Duration,
    /// Ends with the program, once it is installed.
    pub(super) handles_termination: bool,
    pub(super) home: Generation,
    /// A shutdown is over.
    pub(super) has_ended: Arc<AtomicBool>,
}

impl TelemetryHandle {
    /// Exports the spans that have ended and the metrics as they are. Blocks until then. Of the time until the deadline a
    /// fifth is kept for the metrics, should a receiver of spans not answer. Exporters are not waited for beyond the deadline; a
    /// span processor of the program's, called on this thread, is.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline; this is a forked child of the process that started it.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        if self.home.is_past() {
            return Err(ExportError::other(OFF_IN_A_FORKED_CHILD));
        }
        let started = Deadline::after(Duration::ZERO);
        let spans = self.tracers.force_flush(for_spans(deadline));
        let result = spans.and(self.meters.force_flush(deadline));
        self.report("flush", "flushed", started, &result);
        result
    }

    /// Does the same and stops. A second call waits for the first and does nothing else. In a forked child of the process that
    /// started it there is nothing to do.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        if self.home.is_past() {
            return Ok(());
        }
        let started = Deadline::after(Duration::ZERO);
        let spans = self.tracers.shutdown(for_spans(deadline));
        let result = spans.and(self.meters.shutdown(deadline));
        if !self.has_ended.swap(true, Ordering::AcqRel) {
            self.report("shutdown", "shut down", started, &result);
        }
        result
    }

    /// The longest that dropping the telemetry may take.
    pub fn flush_timeout(&self) -> Duration {
        self.flush_timeout
    }

    /// Shuts down within the flush timeout, and says so when not everything was exported.
    pub(super) fn end(&self) {
        if let Err(error) = self.shutdown(Deadline::after(self.flush_timeout)) {
            diag::log(Level::Error, "shutdown", format_args!("not everything was exported at the end: {error}"));
        }
    }

    /// Returns true once a shutdown is over.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Returns true while anything is recorded.
    pub(super) fn records(&self) -> bool {
        !self.tracers.is_off() || self.meters.is_running()
    }

    fn report(&self, topic: &'static str, done: &str, started: Deadline, result: &Result<(), ExportError>) {
        let outcome = match result {
            Ok(()) => "everything was exported",
            // The shutdown reports what became of everything.
            Err(error) if error.is_shutdown() => return,
            Err(_) => "not everything was exported",
        };
        diag::log(Level::Debug, topic, format_args!("{done} after {:?}: {outcome}", started.passed_for()));
    }

    /// Says once what was started, and where it sends.
    pub(super) fn report_start(&self) {
        let named = |destinations: Vec<String>| match destinations.len() {
            0 => "none".to_owned(),
            _ => destinations.join(" and "),
        };
        let traces = self.tracers.counters().iter().map(|counters| counters.destination().to_owned()).collect();
        let metrics = self.meters.components().map(|(reader, _, counters)| match counters {
            Some(counters) => counters.destination().to_owned(),
            None => reader.to_owned(),
        });
        let (traces, metrics) = (named(traces), named(metrics.collect()));
        let sampler = self.tracers.sampler_name();
        diag::started(format_args!("started: traces: {traces}, sampler {sampler}; metrics: {metrics}"));
    }
}

fn for_spans(deadline: Deadline) -> Deadline {
    deadline.remaining().map_or(Deadline::NEVER, |left| Deadline::after(left * 4 / 5))
}

/// The telemetry that is installed, for those who end it without its guard.
pub(super) mod installed {
    use std::sync::OnceLock;

    use super::TelemetryHandle;
    use crate::metrics::active;
    use crate::process::after_fork;

    static INSTALLED: OnceLock<TelemetryHandle> = OnceLock::new();

    /// Keeps the first one, and turns it off in forked children.
    pub(in crate::install) fn set(handle: TelemetryHandle) {
        if INSTALLED.set(handle).is_ok() {
            after_fork(|| {
                if let Some(handle) = get() {
                    handle.tracers.turn_off();
                    handle.meters.turn_off();
                }
                active::turn_off_in_child();
            });
        }
    }

    pub(in crate::install) fn get() -> Option<&'static TelemetryHandle> {
        INSTALLED.get()
    }
}
