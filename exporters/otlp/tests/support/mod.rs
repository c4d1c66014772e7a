//! Spans to send, a runner for exporters, scripted receivers, and a scripted proxy.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod grpc;
pub mod http;
pub mod limited;
pub mod proxy;
pub mod random;

use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use telemark_otlp::{OtlpBuilder, OtlpExporter, RetryConfig};
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{SpanChunk, SpanData};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource};

/// The time limit of a test.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A timeout that a test waits for. Even on a busy machine, everything that does not hang happens before it.
pub const EXPIRES: Duration = Duration::from_secs(2);

pub fn span(name: &'static str) -> SpanData {
    let context =
        SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, false, TraceState::default());
    SpanData::new(context, name, InstrumentationScope::builder("test").build().into())
}

/// True in the test binary that repeats the tests of others with the client on the standard library.
pub const IS_STD_CLIENT: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"std_client");

/// Returns a builder of an exporter over HTTP, with the client that this test binary is for.
pub fn over_http() -> OtlpBuilder<Traces> {
    let builder = OtlpExporter::<Traces>::builder();
    if IS_STD_CLIENT { builder.with_std_client() } else { builder }
}

/// Returns a configuration with only milliseconds between retries.
pub fn quick_retries() -> RetryConfig {
    RetryConfig::default().with_initial_backoff(Duration::from_millis(2)).with_max_backoff(Duration::from_millis(10))
}

/// Exports one span with this name.
pub fn export(exporter: &mut impl Exporter<Traces>, name: &'static str) -> Result<ExportReport, ExportError> {
    export_by(exporter, name, Deadline::after(PATIENCE))
}

pub fn export_by(
    exporter: &mut impl Exporter<Traces>,
    name: &'static str,
    deadline: Deadline,
) -> Result<ExportReport, ExportError> {
    exporter.export(Batch::new(&Resource::empty(), &[span(name)].into_iter().collect()), deadline)
}

/// Exports these spans as one batch.
pub fn export_all(
    exporter: &mut impl Exporter<Traces>,
    spans: &SpanChunk,
    deadline: Deadline,
) -> Result<ExportReport, ExportError> {
    exporter.export(Batch::new(&Resource::empty(), spans), deadline)
}

/// Returns spans whose names consist of their numbers and padding of these lengths.
pub fn numbered(lengths: impl IntoIterator<Item = usize>) -> SpanChunk {
    let name = |(index, len): (usize, usize)| -> &'static str { format!("{index}{}", "-".repeat(len)).leak() };
    lengths.into_iter().enumerate().map(|numbered| span(name(numbered))).collect()
}

/// Returns the numbers of the spans in these requests.
pub fn numbers<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> Vec<usize> {
    let number = |name: &str| name.trim_end_matches('-').parse().unwrap();
    let names = bodies.into_iter().map(names);
    names.flat_map(|names| names.split(' ').map(number).collect::<Vec<_>>()).collect()
}

/// Returns the result as text: the outcome of the batch and the number of retries.
pub fn outcome(result: &Result<ExportReport, ExportError>) -> String {
    match result {
        Ok(report) => {
            let message = report.message.as_deref().map(|message| format!(" ({message})")).unwrap_or_default();
            let failed = if report.failed() > 0 { format!("{} failed, ", report.failed()) } else { String::new() };
            format!("taken, {failed}{} rejected, {} retries{message}", report.rejected, report.retries)
        }
        Err(error) => format!("{}, {} retries", error.error_type(), error.retries()),
    }
}

/// Returns the names of the spans in a request.
pub fn names(body: &[u8]) -> String {
    let request = ExportTraceServiceRequest::decode(body).expect("the request is protobuf");
    let spans = request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
    spans.map(|span| span.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// Exports on a separate thread, as the SDK does, and drops the exporter there.
pub fn on_a_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    #[allow(clippy::disallowed_methods, reason = "stands for the thread of the SDK")]
    std::thread::spawn(f)
}
