//! The SDK's own metrics, `otel.sdk.*`, which expose the counters of [`diag`](crate::diag).

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::metrics::{Histogram, Meter, MeterProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};

use crate::diag::{Counters, Durations, Listener, LogCount, Origin, Outcome, SpanCounts};
use crate::logs::SdkLoggerProvider;
use crate::metrics::{CallbackHandle, Observable, Observer, SdkMeter, SdkMeterProvider};
use crate::time::Clock;
use crate::trace::SdkTracerProvider;

/// Exposes the SDK's work as metrics in the scope `telemark.sdk`, until dropped: started and live spans, emitted
/// log records, processor queues, items in flight and exported, and the durations of exports and collections.
///
/// The semantic conventions for these metrics are still in development, so they are off by default. Enable them with
/// [`TelemetryBuilder::with_self_metrics`](crate::install::TelemetryBuilder::with_self_metrics) or
/// `OTEL_RUST_SELF_METRICS=true`. Spans are counted only if their provider was built [with span
/// counts](crate::trace::TracerProviderBuilder::with_span_counts).
///
/// The SDK's work itself records only one duration per export or collection; all the counters are read by a callback.
/// Exporting these metrics therefore creates no additional telemetry, but only changes the values of the next export.
///
/// spec: self-observability.md, semconv otel/sdk-metrics.md
#[derive(Debug)]
#[must_use = "the metrics end when this is dropped"]
pub struct SelfMetrics {
    _callback: CallbackHandle,
    _listeners: Vec<Arc<Listener>>,
}

impl SelfMetrics {
    /// Exposes the work of these providers as metrics, to the readers of `meters`. If two `SelfMetrics` observe the
    /// same providers, only the later one receives the durations.
    pub fn observe(tracers: &SdkTracerProvider, meters: &SdkMeterProvider) -> Self {
        let points = meters.components().filter_map(|(_, _, counters)| counters).collect();
        SelfMetrics::of_pipelines(tracers, None, meters, [(Words::SPANS, tracers.counters()), (Words::POINTS, points)])
    }

    /// Like [`Self::observe`], but for the given pipelines of any signal.
    pub(crate) fn of_pipelines(
        tracers: &SdkTracerProvider,
        loggers: Option<&SdkLoggerProvider>,
        meters: &SdkMeterProvider,
        signals: impl IntoIterator<Item = (Words, Vec<Arc<Counters>>)>,
    ) -> Self {
        let scope = InstrumentationScope::builder("telemark.sdk")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(crate::resource::SCHEMA_URL)
            .build();
        let mut registrar = Registrar::new(tracers.clock().clone(), &meters.meter_with_scope(scope.clone()));
        let meter = meters.sdk_meter(scope);
        let spans = Spans::new(&meter, tracers.span_counts());
        let records = Records::new(&meter, loggers.and_then(SdkLoggerProvider::log_count));
        let signals = signals.into_iter();
        let instruments: Vec<_> = signals
            .map(|(words, counters)| SignalInstruments::new(&meter, words, registrar.add(words, counters)))
            .collect();
        for (reader, durations, _) in meters.components() {
            registrar.time_collections(reader, durations);
        }
        let callback = meter.register_callback(move |observer| {
            // The counts are unrelated to the span that is current during a collection, so that span must not become
            // part of an exemplar.
            let _outside = Context::new().attach();
            spans.observe(observer);
            records.observe(observer);
            instruments.iter().for_each(|signal| signal.observe(observer));
        });
        SelfMetrics { _callback: callback, _listeners: registrar.listeners }
    }
}

/// An exporter and its processor, if any, together with their attributes in the metrics.
struct Component {
    counters: Arc<Counters>,
    processor: Option<[KeyValue; 2]>,
    /// The exporter's attributes, including the server to which it sends.
    exporter: Vec<KeyValue>,
}

/// Names components and measures the durations of their operations.
struct Registrar {
    clock: Clock,
    operations: Histogram<f64>,
    collections: Histogram<f64>,
    listeners: Vec<Arc<Listener>>,
    /// Number of components of each type.
    types: HashMap<String, usize>,
}

impl Registrar {
    fn new(clock: Clock, meter: &Meter) -> Self {
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

    fn add(&mut self, words: Words, counters: Vec<Arc<Counters>>) -> Vec<Component> {
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

    fn time_collections(&mut self, reader: &str, durations: &Durations) {
        let component = self.attributes(reader.to_owned());
        self.listen(durations, self.collections.clone(), component.to_vec());
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

/// The `otel.sdk.span.*` metrics.
struct Spans {
    counts: Option<Arc<SpanCounts>>,
    live: Observable<i64>,
    started: Observable<u64>,
}

impl Spans {
    fn new(meter: &SdkMeter, counts: Option<Arc<SpanCounts>>) -> Self {
        let live = meter.observable_up_down_counter("otel.sdk.span.live").with_unit("{span}").with_description(
            "The number of created spans with `recording=true` for which the end operation has not been called yet.",
        );
        let started = meter.observable_counter("otel.sdk.span.started").with_unit("{span}");
        let started = started.with_description("The number of created spans.");
        Spans { counts, live: live.build(), started: started.build() }
    }

    fn observe(&self, observer: &Observer) {
        let Some(counts) = &self.counts else { return };
        for outcome in Outcome::ALL {
            let result = KeyValue::new("otel.span.sampling_result", sampling_result(outcome));
            if let Some(live) = counts.live(outcome) {
                observer.observe(&self.live, signed(live), std::slice::from_ref(&result));
            }
            for parent in Origin::ALL {
                let started = counts.started(parent, outcome);
                if started > 0 {
                    let parent = KeyValue::new("otel.span.parent.origin", parent_origin(parent));
                    observer.observe(&self.started, started, &[parent, result.clone()]);
                }
            }
        }
    }
}

/// The metric `otel.sdk.log.created`.
struct Records {
    count: Option<Arc<LogCount>>,
    created: Observable<u64>,
}

impl Records {
    fn new(meter: &SdkMeter, count: Option<Arc<LogCount>>) -> Self {
        let created = Words::LOGS.total(
            meter,
            "otel.sdk.log.created".to_owned(),
            "The number of log records submitted to an enabled Logger.".to_owned(),
        );
        Records { count, created }
    }

    fn observe(&self, observer: &Observer) {
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

fn parent_origin(parent: Origin) -> &'static str {
    match parent {
        Origin::None => "none",
        Origin::Local => "local",
        Origin::Remote => "remote",
    }
}

/// The `otel.sdk.processor.*` and `otel.sdk.exporter.*` metrics of one signal.
struct SignalInstruments {
    components: Vec<Component>,
    processors: ProcessorInstruments,
    in_flight: Observable<i64>,
    exported: Observable<u64>,
}

struct ProcessorInstruments {
    queue_size: Observable<i64>,
    queue_capacity: Observable<i64>,
    processed: Observable<u64>,
}

impl SignalInstruments {
    fn new(meter: &SdkMeter, words: Words, components: Vec<Component>) -> Self {
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
        }
    }

    fn observe(&self, observer: &Observer) {
        for Component { counters, processor, exporter } in &self.components {
            if let Some(processor) = processor {
                self.processors.observe(observer, counters, processor);
            }
            observer.observe(&self.in_flight, signed(counters.in_flight()), exporter);
            for (error_type, items) in counters.concluded() {
                observer.observe(&self.exported, items, &with_error(exporter, error_type));
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

    fn total(self, meter: &SdkMeter, name: String, description: String) -> Observable<u64> {
        meter.observable_counter(name).with_unit(self.unit).with_description(description).build()
    }

    fn current(self, meter: &SdkMeter, name: String, description: String) -> Observable<i64> {
        meter.observable_up_down_counter(name).with_unit(self.unit).with_description(description).build()
    }
}

fn with_error(component: &[KeyValue], error_type: Option<&'static str>) -> Vec<KeyValue> {
    // spec: semconv — successful operations have no `error.type`.
    let error = error_type.map(|error_type| KeyValue::new("error.type", error_type));
    component.iter().cloned().chain(error).collect()
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
