//! Saves what the store holds.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::common::{Object, resource, scope, value};
use super::metrics;
use crate::model::{Event, Kind, Link, Record, Resource, Scope, Span, Status};
use crate::store::Store;

/// The maximum number of items in a line.
const MAX_ITEMS: usize = 256;

/// Writes everything that the store holds as lines of OTLP/JSON, which [`open`](super::open) and other tools read.
///
/// # Errors
/// Fails if the writer fails.
pub fn save(store: &Store, writer: &mut impl Write) -> io::Result<()> {
    lines(
        writer,
        ["resourceSpans", "scopeSpans", "spans"],
        &store.spans(),
        |item| origin(&item.resource, &item.scope),
        |item| span(item),
    )?;
    lines(
        writer,
        ["resourceLogs", "scopeLogs", "logRecords"],
        &store.records(),
        |item| origin(&item.resource, &item.scope),
        |item| record(item),
    )?;
    lines(
        writer,
        ["resourceMetrics", "scopeMetrics", "metrics"],
        &store.metrics(),
        |item| origin(&item.resource, &item.scope),
        metrics::metric,
    )?;
    writer.flush()
}

/// The resource and the scope of an item, by which a request groups its items.
#[derive(Clone)]
struct Origin(Arc<Resource>, Arc<Scope>);

fn origin(resource: &Arc<Resource>, scope: &Arc<Scope>) -> Origin {
    Origin(resource.clone(), scope.clone())
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) && Arc::ptr_eq(&self.1, &other.1)
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.0), Arc::as_ptr(&self.1)).hash(state);
    }
}

/// Writes items, at most [`MAX_ITEMS`] of one origin a line. `names` are those of the lists in the request.
fn lines<T>(
    writer: &mut impl Write,
    names: [&str; 3],
    items: &[T],
    origin: impl Fn(&T) -> Origin,
    encode: impl Fn(&T) -> Json,
) -> io::Result<()> {
    let mut groups: HashMap<Origin, Vec<Json>> = HashMap::new();
    for item in items {
        let origin = origin(item);
        let group = groups.entry(origin.clone()).or_default();
        group.push(encode(item));
        if group.len() >= MAX_ITEMS {
            let full = std::mem::take(group);
            line(writer, names, &origin, full)?;
        }
    }
    let left = groups.into_iter().filter(|(_, items)| !items.is_empty());
    left.into_iter().try_for_each(|(origin, items)| line(writer, names, &origin, items))
}

fn line(writer: &mut impl Write, names: [&str; 3], origin: &Origin, items: Vec<Json>) -> io::Result<()> {
    let [of_resource, of_scope, list] = names;
    let request = json!({of_resource: [{
        "resource": resource(&origin.0),
        of_scope: [{"scope": scope(&origin.1), list: items}],
    }]});
    serde_json::to_writer(&mut *writer, &request)?;
    writer.write_all(b"\n")
}

fn span(span: &Span) -> Json {
    let mut object = Object::default();
    object.trace_id("traceId", span.trace_id);
    object.span_id("spanId", span.span_id);
    object.span_id("parentSpanId", span.parent);
    object.text("traceState", &span.trace_state);
    object.text("name", &span.name);
    object.small(
        "kind",
        match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
            Kind::Producer => 4,
            Kind::Consumer => 5,
        },
    );
    object.large("startTimeUnixNano", span.start);
    object.large("endTimeUnixNano", span.end);
    object.attributes("attributes", &span.attributes);
    object.small("droppedAttributesCount", span.dropped.attributes);
    object.list("events", span.events.iter().map(event));
    object.small("droppedEventsCount", span.dropped.events);
    object.list("links", span.links.iter().map(link));
    object.small("droppedLinksCount", span.dropped.links);
    match &span.status {
        Status::Unset => {}
        Status::Ok => object.put("status", json!({"code": 1})),
        Status::Error(message) => object.put("status", json!({"code": 2, "message": &**message})),
    }
    object.into_json()
}

fn event(event: &Event) -> Json {
    let mut object = Object::default();
    object.large("timeUnixNano", event.time);
    object.text("name", &event.name);
    object.attributes("attributes", &event.attributes);
    object.small("droppedAttributesCount", event.dropped_attributes);
    object.into_json()
}

fn link(link: &Link) -> Json {
    let mut object = Object::default();
    object.trace_id("traceId", link.trace_id);
    object.span_id("spanId", link.span_id);
    object.attributes("attributes", &link.attributes);
    object.into_json()
}

fn record(record: &Record) -> Json {
    let mut object = Object::default();
    object.large("timeUnixNano", record.time);
    object.large("observedTimeUnixNano", record.time);
    object.small("severityNumber", record.severity.into());
    object.text("severityText", &record.severity_text);
    object.put("body", value(&record.body));
    object.attributes("attributes", &record.attributes);
    object.small("droppedAttributesCount", record.dropped_attributes);
    object.trace_id("traceId", record.trace_id);
    object.span_id("spanId", record.span_id);
    object.text("eventName", &record.event_name);
    object.into_json()
}
