//! Spans and log records.

use super::common::{Item, value};
use super::fields::Fields;
use crate::model::{Dropped, Event, Link, Record, Span, Status};
use crate::receive::{Malformed, kind_of, severity_of};

const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

const STATUSES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// Decodes a span.
pub(super) fn span(item: &mut Item<'_, '_>, fields: Fields<'_>) -> Result<(), Malformed> {
    let (events, links) = (fields.list("events")?, fields.list("links")?);
    item.elements += events.len() + links.len();
    let span = Span {
        trace_id: fields.trace_id("traceId")?,
        span_id: fields.span_id("spanId")?,
        parent: fields.span_id("parentSpanId")?,
        name: item.name(fields.text("name")?),
        kind: kind_of(fields.enumeration("kind", KINDS)?),
        start: fields.unsigned("startTimeUnixNano")?,
        // Zero would mean that the span is running.
        end: fields.unsigned("endTimeUnixNano")?.max(1),
        status: status(fields)?,
        trace_state: item.name(fields.text("traceState")?),
        attributes: item.attributes(fields, "attributes")?,
        events: events.iter().map(|event| self::event(item, Fields::new(event)?)).collect::<Result<_, _>>()?,
        links: links.iter().map(|link| self::link(item, Fields::new(link)?)).collect::<Result<_, _>>()?,
        dropped: Dropped {
            attributes: fields.uint32("droppedAttributesCount")?,
            events: fields.uint32("droppedEventsCount")?,
            links: fields.uint32("droppedLinksCount")?,
        },
        resource: item.resource.clone(),
        scope: item.scope.clone(),
    };
    item.sink.span(span, item.elements);
    Ok(())
}

fn event(item: &mut Item<'_, '_>, fields: Fields<'_>) -> Result<Event, Malformed> {
    Ok(Event {
        time: fields.unsigned("timeUnixNano")?,
        name: item.name(fields.text("name")?),
        attributes: item.attributes(fields, "attributes")?,
        dropped_attributes: fields.uint32("droppedAttributesCount")?,
    })
}

fn link(item: &mut Item<'_, '_>, fields: Fields<'_>) -> Result<Link, Malformed> {
    Ok(Link {
        trace_id: fields.trace_id("traceId")?,
        span_id: fields.span_id("spanId")?,
        attributes: item.attributes(fields, "attributes")?,
    })
}

fn status(span: Fields<'_>) -> Result<Status, Malformed> {
    let Some(fields) = span.message("status")? else { return Ok(Status::Unset) };
    Ok(match fields.enumeration("code", STATUSES)? {
        1 => Status::Ok,
        2 => Status::Error(fields.text("message")?.into()),
        _ => Status::Unset,
    })
}

/// The names of the severity numbers.
const SEVERITIES: &[&str] = &[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

/// Decodes a log record.
pub(super) fn record(item: &mut Item<'_, '_>, fields: Fields<'_>) -> Result<(), Malformed> {
    let (time, observed) = (fields.unsigned("timeUnixNano")?, fields.unsigned("observedTimeUnixNano")?);
    let record = Record {
        time: if time == 0 { observed } else { time },
        severity: severity_of(fields.enumeration("severityNumber", SEVERITIES)?),
        severity_text: item.name(fields.text("severityText")?),
        body: value(fields.message("body")?, item.sink)?,
        event_name: item.name(fields.text("eventName")?),
        trace_id: fields.trace_id("traceId")?,
        span_id: fields.span_id("spanId")?,
        attributes: item.attributes(fields, "attributes")?,
        dropped_attributes: fields.uint32("droppedAttributesCount")?,
        resource: item.resource.clone(),
        scope: item.scope.clone(),
    };
    item.sink.record(record, item.elements);
    Ok(())
}
