//! Checks the complete output for metrics.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use opentelemetry::trace::TraceContextExt;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use telemark_console::{Color, ConsoleMetricExporter};
use telemark_sdk::metrics::{Aggregation, MetricData, ReaderConfig, TemporalityPreference};
use telemark_sdk::signal::Metrics;
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, Exporter, Resource};

/// A writer whose output the test can read.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn shown(telemetry: &TestTelemetry, configure: impl FnOnce(ConsoleMetricExporter) -> ConsoleMetricExporter) -> String {
    let screen = Screen::default();
    let mut exporter = configure(ConsoleMetricExporter::to_writer(screen.clone()));
    let items = telemetry.collect();
    let resource = Resource::empty();
    exporter.export(Batch::<Metrics>::new(&resource, &items), Deadline::NEVER).unwrap();
    String::from_utf8(std::mem::take(&mut screen.0.lock().unwrap())).unwrap()
}

#[track_caller]
fn check(telemetry: &TestTelemetry, expected: &str) {
    let shown = shown(telemetry, |exporter| exporter);
    let (head, rows) = shown.trim_start_matches('\n').split_once('\n').unwrap_or_default();
    if !shown.is_empty() {
        assert!(head.starts_with("metrics  ") && head.ends_with('Z'), "{head:?}");
    }
    assert_eq!(rows, expected);
}

fn in_trace() -> opentelemetry::ContextGuard {
    let id = TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    let span = SpanContext::new(id, SpanId::from(7), TraceFlags::SAMPLED, true, TraceState::NONE);
    Context::current().with_remote_span_context(span).attach()
}

#[test]
fn every_kind_has_its_line() {
    let telemetry = TestTelemetry::new();
    let meter = telemetry.meter("shop");
    let orders = meter.u64_counter("shop.orders").with_unit("{order}").build();
    orders.add(3, &[KeyValue::new("kind", "web")]);
    orders.add(1, &[KeyValue::new("kind", "app"), KeyValue::new("vip", true)]);
    orders.add(2, &[]);
    meter.i64_up_down_counter("queue").build().add(-4, &[]);
    meter.f64_gauge("temperature").with_unit("Cel").build().record(4.5, &[KeyValue::new("fridge", 2)]);
    let duration = meter.f64_histogram("duration").with_unit("s").with_boundaries(vec![0.005, 0.01, 0.05]).build();
    let _trace = in_trace();
    for millis in [1, 2, 3, 4, 6, 7, 8, 40] {
        duration.record(f64::from(millis) / 1e3, &[]);
    }
    check(
        &telemetry,
        "\
duration              8×  avg 8.88ms  p50 ~5.00ms  p95 ~28.0ms  max 40.0ms  trace 4bf92f3577b34da6a3ce929d0e0e4736
queue                 -4
shop.orders
  (no attributes)     2 order
  kind=app vip=true   1 order
  kind=web            3 order
temperature fridge=2  4.50 Cel
",
    );
}

#[test]
fn deltas_have_a_sign_and_exponential_histograms_are_distributions() {
    let config = ReaderConfig::new()
        .with_temporality(TemporalityPreference::Delta)
        .with_aggregation(|_| Aggregation::exponential());
    let telemetry = TestTelemetry::new().with_metrics(config, |builder| builder);
    let sizes = telemetry.meter("shop").u64_histogram("size").with_unit("By").build();
    for size in 0..=100 {
        sizes.record(size, &[]);
    }
    assert!(matches!(telemetry.collect()[0].metrics[0].data, MetricData::ExponentialHistogram { .. }));
    for size in 0..=100 {
        sizes.record(size, &[]);
    }
    check(&telemetry, "size  101×  avg 50 By  p50 ~49.9 By  p95 ~95.5 By  max 100 By\n");
    let config = ReaderConfig::new().with_temporality(TemporalityPreference::Delta);
    let telemetry = TestTelemetry::new().with_metrics(config, |builder| builder);
    telemetry.meter("shop").u64_counter("orders").build().add(5, &[]);
    check(&telemetry, "orders  +5\n");
}

#[test]
fn an_empty_batch_prints_nothing() {
    check(&TestTelemetry::new(), "");
}

#[test]
fn foreign_text_cannot_move_the_cursor() {
    let telemetry = TestTelemetry::new();
    telemetry.meter("shop").u64_counter("orders").build().add(1, &[KeyValue::new("who", "\x1b[2J\n")]);
    check(&telemetry, "orders who=\\u{1b}[2J\\n  1\n");
}

#[test]
fn colours_on_request() {
    let telemetry = TestTelemetry::new();
    telemetry.meter("shop").u64_counter("orders").build().add(1, &[]);
    assert!(shown(&telemetry, |exporter| exporter.with_color(Color::Always)).contains("\x1b["));
    assert!(!shown(&telemetry, |exporter| exporter.with_color(Color::Auto)).contains('\x1b'));
}
