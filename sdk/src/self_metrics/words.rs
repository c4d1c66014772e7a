//! The terms for a signal's items in its metrics.

use crate::metrics::{Observable, SdkMeter};

/// The terms for a signal's items in its metrics.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    /// The term used in metric names.
    pub(crate) item: &'static str,
    /// The term used in descriptions.
    pub(crate) items: &'static str,
    pub(crate) unit: &'static str,
}

impl Words {
    pub(crate) const SPANS: Words = Words { item: "span", items: "spans", unit: "{span}" };
    pub(crate) const LOGS: Words = Words { item: "log", items: "log records", unit: "{log_record}" };
    pub(crate) const POINTS: Words =
        Words { item: "metric_data_point", items: "metric data points", unit: "{data_point}" };

    pub(super) fn total(self, meter: &SdkMeter, name: String, description: String) -> Observable<u64> {
        meter.observable_counter(name).with_unit(self.unit).with_description(description).build()
    }

    pub(super) fn current(self, meter: &SdkMeter, name: String, description: String) -> Observable<i64> {
        meter.observable_up_down_counter(name).with_unit(self.unit).with_description(description).build()
    }
}

/// The values of `otel.span.parent.origin`: no parent, one in this process, one in another.
pub(super) const PARENT_ORIGINS: [&str; 3] = ["none", "local", "remote"];

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
