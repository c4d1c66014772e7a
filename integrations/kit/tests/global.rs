//! Tests that the global tracer and the global meter are found once they are installed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use opentelemetry::metrics::Counter;
use opentelemetry::trace::{Span, Tracer};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use telemark_kit::{GlobalTracer, Instruments};

// There is only one test, because the providers are global to the process.
#[test]
fn providers_are_found_once_they_are_installed() {
    let scope = telemark_kit::scope("kit-test", "1.2.3");
    let tracer = GlobalTracer::new(scope.clone());
    let counters: Instruments<Counter<u64>> =
        Instruments::global(scope.clone(), |meter| meter.u64_counter("calls").build());
    assert!(!tracer.start("before").span_context().is_valid());
    assert!(counters.get().is_none(), "the API's provider keeps nothing");

    let (spans, metrics) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
    let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
    global::set_tracer_provider(tracers);
    global::set_meter_provider(meters.clone());
    tracer.clone().start("after").end();
    counters.clone().get().unwrap().add(2, &[KeyValue::new("a", 1)]);

    // From now on, all clones keep this tracer.
    global::set_tracer_provider(SdkTracerProvider::builder().build());
    global::set_meter_provider(SdkMeterProvider::builder().build());
    tracer.start("later").end();
    counters.get().unwrap().add(3, &[KeyValue::new("a", 1)]);

    let finished = spans.get_finished_spans().unwrap();
    assert_eq!(finished.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["after", "later"]);
    assert!(finished.iter().all(|span| span.instrumentation_scope == scope));
    assert_eq!(scope.schema_url(), Some(telemark_kit::keys::SCHEMA_URL));
    meters.force_flush().unwrap();
    let collected = format!("{:?}", metrics.get_finished_metrics().unwrap());
    assert!(collected.contains("value: 5") && collected.contains("kit-test"), "{collected}");
    assert!(Instruments::<()>::off(|_| ()).get().is_none());
}
