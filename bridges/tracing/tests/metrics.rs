//! Measurements by events.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use opentelemetry::trace::TraceContextExt;
use support::plain;
use telemark_sdk::diag;
use telemark_sdk::instrument::spans;
use telemark_sdk::metrics::MetricData;
use telemark_sdk::testing::TestTelemetry;
use telemark_tracing::OpenTelemetrySpanExt;
use tracing::{info, info_span, trace};
use tracing_subscriber::prelude::*;

#[test]
fn events_measure_and_their_exemplars_lead_to_the_span() {
    let said = Arc::new(Mutex::new(Vec::new()));
    diag::set_sink({
        let said = said.clone();
        move |_, message| said.lock().unwrap().push(message.to_owned())
    });
    let telemetry = TestTelemetry::new();
    let subscriber = tracing_subscriber::registry().with(plain().build()).with(telemark_tracing::metrics_layer());
    let dispatch = tracing::Dispatch::new(subscriber);
    // Before there are metrics, nothing is measured, and the layer is not lost for later.
    tracing::dispatcher::with_default(&dispatch, || info!(monotonic_counter.orders = 100));
    let _attached = telemetry.attach();
    let mut span_id = None;
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("a");
        span_id = Some(span.context().span().span_context().span_id());
        span.in_scope(|| trace!(monotonic_counter.orders = 2, kind = "web", "placed"));
        info!(histogram.size = -1);
        info!(counter.open = u64::MAX);
        spans::suppress(|| info!(monotonic_counter.orders = 100, kind = "web"));
    });
    let metrics = telemetry.collect();
    assert_eq!((metrics.len(), metrics[0].metrics.len()), (1, 1));
    let metric = &metrics[0].metrics[0];
    assert_eq!(&*metric.name, "orders");
    let MetricData::Sum { points, .. } = &metric.data else { unreachable!("{metric:?}") };
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].exemplars[0].span_id, span_id.unwrap());
    // Another test with the same subscriber has its own telemetry.
    let other = TestTelemetry::new();
    let _attached = other.attach();
    tracing::dispatcher::with_default(&dispatch, || info!(monotonic_counter.orders = 5));
    assert!(other.metrics().contains("orders"), "{}", other.metrics());
    let said = said.lock().unwrap().clone();
    assert_eq!(said, [r#"a measurement of "size" by an event is negative or too large, and is dropped"#]);
}
