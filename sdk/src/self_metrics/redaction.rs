//! The metric `telemark.sdk.redaction.hidden`.

use opentelemetry::KeyValue;

use crate::metrics::{Observable, Observer, SdkMeter};
use crate::redaction::Redaction;

/// What each rule of the redactor has hidden. It has no series without a redactor that counts.
pub(super) struct Hidden {
    redaction: Option<Redaction>,
    hidden: Observable<u64>,
}

impl Hidden {
    pub(super) fn new(meter: &SdkMeter, redaction: Option<Redaction>) -> Self {
        let hidden = meter.observable_counter("telemark.sdk.redaction.hidden").with_unit("{value}");
        let hidden =
            hidden.with_description("The number of values in which a rule of the redaction has hidden something.");
        Hidden { redaction, hidden: hidden.build() }
    }

    pub(super) fn observe(&self, observer: &Observer) {
        let Some(redaction) = &self.redaction else { return };
        for (rule, count) in redaction.hidden() {
            if count > 0 {
                observer.observe(&self.hidden, count, &[KeyValue::new("telemark.redaction.rule", rule)]);
            }
        }
    }
}
