//! Measures what limits cost a span on the threads of the SDK, and what series cost: new ones, known ones, and the estimate of their
//! attributes' values.
//!
//! ```text
//! cargo run --release -p telemark-sdk --example stage_cost
//! ```
#![allow(clippy::disallowed_methods, reason = "an example that measures time")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span, Tracer};
use telemark_sdk::batch::{Stage, Verdict};
use telemark_sdk::config::Env;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::metrics::{PullReader, SdkMeterProvider, View};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::self_metrics::SelfMetrics;
use telemark_sdk::signal::Traces;
use telemark_sdk::stages::limits::ItemLimits;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{SdkTracerProvider, SpanData};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

const ROUNDS: usize = 200;
const SPANS: u32 = 1000;
const SERIES: u32 = 2000;

/// Takes every item.
struct Nowhere;

impl Exporter<Traces> for Nowhere {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        black_box(batch.len());
        Ok(ExportReport::accepted())
    }
}

/// Keeps every span, so that spans pass through stages.
struct Nothing;

impl Stage<Traces> for Nothing {
    fn process(&mut self, _: &mut SpanData) -> Verdict {
        Verdict::Keep
    }
}

/// Returns the shortest time of a call in nanoseconds, divided by `parts`.
fn shortest(parts: u32, mut call: impl FnMut() -> Result<f64, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        best = best.min(call()?);
    }
    Ok(best * 1e9 / f64::from(parts))
}

/// Measures the work behind the queue for spans of three attributes, ten in a trace, on this thread.
fn of_span(change: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> Result<f64, Box<dyn Error>> {
    let runtime = ManualRuntime::new();
    let builder = Telemetry::builder(Env::from_pairs([("OTEL_RUST_RESOURCE_DETECTORS", "none")]))
        .with_runtime(Runtime::Manual(runtime))
        .with_span_exporter(Nowhere);
    let telemetry = change(builder).build()?;
    let tracer = telemetry.tracer("cost");
    let started = |name: &'static str| {
        let mut span = tracer.start(name);
        span.set_attributes([KeyValue::new("a", 1), KeyValue::new("b", "text"), KeyValue::new("c", true)]);
        span
    };
    shortest(SPANS, || {
        for _ in 0..SPANS / 10 {
            let root = started("root");
            let inside = opentelemetry::Context::new();
            let inside = opentelemetry::trace::TraceContextExt::with_span(&inside, root);
            let _attached = inside.attach();
            (0..9).for_each(|_| started("child").end());
        }
        let start = Instant::now();
        telemetry.force_flush(Deadline::NEVER)?;
        Ok(start.elapsed().as_secs_f64())
    })
}

fn lists() -> Vec<[KeyValue; 3]> {
    let list =
        |n: u32| [KeyValue::new("route", "/a/{id}"), KeyValue::new("user", i64::from(n)), KeyValue::new("ok", true)];
    (0..SERIES).map(list).collect()
}

fn provider(reader: &PullReader) -> SdkMeterProvider {
    let view = View::of_all().with_cardinality_limit(2 * SERIES as usize);
    SdkMeterProvider::builder().with_reader(reader.clone()).with_view(view).build()
}

fn series() -> Result<[f64; 2], Box<dyn Error>> {
    let lists = lists();
    let mut known = f64::INFINITY;
    let new = shortest(SERIES, || {
        let provider = provider(&PullReader::default());
        let counter = provider.meter("cost").u64_counter("c").build();
        let record = || {
            let start = Instant::now();
            lists.iter().for_each(|list| counter.add(1, list));
            start.elapsed().as_secs_f64()
        };
        let new = record();
        known = known.min(record());
        Ok(new)
    })?;
    Ok([new, known * 1e9 / f64::from(SERIES)])
}

/// Measures a collection of a counter with all series.
fn collection(has_self_metrics: bool) -> Result<f64, Box<dyn Error>> {
    let reader = PullReader::default();
    let provider = provider(&reader);
    let counter = provider.meter("cost").u64_counter("c").build();
    lists().iter().for_each(|list| counter.add(1, list));
    let tracers = SdkTracerProvider::builder().build();
    let _metrics = has_self_metrics.then(|| SelfMetrics::observe(&tracers, &provider));
    shortest(1, || {
        let start = Instant::now();
        black_box(reader.collect(Deadline::NEVER)?);
        Ok(start.elapsed().as_secs_f64())
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("a span of three attributes, from the queue to an exporter that does nothing");
    println!("  no stage: {:.0} ns", of_span(|builder| builder)?);
    println!("  a stage that does nothing: {:.0} ns", of_span(|builder| builder.with_span_stage(Nothing))?);
    let limits = ItemLimits::new().with_max_spans_per_trace(2000).with_max_span_bytes(65_536);
    println!("  limits of a trace and of bytes: {:.0} ns", of_span(|builder| builder.with_item_limits(limits))?);
    let [new, known] = series()?;
    println!(
        "a measurement of a counter with three attributes\n  a new series: {new:.0} ns\n  a known one: {known:.0} ns"
    );
    let [without, with] = [collection(false)?, collection(true)?].map(|nanos| nanos / 1000.0);
    println!("a collection of {SERIES} series");
    println!(
        "  alone: {without:.0} µs\n  with the SDK's own metrics, which estimate the values of each key: {with:.0} µs"
    );
    Ok(())
}
