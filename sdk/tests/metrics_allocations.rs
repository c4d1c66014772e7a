//! Measurements of a known series do not allocate, and no measurement allocates after shutdown.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::metrics::{Aggregation, ReaderConfig, View};
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::time::Deadline;

#[test]
fn a_hit_allocates_nothing() {
    let views = [
        View::of("filtered").without_attribute_keys(["c"]),
        View::of("exponential").with_aggregation(Aggregation::exponential()),
    ];
    let telemetry = TestTelemetry::new()
        .with_metrics(ReaderConfig::new(), |builder| views.into_iter().fold(builder, |b, view| b.with_view(view)));
    let meter = telemetry.meter("test");
    let (counter, filtered) = (meter.u64_counter("counter").build(), meter.f64_counter("filtered").build());
    let (gauge, histogram) = (meter.f64_gauge("gauge").build(), meter.f64_histogram("histogram").build());
    let exponential = meter.f64_histogram("exponential").build();
    let attributes = [KeyValue::new("a", "1"), KeyValue::new("b", 2), KeyValue::new("c", 0.5)];
    let reversed = [KeyValue::new("c", 0.5), KeyValue::new("b", 2), KeyValue::new("a", "1")];
    let (bound, bound_histogram) = (counter.bind(&attributes), histogram.bind(&attributes));
    let record = || {
        for attributes in [&attributes, &reversed] {
            counter.add(1, attributes);
            gauge.record(1.5, attributes);
            histogram.record(1.5, attributes);
            exponential.record(1.5, attributes);
            filtered.add(1.5, attributes);
        }
        bound.add(1);
        bound_histogram.record(1.5);
    };
    // The first time, a thread makes the series known; the second time, it copies the list.
    (0..2).for_each(|_| record());
    let outside = allocation_counter::measure(|| (0..100).for_each(|_| record()));
    assert_eq!(outside.count_total, 0);

    let context =
        SpanContext::new(TraceId::from(1u128), SpanId::from(1u64), TraceFlags::SAMPLED, false, TraceState::NONE);
    let _attached = Context::new().with_remote_span_context(context).attach();
    // Keeping an exemplar allocates only if a view removes attributes, and exemplars are kept less and less often.
    let record = || {
        counter.add(1, &attributes);
        gauge.record(1.5, &attributes);
        histogram.record(1.5, &attributes);
        exponential.record(1.5, &attributes);
        bound.add(1);
        bound_histogram.record(1.5);
    };
    record();
    let inside = allocation_counter::measure(|| (0..100).for_each(|_| record()));
    assert_eq!(inside.count_total, 0);
}

#[test]
fn an_instrument_made_after_shutdown_allocates_nothing() {
    let telemetry = TestTelemetry::new();
    let meter = telemetry.meter("test");
    telemetry.meter_provider().shutdown(Deadline::NEVER).unwrap();
    let others = telemetry.meter("other");
    let (counter, histogram) = (meter.u64_counter("counter").build(), others.f64_histogram("histogram").build());
    // Initializes the thread's local state.
    counter.add(1, &[]);
    let series: Vec<_> = (0..100).map(|n| [KeyValue::new("n", n)]).collect();
    let recorded = allocation_counter::measure(|| {
        for attributes in &series {
            counter.add(1, attributes);
            histogram.record(1.5, attributes);
        }
    });
    assert_eq!(recorded.count_total, 0);
}
