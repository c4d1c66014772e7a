//! The stage that holds log records until their trace is decided.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::trace::TraceId;

use crate::batch::{Held, HeldGroup, Stage, Verdict};
use crate::decided::{Decided, Fate, Keys};
use crate::logs::SdkLogRecord;
use crate::signal::{Chunk, Logs};
use crate::time::{Clock, SteadyClock, Timestamp};

/// The time between two looks at all held traces. Runs are more frequent under load, when there are also more traces.
const INTERVAL: Duration = Duration::from_millis(100);
/// The number of bytes of a trace beside its records: its group, and its places in the table and in the list.
const OVERHEAD: usize = size_of::<HeldGroup<Logs>>() + 96;

/// Holds the records of traces that are not decided.
pub(super) struct LogsStage {
    decided: Arc<Decided>,
    held: HashMap<u128, HeldGroup<Logs>, Keys>,
    /// The traces in `held`, oldest first, with the time of their first record.
    order: VecDeque<(u128, Timestamp)>,
    bytes: usize,
    max_bytes: usize,
    /// The time after which records are passed on though their trace is not decided.
    patience: Duration,
    clock: SteadyClock,
    now: Timestamp,
    looked: Timestamp,
}

impl LogsStage {
    pub(super) fn new(decided: Arc<Decided>, max_bytes: usize, patience: Duration, clock: Clock) -> Self {
        let mut clock = SteadyClock::new(clock);
        let now = clock.now();
        LogsStage {
            decided,
            held: HashMap::with_hasher(Keys::new()),
            order: VecDeque::new(),
            bytes: 0,
            max_bytes,
            patience,
            clock,
            now,
            looked: Timestamp::default(),
        }
    }
}

fn key(trace: TraceId) -> u128 {
    u128::from_be_bytes(trace.to_bytes())
}

impl Stage<Logs> for LogsStage {
    fn process(&mut self, record: &mut SdkLogRecord) -> Verdict {
        let Some(trace) = record.trace_context().map(|context| context.trace_id) else { return Verdict::Keep };
        // Like the rules of the volume, which always keep these.
        if record.severity_number().is_none_or(|severity| severity >= Severity::Warn) {
            return Verdict::Keep;
        }
        match self.decided.fate(trace) {
            Some(Fate::Pending) => Verdict::Hold,
            Some(Fate::Dropped) => Verdict::Drop,
            // The trace is not one of those about which the tail decides, or was forgotten.
            Some(Fate::Kept(_)) | None => Verdict::Keep,
        }
    }

    fn hold(&mut self, record: Held<Logs>) {
        let Some(trace) = record.trace_context().map(|context| key(context.trace_id)) else { return };
        let group = self.held.entry(trace).or_insert_with(|| {
            self.order.push_back((trace, self.now));
            self.bytes += OVERHEAD;
            HeldGroup::in_memory_of(Default::default())
        });
        let before = group.bytes();
        group.push(record);
        self.bytes += group.bytes().saturating_sub(before);
    }

    fn release(&mut self, ends: bool, pass_on: &mut dyn FnMut(Held<Logs>)) {
        self.now = self.clock.now();
        if !ends && self.bytes <= self.max_bytes && self.now.since(self.looked) < INTERVAL {
            return;
        }
        self.looked = self.now;
        for _ in 0..self.order.len() {
            let Some((trace, since)) = self.order.pop_front() else { return };
            let fate = self.decided.fate(TraceId::from(trace));
            let is_due = ends || self.bytes > self.max_bytes || self.now.since(since) > self.patience;
            if fate == Some(Fate::Pending) && !is_due {
                self.order.push_back((trace, since));
                continue;
            }
            let Some(mut group) = self.held.remove(&trace) else { continue };
            self.bytes = self.bytes.saturating_sub(group.bytes() + OVERHEAD);
            if fate == Some(Fate::Dropped) {
                group.clear().clear();
            } else {
                group.pass_on(|_| (), pass_on);
            }
        }
    }
}
