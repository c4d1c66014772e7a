//! The metrics of tail sampling: decisions about traces, spans that ended late, and what is held.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::words::signed;
use crate::diag::{DecisionCount, Decisions};
use crate::metrics::{Observable, Observer, SdkMeter};

/// The metrics `telemark.sdk.tail.*`. They have no series without tail sampling.
pub(super) struct Tail {
    counts: Option<Arc<Decisions>>,
    decided: Observable<u64>,
    late: Observable<u64>,
    held_traces: Observable<i64>,
    held_bytes: Observable<i64>,
}

impl Tail {
    pub(super) fn new(meter: &SdkMeter, counts: Option<Arc<Decisions>>) -> Self {
        let decided = meter.observable_counter("telemark.sdk.tail.decided").with_unit("{trace}");
        let late = meter.observable_counter("telemark.sdk.tail.late").with_unit("{span}");
        let traces = meter.observable_up_down_counter("telemark.sdk.tail.held").with_unit("{trace}");
        let bytes = meter.observable_up_down_counter("telemark.sdk.tail.held.size").with_unit("By");
        Tail {
            counts,
            decided: decided.with_description("The number of traces about which tail sampling has decided.").build(),
            late: late.with_description("The number of spans that ended after the decision about their trace.").build(),
            held_traces: traces.with_description("The number of traces that are waiting for a decision.").build(),
            held_bytes: bytes.with_description("The memory of the spans that are waiting for a decision.").build(),
        }
    }

    pub(super) fn observe(&self, observer: &Observer) {
        let Some(counts) = &self.counts else { return };
        let health = counts.snapshot();
        let report = |instrument: &Observable<u64>, count: DecisionCount, attributes: &[KeyValue]| {
            for (is_error, number) in [(false, count.total - count.errors), (true, count.errors)] {
                if number > 0 {
                    let attributes = [attributes, &[KeyValue::new("telemark.sampling.was_error", is_error)]].concat();
                    observer.observe(instrument, number, &attributes);
                }
            }
        };
        let result = |result: &'static str| KeyValue::new("telemark.sampling.result", result);
        for (policy, kept) in health.kept {
            report(&self.decided, kept, &[result("kept"), KeyValue::new("telemark.sampling.policy", policy)]);
        }
        report(&self.decided, health.dropped, &[result("dropped")]);
        report(&self.decided, health.evicted, &[result("evicted")]);
        report(&self.late, health.late_kept, &[result("kept")]);
        report(&self.late, health.late_dropped, &[result("dropped")]);
        observer.observe(&self.held_traces, signed(health.held_traces), &[]);
        observer.observe(&self.held_bytes, signed(health.held_bytes), &[]);
    }
}
