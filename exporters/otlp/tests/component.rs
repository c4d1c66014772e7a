//! The exporter's names in the SDK's own metrics.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use telemark_otlp::{OtlpExporter, Protocol};
use telemark_sdk::Exporter;
use telemark_sdk::signal::{Metrics, Traces};

#[test]
fn the_type_names_the_transport_and_the_signal() {
    let check = |protocol, expected: [&str; 2]| {
        let spans = OtlpExporter::<Traces>::builder().with_protocol(protocol).build().unwrap();
        let metrics = OtlpExporter::<Metrics>::builder().with_protocol(protocol).build().unwrap();
        assert_eq!([spans.component_type(), metrics.component_type()], expected);
        let boxed: Box<dyn Exporter<Traces>> = Box::new(spans);
        assert_eq!(boxed.component_type(), expected[0]);
    };
    // spec: semconv registry/attributes/otel.md, otel.component.type
    #[cfg(feature = "grpc")]
    check(Protocol::Grpc, ["otlp_grpc_span_exporter", "otlp_grpc_metric_exporter"]);
    check(Protocol::HttpProtobuf, ["otlp_http_span_exporter", "otlp_http_metric_exporter"]);
    check(Protocol::HttpJson, ["otlp_http_json_span_exporter", "otlp_http_json_metric_exporter"]);
}

#[test]
fn the_destination_names_protocol_and_address_without_secrets() {
    let check = |builder: telemark_otlp::OtlpBuilder<Traces>, expected: &str, server: (&str, u16)| {
        let exporter: Box<dyn Exporter<Traces>> = Box::new(builder.build().unwrap());
        assert_eq!(exporter.destination(), expected);
        assert_eq!(exporter.server(), Some((server.0.to_owned(), server.1)));
    };
    let builder = OtlpExporter::<Traces>::builder;
    check(builder(), "http/protobuf to http://localhost:4318/v1/traces", ("localhost", 4318));
    let json = builder().with_protocol(Protocol::HttpJson).with_endpoint("http://[::1]/own?api_key=secret");
    check(json, "http/json to http://[::1]/own?…", ("::1", 80));
    #[cfg(feature = "grpc")]
    check(builder().with_protocol(Protocol::Grpc), "grpc to http://localhost:4317", ("localhost", 4317));
}
