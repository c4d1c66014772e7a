//! The metrics of what limits drop and cut.

use std::sync::Arc;

use opentelemetry::KeyValue;

use crate::diag::LimitCounts;
use crate::metrics::{Observable, Observer, SdkMeter};

/// The metrics `telemark.sdk.limits.*`. They have no series without limits.
pub(super) struct Limits {
    counts: Option<Arc<LimitCounts>>,
    dropped: Observable<u64>,
    cut: Observable<u64>,
}

impl Limits {
    pub(super) fn new(meter: &SdkMeter, counts: Option<Arc<LimitCounts>>) -> Self {
        let dropped = meter.observable_counter("telemark.sdk.limits.dropped").with_unit("{span}");
        let cut = meter.observable_counter("telemark.sdk.limits.cut").with_unit("{item}");
        Limits {
            counts,
            dropped: dropped.with_description("The number of spans that limits have dropped.").build(),
            cut: cut.with_description("The number of items that limits have made smaller.").build(),
        }
    }

    pub(super) fn observe(&self, observer: &Observer) {
        let Some(counts) = &self.counts else { return };
        let health = counts.snapshot();
        let report = |instrument, key, name: &'static str, count| {
            if count > 0 {
                observer.observe(instrument, count, &[KeyValue::new(key, name)]);
            }
        };
        report(&self.dropped, "telemark.limit.name", "max_spans_per_trace", health.dropped_over_trace);
        report(&self.dropped, "telemark.limit.name", "max_spans_per_second", health.dropped_over_rate);
        report(&self.cut, "telemark.limit.name", "max_span_bytes", health.cut_spans);
        report(&self.cut, "telemark.limit.name", "max_log_record_bytes", health.cut_log_records);
    }
}
