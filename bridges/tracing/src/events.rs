//! Events: their effect on the status of a span, and span events if the program asks for them.

use std::borrow::Cow;

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context as OtelContext, KeyValue};
use telemark_sdk::instrument::bridge::{self, Change, contained};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::data;
use crate::fields::{EventFields, exception};
use crate::layer::change;
use crate::options::Options;

/// Records an event. Does nothing if no span is recording.
pub(crate) fn record<S>(event: &Event<'_>, ctx: &Context<'_, S>, layer: usize, options: &Options)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if bridge::is_suppressed() {
        return;
    }
    let is_error = options.errors && *event.metadata().level() == Level::ERROR;
    // The innermost span of `tracing`, and the span of any library that the event belongs to.
    let span = ctx.event_span(event);
    let of_span = span.as_ref().and_then(|span| data::context(span, layer));
    let context = if event.is_contextual() { Some(bridge::current_context()) } else { of_span.clone() };
    let Some(context) = context.filter(|context| context.span().is_recording()) else { return };
    let Some(now) = bridge::now() else { return };
    let fields = collect(event);
    // Only a span of `tracing` fails with an event; other libraries have their own rules.
    let fails = is_error && of_span.is_some_and(|of_span| is_same(&of_span, &context));
    let is_exception = fails && fields.message.is_none() && fields.error.is_some();
    let mut changes = Vec::new();
    if fails {
        changes.push(match &fields.error {
            Some(error) if is_exception => Change::Status(Status::error(error.clone())),
            _ => Change::Fail,
        });
    }
    if options.span_events {
        changes.push(span_event(event, fields, is_exception, now));
    } else if let Some(error) = fields.error.filter(|_| is_exception) {
        changes.push(exception(error, now));
    }
    apply(changes, span.filter(|_| fails), layer, &context);
}

fn apply<'a, R: LookupSpan<'a>>(
    changes: Vec<Change>,
    span: Option<SpanRef<'a, R>>,
    layer: usize,
    context: &OtelContext,
) {
    match span {
        Some(span) => change(&span, layer, changes),
        None => changes.into_iter().for_each(|change| change.apply(context)),
    }
}

fn is_same(a: &OtelContext, b: &OtelContext) -> bool {
    let (a, b) = (a.span(), b.span());
    a.span_context().span_id() == b.span_context().span_id()
        && a.span_context().trace_id() == b.span_context().trace_id()
}

fn collect(event: &Event<'_>) -> EventFields {
    let mut fields = EventFields::default();
    contained(|| event.record(&mut fields));
    fields
}

fn span_event(
    event: &Event<'_>,
    fields: EventFields,
    is_exception: bool,
    time: telemark_sdk::time::Timestamp,
) -> Change {
    let metadata = event.metadata();
    let EventFields { message, attributes: own, error, log_target } = fields;
    let mut attributes = Vec::with_capacity(own.len() + 3);
    attributes.push(KeyValue::new("level", metadata.level().as_str()));
    match log_target {
        Some(target) => attributes.push(KeyValue::new("target", target)),
        None => attributes.push(KeyValue::new("target", metadata.target())),
    }
    attributes.extend(own);
    let name = if is_exception {
        attributes.extend(error.map(|error| KeyValue::new("exception.message", error)));
        Cow::Borrowed("exception")
    } else {
        message.map_or(Cow::Borrowed(metadata.name()), Cow::Owned)
    };
    Change::Event { name, time, attributes }
}
