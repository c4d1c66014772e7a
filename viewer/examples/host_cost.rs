//! Measures what the viewer costs the program whose telemetry it shows: the time of a span on the program's threads, without the observer
//! of running spans, with it, and with it while a page is open; and the time to copy a span into the store, on the SDK's thread.
//!
//! ```text
//! for mode in without idle open copy; do cargo run --release -p telemark-viewer --example host_cost -- $mode; done
//! ```
#![allow(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_sdk::config::Env;
use telemark_sdk::install::{Factory, Pipeline, Telemetry};
use telemark_sdk::instrument::spans::span;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::{Clock, Deadline};
use telemark_sdk::trace::{Scope, SpanChunk, SpanData};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource, id};
use telemark_viewer::{InProcess, Limits, Store, ViewerExporter};

const SPANS: u64 = 100_000;
const ROUNDS: usize = 20;

/// Accepts every span and keeps none.
struct Nowhere;

impl Exporter<Traces> for Nowhere {
    fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        Ok(ExportReport::accepted())
    }
}

fn viewer() -> Arc<InProcess> {
    InProcess::shared(&Env::from_pairs([("OTEL_RUST_VIEWER_ADDRESS", "127.0.0.1:0")])).unwrap()
}

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    if mode == "copy" {
        return copy();
    }
    let without = Factory::new("test", |_| Ok(Pipeline::<Traces>::new(Nowhere)));
    let with = Factory::new("test", |_| {
        let viewer = viewer();
        let running = viewer.clone();
        let pipeline = Pipeline::<Traces>::new(Nowhere).with_server(viewer);
        Ok(pipeline.with_processor(move |resource| running.running_spans(resource)))
    });
    let factory = if mode == "without" { without } else { with };
    let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "test"), ("OTEL_BSP_MAX_QUEUE_SIZE", "1000000")]);
    let telemetry = Telemetry::builder(env).with_span_exporter_factory(factory).init().unwrap();
    let clock = Clock::system();
    let mut rounds: Vec<u64> = (0..ROUNDS)
        .map(|_| {
            if mode == "open" {
                ask();
            }
            let start = clock.now().as_nanos();
            span("request").in_scope(|| {
                for _ in 0..SPANS {
                    span("step").with("cart.items", 3).in_scope(|| ());
                }
            });
            let took = clock.now().as_nanos() - start;
            telemetry.flush(Duration::from_secs(10)).unwrap();
            took / SPANS
        })
        .collect();
    rounds.sort_unstable();
    println!("{mode}: {} ns a span (least {}, most {})", rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
}

/// Asks for the running spans, as a page does.
fn ask() {
    let link = telemark_viewer::link().unwrap();
    let host = link.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&host).unwrap();
    let request = format!("GET /status.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
}

/// Copies batches of spans with three attributes into a store.
fn copy() {
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    let scope = Scope::from(InstrumentationScope::builder("shop").build());
    let clock = Clock::system();
    let mut exporter = ViewerExporter::<Traces>::new(Store::new(Limits::default()));
    let mut rounds: Vec<u64> = (0..200)
        .map(|_| {
            let trace = TraceId::from(u128::from(id::random()) << 64 | 1);
            let spans = (0..512).map(|index| {
                let own = SpanId::from(id::random());
                let context = SpanContext::new(trace, own, TraceFlags::SAMPLED, false, TraceState::NONE);
                let mut span = SpanData::new(context, "checkout step", scope.clone());
                (span.start, span.end) = (clock.now(), clock.now());
                span.own_attributes = vec![
                    KeyValue::new("customer.name", "Ada Lovelace"),
                    KeyValue::new("cart.items", index),
                    KeyValue::new("cart.gift", true),
                ];
                span
            });
            let chunk: SpanChunk = spans.collect();
            let start = clock.now().as_nanos();
            exporter.export(Batch::new(&resource, &chunk), Deadline::NEVER).unwrap();
            (clock.now().as_nanos() - start) / 512
        })
        .collect();
    rounds.sort_unstable();
    println!("copy: {} ns a span (least {}, most {})", rounds[100], rounds[0], rounds[199]);
}
