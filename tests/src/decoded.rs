//! Requests that opentelemetry-proto decoded, in the form in which receivers tell what they received.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as otlp;

use crate::received::{Event, Link, Received, Span};

/// All spans of the requests.
pub(crate) fn decoded(requests: &[ExportTraceServiceRequest]) -> Received {
    let mut spans = Vec::new();
    for of_resource in requests.iter().flat_map(|request| &request.resource_spans) {
        let resource = of_resource.resource.clone().unwrap_or_default();
        for of_scope in &of_resource.scope_spans {
            let scope = of_scope.scope.clone().unwrap_or_default();
            spans.extend(of_scope.spans.iter().map(|data| Span {
                resource: attributes(&resource.attributes),
                scope: format!("{} {}", scope.name, scope.version).trim().to_owned(),
                scope_attributes: attributes(&scope.attributes),
                ..span(data)
            }));
        }
    }
    Received { spans }
}

fn span(data: &otlp::Span) -> Span {
    let status = data.status.clone().unwrap_or_default();
    let code = status.code().as_str_name().trim_start_matches("STATUS_CODE_").to_lowercase();
    Span {
        trace_id: hex(&data.trace_id),
        span_id: hex(&data.span_id),
        parent_span_id: hex(&data.parent_span_id),
        trace_state: data.trace_state.clone(),
        flags: Some(data.flags.into()),
        name: data.name.clone(),
        kind: data.kind().as_str_name().trim_start_matches("SPAN_KIND_").to_lowercase(),
        start: data.start_time_unix_nano,
        end: data.end_time_unix_nano,
        status: if status.message.is_empty() { code } else { format!("{code}: {}", status.message) },
        attributes: attributes(&data.attributes),
        events: data.events.iter().map(event).collect(),
        links: data.links.iter().map(link).collect(),
        ..Span::default()
    }
}

fn event(data: &otlp::span::Event) -> Event {
    Event { name: data.name.clone(), time: data.time_unix_nano, attributes: attributes(&data.attributes) }
}

fn link(data: &otlp::span::Link) -> Link {
    Link { trace_id: hex(&data.trace_id), span_id: hex(&data.span_id), attributes: attributes(&data.attributes) }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), value(pair.value.as_ref()))).collect()
}

/// In the notation of received values.
fn value(any: Option<&AnyValue>) -> String {
    match any.and_then(|any| any.value.as_ref()) {
        None => "()".to_owned(),
        Some(Value::StringValue(text)) => format!("{text:?}"),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => format!("{number:?}"),
        Some(Value::ArrayValue(array)) => {
            let values = array.values.iter().map(|item| value(Some(item)));
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        Some(Value::BytesValue(bytes)) => format!("0x{}", hex(bytes)),
        Some(other) => format!("{other:?}"),
    }
}
