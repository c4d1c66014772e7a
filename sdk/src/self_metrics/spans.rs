//! The `otel.sdk.span.*` metrics and `otel.sdk.log.created`.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::words::{PARENT_ORIGINS, Words, signed};
use crate::diag::{LogCount, Origin, Outcome, SpanCounts};
use crate::metrics::{Observable, Observer, SdkMeter};

/// The `otel.sdk.span.*` metrics.
pub(super) struct Spans {
    counts: Option<Arc<SpanCounts>>,
    live: Observable<i64>,
    started: Observable<u64>,
}

impl Spans {
    pub(super) fn new(meter: &SdkMeter, counts: Option<Arc<SpanCounts>>) -> Self {
        let live = meter.observable_up_down_counter("otel.sdk.span.live").with_unit("{span}").with_description(
            "The number of created spans with `recording=true` for which the end operation has not been called yet.",
        );
        let started = meter.observable_counter("otel.sdk.span.started").with_unit("{span}");
        let started = started.with_description("The number of created spans.");
        Spans { counts, live: live.build(), started: started.build() }
    }

    pub(super) fn observe(&self, observer: &Observer) {
        let Some(counts) = &self.counts else { return };
        for outcome in Outcome::ALL {
            let result = KeyValue::new("otel.span.sampling_result", sampling_result(outcome));
            if let Some(live) = counts.live(outcome) {
                observer.observe(&self.live, signed(live), std::slice::from_ref(&result));
            }
            for (parent, name) in Origin::ALL.into_iter().zip(PARENT_ORIGINS) {
                let started = counts.started(parent, outcome);
                if started > 0 {
                    let parent = KeyValue::new("otel.span.parent.origin", name);
                    observer.observe(&self.started, started, &[parent, result.clone()]);
                }
            }
        }
    }
}

/// The metric `otel.sdk.log.created`.
pub(super) struct Records {
    count: Option<Arc<LogCount>>,
    created: Observable<u64>,
}

impl Records {
    pub(super) fn new(meter: &SdkMeter, count: Option<Arc<LogCount>>) -> Self {
        let created = Words::LOGS.total(
            meter,
            "otel.sdk.log.created".to_owned(),
            "The number of log records submitted to an enabled Logger.".to_owned(),
        );
        Records { count, created }
    }

    pub(super) fn observe(&self, observer: &Observer) {
        if let Some(count) = &self.count {
            let total = count.total();
            // A program without logs has no such series.
            if total > 0 {
                observer.observe(&self.created, total, &[]);
            }
        }
    }
}

fn sampling_result(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Dropped => "DROP",
        Outcome::Recorded => "RECORD_ONLY",
        Outcome::Sampled => "RECORD_AND_SAMPLE",
    }
}
