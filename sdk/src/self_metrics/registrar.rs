//! Names components and measures the durations of their operations.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::pipelines::Component;
use super::words::Words;
use crate::diag::{Counters, Durations, Listener};
use crate::time::Clock;

/// Names components and measures the durations of their operations.
pub(super) struct Registrar {
    clock: Clock,
    operations: Histogram<f64>,
    collections: Histogram<f64>,
    pub(super) listeners: Vec<Arc<Listener>>,
    /// Number of components of each type.
    types: HashMap<String, usize>,
}

impl Registrar {
    pub(super) fn new(clock: Clock, meter: &Meter) -> Self {
        let seconds = |name: &'static str, description: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            // spec: semconv otel/sdk-metrics.md — requires a single bucket.
            histogram.with_boundaries(Vec::new()).build()
        };
        Registrar {
            clock,
            operations: seconds(
                "otel.sdk.exporter.operation.duration",
                "The duration of exporting a batch of telemetry records.",
            ),
            collections: seconds(
                "otel.sdk.metric_reader.collection.duration",
                "The duration of the collect operation of the metric reader.",
            ),
            listeners: Vec::new(),
            types: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, words: Words, counters: Vec<Arc<Counters>>) -> Vec<Component> {
        let mut components = Vec::new();
        for counters in counters {
            let name = |kind| format!("{kind}_{}_processor", words.item);
            let processor = counters.processor().map(|kind| self.attributes(name(kind)));
            let mut exporter = self.attributes(counters.exporter().to_owned()).to_vec();
            if let Some((address, port)) = counters.server() {
                exporter.push(KeyValue::new("server.address", address.to_owned()));
                exporter.push(KeyValue::new("server.port", i64::from(port)));
            }
            self.listen(counters.operations(), self.operations.clone(), exporter.clone());
            components.push(Component { counters, processor, exporter });
        }
        components
    }

    /// Returns the name and type of the reader.
    pub(super) fn time_collections(&mut self, reader: &str, durations: &Durations) -> [KeyValue; 2] {
        let component = self.attributes(reader.to_owned());
        self.listen(durations, self.collections.clone(), component.to_vec());
        component
    }

    fn listen(&mut self, durations: &Durations, seconds: Histogram<f64>, component: Vec<KeyValue>) {
        let listener = Arc::new(Listener { clock: self.clock.clone(), seconds, component });
        durations.listen(&listener);
        self.listeners.push(listener);
    }

    /// Returns the name and type of a component. The name is the type followed by a number, so that there are few
    /// names and they stay the same across restarts.
    ///
    /// spec: semconv registry/attributes/otel.md#otel-component-attributes
    fn attributes(&mut self, component_type: String) -> [KeyValue; 2] {
        let number = self.types.entry(component_type.clone()).or_default();
        let name = format!("{component_type}/{number}");
        *number += 1;
        [KeyValue::new("otel.component.name", name), KeyValue::new("otel.component.type", component_type)]
    }
}
