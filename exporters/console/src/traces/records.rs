//! Holds log records until their trace is printed, with limits on their number, size and waiting time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use opentelemetry::trace::TraceId;
use telemark_sdk::logs::SdkLogRecord;
use telemark_sdk::signal::{Logs, Signal};
use telemark_sdk::time::Deadline;

/// The maximum number of waiting records.
const MAX_RECORDS: usize = 4096;
/// The maximum size of waiting records, in bytes.
const MAX_BYTES: usize = 8 << 20;
/// The number of printed traces that are remembered, so that late records do not wait.
const MAX_PRINTED: usize = 256;

/// The records that wait.
#[derive(Debug, Default)]
pub(super) struct Records {
    traces: HashMap<TraceId, Waiting>,
    /// The traces in order of their first record's arrival.
    order: VecDeque<TraceId>,
    printed: VecDeque<TraceId>,
    number: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    records: Vec<SdkLogRecord>,
    until: Deadline,
}

impl Records {
    /// Holds a record for at most `wait`. Returns it if its trace never comes: the record has none, the trace is not sampled, or
    /// it has been printed.
    pub(super) fn add(&mut self, record: SdkLogRecord, wait: Duration) -> Option<SdkLogRecord> {
        let trace = record.trace_context().filter(|trace| trace.trace_flags.is_none_or(|flags| flags.is_sampled()));
        let Some(id) = trace.map(|trace| trace.trace_id).filter(|id| !self.printed.contains(id)) else {
            return Some(record);
        };
        (self.number, self.bytes) = (self.number + 1, self.bytes + Logs::size(&record));
        let waiting = self.traces.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Waiting { records: Vec::new(), until: Deadline::after(wait) }
        });
        waiting.records.push(record);
        None
    }

    /// Takes the records of a trace that is being printed.
    pub(super) fn take_for(&mut self, id: TraceId) -> Vec<SdkLogRecord> {
        if self.printed.len() >= MAX_PRINTED {
            self.printed.pop_front();
        }
        self.printed.push_back(id);
        self.take(id)
    }

    /// Takes the records that have waited long enough. If too many are waiting, also takes the oldest traces' records.
    pub(super) fn take_expired(&mut self) -> Vec<SdkLogRecord> {
        let mut expired = Vec::new();
        while let Some(&id) = self.order.front() {
            let is_expired = self.traces.get(&id).is_none_or(|waiting| waiting.until.has_passed());
            if !is_expired && self.number <= MAX_RECORDS && self.bytes <= MAX_BYTES {
                break;
            }
            self.order.pop_front();
            expired.extend(self.take(id));
        }
        expired
    }

    /// Takes all records.
    pub(super) fn take_all(&mut self) -> Vec<SdkLogRecord> {
        let order = std::mem::take(&mut self.order);
        order.into_iter().flat_map(|id| self.take(id)).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.number == 0
    }

    fn take(&mut self, id: TraceId) -> Vec<SdkLogRecord> {
        let records = self.traces.remove(&id).map(|waiting| waiting.records).unwrap_or_default();
        self.number -= records.len();
        self.bytes -= records.iter().map(Logs::size).sum::<usize>();
        records
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::LogRecord;
    use opentelemetry::{SpanId, TraceFlags};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn record(trace: u128, flags: TraceFlags, size: usize) -> SdkLogRecord {
        let mut record = SdkLogRecord::default();
        record.set_trace_context(TraceId::from(trace), SpanId::from(1), Some(flags));
        record.set_body("x".repeat(size).into());
        record
    }

    #[test]
    fn records_whose_trace_does_not_come_do_not_wait() {
        let mut records = Records::default();
        assert!(records.add(SdkLogRecord::default(), HOUR).is_some());
        assert!(records.add(record(1, TraceFlags::NOT_SAMPLED, 1), HOUR).is_some());
        assert!(records.add(record(1, TraceFlags::SAMPLED, 1), HOUR).is_none());
        assert_eq!(records.take_for(TraceId::from(1)).len(), 1);
        assert!(records.add(record(1, TraceFlags::SAMPLED, 1), HOUR).is_some(), "the trace has been printed");
        assert!(records.is_empty());
    }

    #[test]
    fn records_expire() {
        let mut records = Records::default();
        records.add(record(1, TraceFlags::SAMPLED, 1), Duration::ZERO);
        records.add(record(2, TraceFlags::SAMPLED, 1), HOUR);
        assert_eq!(records.take_expired().len(), 1);
        assert_eq!(records.take_all().len(), 1);
        assert_eq!((records.number, records.bytes, records.is_empty()), (0, 0, true));
    }

    #[test]
    fn their_number_and_size_are_bounded() {
        let check = |size: usize, most: usize| {
            let mut records = Records::default();
            for trace in 0..3 * most as u128 {
                records.add(record(trace + 1, TraceFlags::SAMPLED, size), HOUR);
                records.take_expired();
            }
            assert!(records.number <= most && records.number >= most / 2, "{}", records.number);
            assert!(records.traces.len() <= most && records.order.len() <= most);
        };
        check(1, MAX_RECORDS);
        check(1 << 20, MAX_BYTES >> 20);
    }
}
