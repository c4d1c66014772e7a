//! What the exporter is called in the SDK's own metrics.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use telemark_otlp::{Otlp, Protocol};
use telemark_sdk::Exporter;
use telemark_sdk::signal::{Metrics, Traces};

#[test]
fn the_type_names_the_transport_and_the_signal() {
    let check = |protocol, expected: [&str; 2]| {
        let of_spans = Otlp::<Traces>::builder().with_protocol(protocol).build().unwrap();
        let of_metrics = Otlp::<Metrics>::builder().with_protocol(protocol).build().unwrap();
        assert_eq!([of_spans.component_type(), of_metrics.component_type()], expected);
        let boxed: Box<dyn Exporter<Traces>> = Box::new(of_spans);
        assert_eq!(boxed.component_type(), expected[0]);
    };
    // spec: semconv registry/attributes/otel.md, otel.component.type
    check(Protocol::Grpc, ["otlp_grpc_span_exporter", "otlp_grpc_metric_exporter"]);
    check(Protocol::HttpProtobuf, ["otlp_http_span_exporter", "otlp_http_metric_exporter"]);
    check(Protocol::HttpJson, ["otlp_http_json_span_exporter", "otlp_http_json_metric_exporter"]);
}
