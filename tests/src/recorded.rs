//! Recorded spans in the form that all receivers share, to compare with the received ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::trace::{SpanId, Status};
use opentelemetry::{Array, KeyValue, Value};
use telemark_sdk::Resource;
use telemark_sdk::trace::{SpanData, SpanProcessor};

use crate::received::{Event, Link, Received, Span};

/// A processor that keeps a copy of every span. Clones of the processor share these copies.
#[derive(Clone, Debug, Default)]
pub struct Recorded(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Recorded {
    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}

impl Recorded {
    /// Returns the spans in the form that a receiver should show.
    pub fn as_received(&self, resource: &Resource) -> Received {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let resource = attributes(resource.iter());
        let spans = kept.iter().map(|data| Span { resource: resource.clone(), ..span(data) });
        Received { spans: spans.collect() }
    }
}

fn span(data: &SpanData) -> Span {
    let parent = data.parent_span_id;
    Span {
        trace_id: data.context.trace_id().to_string(),
        span_id: data.context.span_id().to_string(),
        parent_span_id: if parent == SpanId::INVALID { String::new() } else { parent.to_string() },
        trace_state: data.context.trace_state().header(),
        name: data.name.to_string(),
        kind: format!("{:?}", data.kind).to_lowercase(),
        start: data.start.as_nanos(),
        end: data.end.as_nanos(),
        status: match &data.status {
            Status::Unset => "unset".to_owned(),
            Status::Ok => "ok".to_owned(),
            Status::Error { description } if description.is_empty() => "error".to_owned(),
            Status::Error { description } => format!("error: {description}"),
        },
        attributes: attributes(data.attributes()),
        events: data
            .events
            .iter()
            .map(|event| Event {
                name: event.name.to_string(),
                time: event.time.as_nanos(),
                attributes: attributes(&event.attributes),
            })
            .collect(),
        links: data
            .links
            .iter()
            .map(|link| Link {
                trace_id: link.span_context.trace_id().to_string(),
                span_id: link.span_context.span_id().to_string(),
                attributes: attributes(&link.attributes),
            })
            .collect(),
        scope: format!("{} {}", data.scope.name(), data.scope.version().unwrap_or_default()).trim().to_owned(),
        scope_attributes: attributes(data.scope.attributes()),
        ..Span::default()
    }
}

pub(crate) fn attributes<'a>(list: impl IntoIterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    list.into_iter().map(|pair| (pair.key.to_string(), value(&pair.value))).collect()
}

/// Formats a value in the common notation.
fn value(value: &Value) -> String {
    fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
        format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
    }
    match value {
        Value::F64(number) => format!("{number:?}"),
        Value::String(text) => format!("{:?}", text.as_str()),
        Value::Array(Array::F64(items)) => list(items, |item| format!("{item:?}")),
        Value::Array(Array::Bool(items)) => list(items, bool::to_string),
        Value::Array(Array::I64(items)) => list(items, i64::to_string),
        Value::Array(Array::String(items)) => list(items, |item| format!("{:?}", item.as_str())),
        other => other.to_string(),
    }
}
