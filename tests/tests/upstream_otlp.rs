//! The ecosystem's gRPC exporter reaches a real receiver through Telemark's adapter, in a program without an async
//! runtime.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use telemark_sdk::signal::Traces;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::trace::{SpanData, SpanEvent};
use telemark_sdk::{Batch, Exporter, Resource};
use telemark_tests::Receiver;
use telemark_upstream::UpstreamExporter;

const EXPECTED: &str = r#"resource service.name="SERVICE"
"checkout" server error: sold out in shop 1.0
  items=3
  ratio=0.5
  event "exception" exception.message="no"
"#;

/// Includes the process id, because a receiver that was started manually may still hold spans from earlier runs.
fn service() -> String {
    format!("upstream_otlp {}", std::process::id())
}

fn tonic(endpoint: &str) -> UpstreamExporter<SpanExporter> {
    let endpoint = endpoint.to_owned();
    UpstreamExporter::from_fn(move || SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()).with_tokio()
}

fn checkout() -> SpanData {
    let context =
        SpanContext::new(TraceId::from(0xabc), SpanId::from(0xdef), TraceFlags::SAMPLED, false, TraceState::default());
    let scope = InstrumentationScope::builder("shop").with_version("1.0").build();
    let mut span = SpanData::new(context, "checkout", scope.into());
    span.kind = SpanKind::Server;
    span.start = Timestamp::from_nanos(1_544_712_660_000_000_000);
    span.end = Timestamp::from_nanos(1_544_712_661_000_000_000);
    span.own_attributes = vec![KeyValue::new("items", 3), KeyValue::new("ratio", 0.5)];
    span.status = Status::error("sold out");
    let end = span.end;
    span.events.push(SpanEvent::new("exception", end, vec![KeyValue::new("exception.message", "no")]), 8);
    span
}

fn export(exporter: &mut UpstreamExporter<SpanExporter>, deadline: Deadline) -> Result<(), telemark_sdk::ExportError> {
    let resource = Resource::new([KeyValue::new("service.name", service())]);
    exporter.export(Batch::<Traces>::new(&resource, &[checkout()].into_iter().collect()), deadline).map(drop)
}

#[test]
fn a_tonic_exporter_reaches_a_real_receiver() {
    for receiver in Receiver::running() {
        let mut exporter = tonic(&receiver.grpc);
        export(&mut exporter, Deadline::after(Duration::from_secs(30))).unwrap();
        exporter.shutdown(Deadline::after(Duration::from_secs(30))).unwrap();
        let received = receiver.await_received(&service(), |received| !received.spans.is_empty());
        assert_eq!(received.text(), EXPECTED.replace("SERVICE", &service()), "{}", receiver.name);
    }
}

#[test]
fn a_receiver_that_never_answers_costs_no_more_than_the_deadline() {
    // The kernel accepts the connection, but no program reads from it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut exporter = tonic(&format!("http://{}", silent.local_addr().unwrap()));
    let error = export(&mut exporter, Deadline::after(Duration::from_millis(200))).unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn a_receiver_that_is_not_there_is_an_error() {
    let mut exporter = tonic("http://127.0.0.1:9");
    assert!(export(&mut exporter, Deadline::after(Duration::from_secs(30))).is_err());
}
