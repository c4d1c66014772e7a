//! The handle to a [`Telemetry`]: a single flush and a single shutdown, shared by the guard, termination signals and
//! program exit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::components::LiveSettings;
use super::control::Changes;
use super::panics;
use super::reload::Reloader;
use super::signals::{Health, Pacers, Provider, Providers};
use crate::diag::{self, Level, ServedRoutes, Total};
use crate::error::ExportError;
use crate::process::Generation;
use crate::runtime::{Handle, OFF_IN_A_FORKED_CHILD, Request};
use crate::span_filter;
use crate::time::Deadline;

/// Flushes and shuts down a [`Telemetry`](super::Telemetry) without owning it. Cheap to clone; all clones share one state.
#[derive(Clone, Debug)]
pub struct TelemetryHandle {
    pub(super) providers: Providers,
    pub(super) flush_timeout: Duration,
    /// True if program exit shuts the telemetry down once it is installed.
    pub(super) handles_termination: bool,
    /// True if panics are recorded once it is installed.
    pub(super) records_panics: bool,
    pub(super) home: Generation,
    /// True once a shutdown has finished.
    pub(super) has_ended: Arc<AtomicBool>,
    /// What code has changed.
    pub(super) changes: Arc<Changes>,
    pub(super) pacers: Arc<Pacers>,
    /// Applies new versions of the configuration file, if there is one.
    pub(super) reloader: Option<Arc<Reloader>>,
    /// The task that looks for them.
    pub(super) watch: Option<Handle>,
    /// True if SIGHUP asks for a reload once the telemetry is installed.
    pub(super) reloads_on_sighup: bool,
    pub(super) live_settings: Option<LiveSettings>,
    pub(super) served_routes: Option<ServedRoutes>,
}

impl TelemetryHandle {
    /// Exports everything recorded so far, within `timeout`; see [`Self::force_flush`].
    ///
    /// # Errors
    /// Returns an error if something could not be delivered in time, or if this process is a forked child of the
    /// process that started the telemetry.
    pub fn flush(&self, timeout: Duration) -> Result<(), ExportError> {
        self.force_flush(Deadline::after(timeout))
    }

    /// Exports all ended spans, all emitted log records and the current metrics, and blocks until that is done. A fifth of the time until the deadline
    /// is reserved for each signal after the first, in case the receiver of an earlier one does not respond. This method
    /// never waits for an exporter beyond the deadline, but it does wait for the program's own processors, which run on this
    /// thread.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline, or if this process is a forked child
    /// of the process that started the telemetry.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        if self.home.is_past() {
            return Err(ExportError::other(OFF_IN_A_FORKED_CHILD));
        }
        let started = Deadline::after(Duration::ZERO);
        let result = first_error(self.each(deadline, |provider, share| provider.flush(share)));
        self.report("flushed", started, &result, false);
        result
    }

    /// Exports everything recorded so far and stops. A second call only waits for the first one to finish. Does
    /// nothing in a forked child of the process that started the telemetry.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        if self.home.is_past() {
            return Ok(());
        }
        self.finish(deadline).0
    }

    /// Does the same as [`Self::shutdown`] and returns, in addition to its result, true if messages have reported items that the
    /// shutdown did not export.
    fn finish(&self, deadline: Deadline) -> (Result<(), ExportError>, bool) {
        let started = Deadline::after(Duration::ZERO);
        let not_exported = |is_end| self.lost(is_end).iter().map(Total::not_exported).sum::<u64>();
        let before = not_exported(false);
        self.end_watch();
        let results = self.each(deadline, |provider, share| provider.shutdown(share));
        if self.has_ended.swap(true, Ordering::AcqRel) {
            return (first_error(results), false);
        }
        for (provider, result) in self.providers.all().into_iter().zip(&results) {
            let error = result.as_ref().err();
            provider.counters().1.iter().for_each(|counters| counters.report_rest(error));
        }
        panics::report_missed();
        let result = first_error(results);
        self.report("shut down", started, &result, true);
        (result, not_exported(true) > before)
    }

    /// Ends the search for new versions of the configuration file. Does not wait for a reload that is under way: what it changes from now
    /// on has no effect.
    fn end_watch(&self) {
        if let Some(watch) = &self.watch {
            drop(watch.ask(Request::Shutdown, Deadline::after(Duration::ZERO)));
        }
    }

    /// Returns the counts of exported and dropped items, for each pipeline of each signal, those of the versions of the configuration file,
    /// and those of the requests to each route.
    pub fn health(&self) -> Health {
        let config = self.reloader.as_ref().map(|reloader| reloader.health());
        let routes = self.served_routes.map(|routes| routes());
        Health { config: config.unwrap_or_default(), routes: routes.unwrap_or_default(), ..self.providers.health() }
    }

    /// Returns the maximum time that dropping the telemetry may take.
    pub fn flush_timeout(&self) -> Duration {
        self.flush_timeout
    }

    /// Shuts down within the flush timeout, and logs an error if not everything was exported.
    pub(super) fn end(&self) {
        if self.home.is_past() {
            return;
        }
        if let (Err(error), false) = self.finish(Deadline::after(self.flush_timeout)) {
            diag::log(Level::Error, "shutdown", format_args!("not everything was exported at the end: {error}"));
        }
    }

    /// Returns true once a shutdown has finished.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Returns true while any signal is being recorded.
    pub(super) fn is_recording(&self) -> bool {
        self.providers.all().iter().any(|provider| provider.is_recording())
    }

    /// Logs which parts were started and where each of them exports to.
    pub(super) fn report_start(&self) {
        let started = self.providers.all().map(|provider| provider.describe()).join("; ");
        let (spans, records) = (span_filter::current(), span_filter::records::current());
        diag::started(format_args!("started: {started}; filter of spans {spans}, of log records {records}"));
    }

    /// Returns the number of items of each signal that have been lost so far; at the end, this includes unfinished ones.
    fn lost(&self, is_end: bool) -> Vec<Total> {
        let total =
            |provider: &dyn Provider| Total::of(provider.counters().1.iter().map(|counters| &**counters), is_end);
        self.providers.all().into_iter().map(total).filter(|total| !total.is_zero()).collect()
    }

    /// Reports how a flush or, if `is_end` is true, the shutdown went.
    fn report(&self, done: &str, started: Deadline, result: &Result<(), ExportError>, is_end: bool) {
        let outcome = match result {
            Ok(()) => "everything was exported",
            // The first shutdown has already reported the outcome.
            Err(error) if error.is_shutdown() => return,
            Err(_) => "not everything was exported",
        };
        let lost: Vec<_> = self.lost(is_end).iter().map(ToString::to_string).collect();
        let outcome = match (result, &*lost.join(", ")) {
            (_, "") => format!(": {outcome}"),
            (Ok(()), lost) => format!("; since the start, {lost}"),
            (Err(_), lost) => format!(": {outcome}; since the start, {lost}"),
        };
        let message = format!("{done} after {:?}{outcome}", started.passed_for());
        match is_end {
            true => diag::log_always(Level::Debug, format_args!("{message}{}", self.decisions())),
            false => diag::log(Level::Debug, "flush", format_args!("{message}")),
        }
    }

    /// Returns what tail sampling and the limits did since the start, to be appended to a message.
    fn decisions(&self) -> String {
        let health = self.providers.health();
        let summaries =
            [health.tail.and_then(|tail| tail.summary()), health.limits.and_then(|limits| limits.summary())];
        summaries.into_iter().flatten().map(|summary| format!("; {summary}")).collect()
    }

    /// Calls `act` for every signal, each within its share of the time. Returns the results in the order of the providers.
    fn each(
        &self,
        deadline: Deadline,
        act: impl Fn(&dyn Provider, Deadline) -> Result<(), ExportError>,
    ) -> Vec<Result<(), ExportError>> {
        let providers = self.providers.all();
        let total = deadline.remaining();
        let mut waiting = providers.len();
        let mut act_within_share = |provider| {
            waiting -= 1;
            act(provider, share(deadline, total, waiting))
        };
        providers.into_iter().map(&mut act_within_share).collect()
    }
}

fn first_error(results: Vec<Result<(), ExportError>>) -> Result<(), ExportError> {
    results.into_iter().collect()
}

/// Returns the deadline for one signal, reserving a fifth of the `total` time for each of the `waiting` signals after it.
fn share(deadline: Deadline, total: Option<Duration>, waiting: usize) -> Deadline {
    let kept = u32::try_from(waiting).unwrap_or(u32::MAX).min(4);
    match deadline.remaining().zip(total) {
        Some((left, total)) if waiting > 0 => Deadline::after(left.saturating_sub(total / 5 * kept)),
        _ => deadline,
    }
}

/// The installed telemetry, used by the exit and termination handlers.
pub(super) mod installed {
    use std::sync::OnceLock;

    use super::TelemetryHandle;
    use crate::process::after_fork;

    static INSTALLED: OnceLock<TelemetryHandle> = OnceLock::new();

    /// Keeps only the first handle, and turns its telemetry off in forked children.
    pub(in crate::install) fn set(handle: TelemetryHandle) {
        if INSTALLED.set(handle).is_ok() {
            after_fork(|| {
                if let Some(handle) = get() {
                    handle.providers.all().into_iter().for_each(|provider| provider.turn_off_in_child());
                }
            });
        }
    }

    pub(in crate::install) fn get() -> Option<&'static TelemetryHandle> {
        INSTALLED.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_that_waits_keeps_a_fifth_of_the_time() {
        let (hour, fifth) = (Duration::from_secs(3600), Duration::from_secs(720));
        let deadline = Deadline::after(hour);
        for waiting in 0..8 {
            let share = share(deadline, Some(hour), waiting).remaining().unwrap();
            let expected = hour - fifth * waiting.min(4) as u32;
            assert!(share <= expected && share + Duration::from_secs(60) > expected, "{waiting}: {share:?}");
        }
        assert_eq!(share(Deadline::NEVER, None, 2), Deadline::NEVER);
        let passed = Deadline::after(Duration::ZERO);
        assert!(share(passed, Some(Duration::ZERO), 1).has_passed());
    }
}
