//! The `otel.sdk.processor.*` and `otel.sdk.exporter.*` metrics, and one of our own: `telemark.sdk.exporter.*.failed_refreshes`.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::words::{Words, signed};
use crate::diag::Counters;
use crate::metrics::{Observable, Observer, SdkMeter};

/// The `otel.sdk.processor.*` and `otel.sdk.exporter.*` metrics of one signal.
pub(super) struct SignalInstruments {
    components: Vec<Component>,
    processors: ProcessorInstruments,
    in_flight: Observable<i64>,
    exported: Observable<u64>,
    failed_refreshes: Observable<u64>,
}

struct ProcessorInstruments {
    queue_size: Observable<i64>,
    queue_capacity: Observable<i64>,
    processed: Observable<u64>,
}

impl SignalInstruments {
    pub(super) fn new(meter: &SdkMeter, words: Words, components: Vec<Component>) -> Self {
        let Words { item, items, .. } = words;
        SignalInstruments {
            components,
            processors: ProcessorInstruments::new(meter, words),
            in_flight: words.current(
                meter,
                format!("otel.sdk.exporter.{item}.inflight"),
                format!(
                    "The number of {items} which were passed to the exporter, but that have not been exported yet \
                     (neither successful, nor failed)."
                ),
            ),
            exported: words.total(
                meter,
                format!("otel.sdk.exporter.{item}.exported"),
                format!("The number of {items} for which the export has finished, either successful or failed."),
            ),
            failed_refreshes: meter
                .observable_counter(format!("telemark.sdk.exporter.{item}.failed_refreshes"))
                .with_unit("{refresh}")
                .with_description(
                    "The number of times that changed credentials or certificates could not be used, so that the exporter kept its \
                     old ones.",
                )
                .build(),
        }
    }

    pub(super) fn observe(&self, observer: &Observer) {
        for Component { counters, processor, exporter } in &self.components {
            if let Some(processor) = processor {
                self.processors.observe(observer, counters, processor);
            }
            observer.observe(&self.in_flight, signed(counters.in_flight()), exporter);
            for (error_type, items) in counters.concluded() {
                observer.observe(&self.exported, items, &with_error(exporter, error_type));
            }
            let failed_refreshes = counters.failed_refreshes();
            if failed_refreshes > 0 {
                observer.observe(&self.failed_refreshes, failed_refreshes, exporter);
            }
        }
    }
}

impl ProcessorInstruments {
    fn new(meter: &SdkMeter, words: Words) -> Self {
        let Words { item, items, .. } = words;
        ProcessorInstruments {
            queue_size: words.current(
                meter,
                format!("otel.sdk.processor.{item}.queue.size"),
                format!("The number of {items} in the queue of a given instance of an SDK {item} processor."),
            ),
            queue_capacity: words.current(
                meter,
                format!("otel.sdk.processor.{item}.queue.capacity"),
                format!(
                    "The maximum number of {items} the queue of a given instance of an SDK {item} processor can hold."
                ),
            ),
            processed: words.total(
                meter,
                format!("otel.sdk.processor.{item}.processed"),
                format!("The number of {items} for which the processing has finished, either successful or failed."),
            ),
        }
    }

    fn observe(&self, observer: &Observer, counters: &Counters, processor: &[KeyValue; 2]) {
        if let Some(queue) = counters.queue() {
            observer.observe(&self.queue_size, signed((queue.waiting)() as u64), processor);
            observer.observe(&self.queue_capacity, signed(queue.capacity as u64), processor);
        }
        for (error_type, items) in counters.processed() {
            observer.observe(&self.processed, items, &with_error(processor, error_type));
        }
    }
}

fn with_error(component: &[KeyValue], error_type: Option<&'static str>) -> Vec<KeyValue> {
    // spec: semconv — successful operations have no `error.type`.
    let error = error_type.map(|error_type| KeyValue::new("error.type", error_type));
    component.iter().cloned().chain(error).collect()
}

/// An exporter and its processor, if any, together with their attributes in the metrics.
pub(super) struct Component {
    pub(super) counters: Arc<Counters>,
    pub(super) processor: Option<[KeyValue; 2]>,
    /// The exporter's attributes, including the server to which it sends.
    pub(super) exporter: Vec<KeyValue>,
}
