//! The decision about each record, and the counts of suppressed ones.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::LocalKey;

use opentelemetry::logs::Severity;

use super::report::{self, Description};
use super::sites::{MINUTE, Site, Sites};
use super::{LogSite, LogVolume, key};
use crate::limits::LogRecordLimits;
use crate::logs::{Scope, SdkLogRecord, TraceContext};
use crate::sync::{Kept, Live, Slot};
use crate::time::Timestamp;

/// The time between two reports, in nanoseconds.
const INTERVAL: u64 = MINUTE;

/// The rule that suppressed a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Rate,
    Trace,
    Key,
}

impl Reason {
    pub(super) const COUNT: usize = 3;

    /// The names of the counts in a report.
    pub(super) const NAMES: [&'static str; Reason::COUNT] = [
        "telemark.log.suppressed.rate_limited",
        "telemark.log.suppressed.unsampled_trace",
        "telemark.log.suppressed.unsampled_key",
    ];
}

/// The rules of a provider, at work.
#[derive(Debug)]
pub(in crate::logs) struct Control {
    rules: Live<Rules>,
    sites: Sites,
    /// The time of the next report. Zero while nothing is suppressed.
    next_report: AtomicU64,
    /// The number of suppressed records that reports have stated.
    reported: AtomicU64,
}

/// The rules in use, which may be replaced.
#[derive(Debug)]
struct Rules {
    volume: LogVolume,
    /// The time in which an allowance grows by one record, in nanoseconds; zero without a rate.
    cost: u64,
    /// Values whose hash is below are kept.
    threshold: u64,
}

impl Rules {
    fn new(volume: LogVolume) -> Self {
        let cost = volume.max_per_minute.map_or(0, |most| (MINUTE / u64::from(most.get())).max(1));
        // The conversion saturates.
        let threshold = volume.sampling.as_ref().map_or(u64::MAX, |(_, ratio)| (ratio * 2_f64.powi(64)) as u64);
        Rules { volume, cost, threshold }
    }

    fn reason_to_sample_out(&self, record: &SdkLogRecord) -> Option<Reason> {
        if !may_be_sampled(record.severity_number()) {
            return None;
        }
        if self.volume.has_sampled_traces_only && record.trace_context().is_some_and(TraceContext::is_unsampled) {
            return Some(Reason::Trace);
        }
        let (key, _) = self.volume.sampling.as_ref()?;
        let value = record.attribute(key.as_str())?;
        (key::of_value(value) >= self.threshold).then_some(Reason::Key)
    }
}

impl Kept for Rules {
    fn slot() -> &'static LocalKey<Slot<Self>> {
        thread_local!(static SLOT: Slot<Rules> = const { Cell::new(None) });
        &SLOT
    }
}

/// A record that has not been made.
pub(in crate::logs) struct Request<'a> {
    pub(in crate::logs) scope: &'a Scope,
    pub(in crate::logs) severity: Severity,
    pub(in crate::logs) target: &'a str,
    pub(in crate::logs) event_name: Option<&'a str>,
    /// The place, if the bridge knows it.
    pub(in crate::logs) site: Option<&'static LogSite>,
    pub(in crate::logs) is_unsampled: bool,
}

impl Control {
    pub(in crate::logs) fn new(volume: LogVolume) -> Self {
        let (next_report, reported) = (AtomicU64::new(0), AtomicU64::new(0));
        Control { rules: Live::new(Rules::new(volume)), sites: Sites::new(), next_report, reported }
    }

    /// Replaces the rules. The counts of suppressed records stay.
    pub(in crate::logs) fn set(&self, volume: LogVolume) {
        drop(self.rules.replace(Rules::new(volume)));
        self.rules.free();
    }

    /// Returns true if the decision depends on the trace.
    #[inline]
    pub(in crate::logs) fn reads_trace(&self) -> bool {
        self.rules.with(|rules| rules.volume.has_sampled_traces_only).unwrap_or(false)
    }

    /// Decides before a record is made, for a bridge that names its place. Returns `None` if only the record can tell.
    pub(in crate::logs) fn decide_early(&self, request: &Request<'_>, now: Timestamp) -> Option<bool> {
        if self.drops_unmade(request, now) {
            return Some(false);
        }
        let decide = |rules: &Rules| {
            let is_sampled = rules.volume.sampling.is_some() && may_be_sampled(Some(request.severity));
            let site = request.site.filter(|_| !is_sampled)?;
            Some(self.takes(rules, || self.sites.find(site.key), now, || request.describe()))
        };
        self.rules.with(decide).flatten()
    }

    /// Drops and counts a record before it is made if its trace is not sampled.
    pub(in crate::logs) fn drops_unmade(&self, request: &Request<'_>, now: Timestamp) -> bool {
        let is_dropped = request.is_unsampled && self.reads_trace() && may_be_sampled(Some(request.severity));
        if is_dropped {
            self.suppress(self.sites.find(request.key()), Reason::Trace, now, || request.describe());
        }
        is_dropped
    }

    /// Decides about a record. `site` is its place, if the bridge knows it.
    pub(in crate::logs) fn takes_record(
        &self,
        record: &SdkLogRecord,
        scope: &Scope,
        site: Option<&'static LogSite>,
        now: Timestamp,
    ) -> bool {
        let key = || site.map_or_else(|| key::of_record(scope.name(), record), |site| site.key);
        let describe = || Description::of_record(record, scope, site);
        let decide = |rules: &Rules| match rules.reason_to_sample_out(record) {
            Some(reason) => {
                self.suppress(self.sites.find(key()), reason, now, describe);
                false
            }
            None => self.takes(rules, || self.sites.find(key()), now, describe),
        };
        self.rules.with(decide).unwrap_or(true)
    }

    #[inline]
    fn takes<'a>(
        &self,
        rules: &Rules,
        find: impl FnOnce() -> &'a Site,
        now: Timestamp,
        describe: impl FnOnce() -> Description,
    ) -> bool {
        if rules.cost == 0 {
            return true;
        }
        let site = find();
        let takes = site.takes(now, rules.cost);
        if !takes {
            self.suppress(site, Reason::Rate, now, describe);
        }
        takes
    }

    fn suppress(&self, site: &Site, reason: Reason, now: Timestamp, describe: impl FnOnce() -> Description) {
        if self.next_report.load(Ordering::Relaxed) == 0 {
            // If another thread is faster, its time is as good.
            let next = now.as_nanos().saturating_add(INTERVAL);
            let _ = self.next_report.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        site.suppress(reason, describe);
    }

    /// Returns true for one caller once a report is due.
    #[inline]
    pub(in crate::logs) fn is_report_due(&self, now: Timestamp) -> bool {
        let next = self.next_report.load(Ordering::Relaxed);
        // A time far in the future was set before the clock was turned back, or else by a thread that has read the clock later.
        let is_due = next != 0 && (next <= now.as_nanos() || next > now.as_nanos().saturating_add(2 * INTERVAL));
        is_due && self.next_report.compare_exchange(next, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Passes a record to `emit` for each call site with suppressed records, and starts to count from zero.
    pub(in crate::logs) fn report(&self, limits: LogRecordLimits, now: Timestamp, mut emit: impl FnMut(SdkLogRecord)) {
        for site in self.sites.all() {
            if site.pending() == [0; Reason::COUNT] {
                continue;
            }
            let (counts, description) = site.take();
            self.reported.fetch_add(counts.iter().sum(), Ordering::Relaxed);
            let description = description.filter(|_| !self.sites.is_shared(site));
            emit(report::record(limits, now, &counts, description.map(|description| *description)));
        }
        self.sites.free_idle(now);
    }

    /// Returns the number of suppressed records.
    pub(in crate::logs) fn suppressed(&self) -> u64 {
        let pending: u64 = self.sites.all().map(|site| site.pending().iter().sum::<u64>()).sum();
        self.reported.load(Ordering::Relaxed) + pending
    }
}

/// Returns false for warnings, errors, and records that may be one.
fn may_be_sampled(severity: Option<Severity>) -> bool {
    severity.is_some_and(|severity| severity < Severity::Warn)
}

impl Request<'_> {
    fn key(&self) -> u64 {
        match self.site {
            Some(site) => site.key,
            None => key::of_request(self.scope.name(), self.target, self.event_name, self.severity),
        }
    }

    fn describe(&self) -> Description {
        Description::of_request(self)
    }
}
