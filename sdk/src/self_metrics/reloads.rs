//! The metric `telemark.sdk.config.reloads`.

use std::sync::Arc;

use opentelemetry::KeyValue;

use crate::diag::ReloadCounts;
use crate::metrics::{Observable, Observer, SdkMeter};

/// The versions of the configuration file that came while the program ran.
pub(super) struct Reloads {
    counts: Option<Arc<ReloadCounts>>,
    reloads: Observable<u64>,
}

impl Reloads {
    pub(super) fn new(meter: &SdkMeter, counts: Option<Arc<ReloadCounts>>) -> Self {
        let reloads = meter.observable_counter("telemark.sdk.config.reloads").with_unit("{version}").with_description(
            "The number of versions of the configuration file that came while the program ran, by their outcome.",
        );
        Reloads { counts, reloads: reloads.build() }
    }

    pub(super) fn observe(&self, observer: &Observer) {
        let Some(counts) = &self.counts else { return };
        for (outcome, versions) in [("applied", counts.applied()), ("refused", counts.refused())] {
            observer.observe(&self.reloads, versions, &[KeyValue::new("telemark.config.outcome", outcome)]);
        }
    }
}
