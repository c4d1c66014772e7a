//! The effects of an event: a log record, a span's status, a span event.

use std::borrow::Cow;

use opentelemetry::logs::LogRecord;
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context as OtelContext, KeyValue};
use telemark_sdk::instrument::bridge::{self, Change, contained};
use telemark_sdk::logs::{Exception, SdkLogRecord, SdkLogger};
use telemark_sdk::time::{Clock, Timestamp};
use telemark_sdk::trace::ExceptionSignal;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::fields::EventFields;
use super::handlers::Handler;
use crate::data;
use crate::layer::change;
use crate::options::Options;
use crate::sites::{self, Site, severity};

/// Records an event.
pub(crate) fn record<S>(event: &Event<'_>, ctx: &Context<'_, S>, layer: usize, options: &Options)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if bridge::is_sdk_thread() {
        return;
    }
    let site = sites::site(event.metadata());
    if site.is_of_client && sites::may_loop(true, &bridge::current_context()) {
        return;
    }
    let handler = options.handlers.find(event.metadata().target());
    if let Some(handler) = handler.filter(|_| options.keeps_spans(site, event.metadata())) {
        handle(event, handler, ctx, layer);
    }
    let is_error = options.errors && *event.metadata().level() == Level::ERROR;
    let others = handler.is_none() && options.may_concern_spans(site.level) && options.keeps_for_spans(site, event);
    // The layer's own filter does not tell records and spans apart.
    let is_replaced = handler.is_some() && options.filter.is_some();
    let keeps_record = options.log_records && !is_replaced && options.keeps_records(site, event);
    if keeps_record && !others && event.is_contextual() && options.span_fields.is_empty() {
        site.logger.with(|logger| record_only(event, site, logger));
        return;
    }
    let mut record = None;
    if keeps_record {
        record = site.logger.with(|logger| begin(logger, site, event)).flatten();
    }
    if record.is_none() && (!others || bridge::is_suppressed()) {
        return;
    }
    let (is_error, span_events) = (is_error && others, options.span_events && others);
    // The innermost `tracing` span, and the event's context, which may come from any library.
    let needs_span = is_error || !event.is_contextual() || !options.span_fields.is_empty();
    let span = if needs_span { ctx.event_span(event).and_then(|span| data::nearest(&span, layer)) } else { None };
    let of_span = span.as_ref().and_then(|span| data::context(span, layer));
    let context = if event.is_contextual() { bridge::current_context() } else { of_span.clone().unwrap_or_default() };
    let is_recording = bridge::is_recording(&context);
    // An event sets the error status only on `tracing` spans, because other libraries have their own rules.
    let fails = is_error && is_recording && of_span.is_some_and(|of_span| is_same(&of_span, &context));
    let is_span_event = span_events && is_recording;
    if record.is_none() && !fails && !is_span_event {
        return;
    }
    let started = record.as_ref().and_then(SdkLogRecord::timestamp);
    let now = started.or_else(bridge::now).unwrap_or_else(|| Clock::system().now());
    let mut fields = EventFields::new(site, record.as_mut(), is_span_event.then(Vec::new));
    contained(|| event.record(&mut fields));
    let is_of_client = fields.log_target.as_deref().is_some_and(sites::is_of_client);
    if sites::may_loop(is_of_client, &context) {
        return;
    }
    // As from `#[instrument(err)]`.
    let has_only_error = fields.message.is_none() && fields.error.is_some();
    let signal = if has_only_error { bridge::exception_signal(&context) } else { ExceptionSignal::default() };
    let exception = fields.error.clone().filter(|_| fails && has_only_error);
    // `None` if the exception was recorded where it first appeared.
    let kind = exception.as_deref().and_then(|message| bridge::note_exception(&context, message));
    if fails || is_span_event {
        let appears = kind.is_some() && signal.has_span_events();
        let changes = changes(event, &mut fields, exception.as_deref(), fails, appears, now);
        apply(changes, span.as_ref().filter(|_| fails), layer, &context);
    }
    if let Some(own) = fields.record.take() {
        if signal.has_log_records() && (kind.is_some() || exception.is_none()) {
            own.set_event_name("exception");
        }
        complete(own, site, fields);
        if let Some(span) = &span {
            copy_span_fields(own, span, options);
        }
        site.logger.with(|logger| record.take().map(|record| logger.emit_in(record, &context)));
    } else if let (Some(message), Some(kind), true) = (exception, kind, signal.has_log_records()) {
        bridge::log_exception(message, site.scope(), kind, &context);
    }
}

/// Lets a handler record an event, in the event's context.
fn handle<S>(event: &Event<'_>, handler: &Handler, ctx: &Context<'_, S>, layer: usize)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if bridge::is_suppressed() {
        return;
    }
    let mut explicit = None;
    if !event.is_contextual() {
        let span = ctx.event_span(event).and_then(|span| data::nearest(&span, layer));
        explicit = bridge::attach(&span.and_then(|span| data::context(&span, layer)).unwrap_or_default());
    }
    contained(|| handler(event));
    explicit.into_iter().for_each(bridge::detach);
}

/// Records an event that becomes a log record of the current context and has no other effect, which most events do.
fn record_only(event: &Event<'_>, site: &'static Site, logger: &SdkLogger) {
    // The record stays in its place, because it is large.
    let mut slot = begin(logger, site, event);
    if slot.is_none() {
        return;
    }
    let mut fields = EventFields::new(site, slot.as_mut(), None);
    contained(|| event.record(&mut fields));
    let is_of_client = fields.log_target.as_deref().is_some_and(sites::is_of_client);
    if is_of_client && sites::may_loop(true, &bridge::current_context()) {
        return;
    }
    let has_only_error = fields.message.is_none() && fields.error.is_some();
    let Some(record) = fields.record.take() else { return };
    if has_only_error && bridge::exception_signal(&bridge::current_context()).has_log_records() {
        record.set_event_name("exception");
    }
    complete(record, site, fields);
    logger.emit_begun(&mut slot);
}

/// Returns an empty record if the logger accepts this severity.
#[inline]
fn begin(logger: &SdkLogger, site: &'static Site, event: &Event<'_>) -> Option<SdkLogRecord> {
    let (severity, target, name) = (severity(*event.metadata().level()), event.metadata().target(), site.event_name);
    logger.begin_at(site.log_site.as_ref(), severity, target, name, event.is_contextual())
}

/// Sets what does not come from the attributes.
#[inline]
fn complete(record: &mut SdkLogRecord, site: &'static Site, fields: EventFields<'_>) {
    record.set_severity_number(severity(site.level));
    record.set_severity_text(site.level.as_str());
    if let Some(name) = site.event_name {
        record.set_event_name(name);
    }
    if let Some(target) = fields.log_target {
        record.set_target(target);
    }
    match (fields.message, fields.error) {
        (Some(message), _) => record.set_body(message.into()),
        // An event that contains only an error, such as the one from `#[instrument(err)]`.
        (None, Some(error)) => {
            record.set_exception(&Exception::new("", error.clone()));
            record.set_body(error.into());
        }
        (None, None) => {}
    }
}

/// Copies the configured fields from the spans around the event. The event's own fields take precedence, followed by those of
/// the innermost span.
fn copy_span_fields<'a, R: LookupSpan<'a>>(record: &mut SdkLogRecord, span: &SpanRef<'a, R>, options: &Options) {
    if options.span_fields.is_empty() {
        return;
    }
    for span in span.scope() {
        let Some(data) = data::any(&span) else { continue };
        data.for_records(|key, value| {
            if record.attribute(key).is_none() {
                record.add_attribute(key, value.clone());
            }
        });
    }
}

fn changes(
    event: &Event<'_>,
    fields: &mut EventFields<'_>,
    exception: Option<&str>,
    fails: bool,
    appears: bool,
    now: Timestamp,
) -> Vec<Change> {
    let mut changes = Vec::new();
    if fails {
        changes.push(exception.map_or(Change::Fail, |error| Change::Status(Status::error(error.to_owned()))));
    }
    let exception = exception.filter(|_| appears);
    if let Some(own) = fields.attributes.take() {
        changes.push(span_event(event, fields, own, exception, now));
    } else if let Some(error) = exception {
        let attributes = vec![KeyValue::new("exception.message", error.to_owned())];
        changes.push(Change::Event { name: Cow::Borrowed("exception"), time: now, attributes });
    }
    changes
}

fn span_event(
    event: &Event<'_>,
    fields: &EventFields<'_>,
    own: Vec<KeyValue>,
    exception: Option<&str>,
    time: Timestamp,
) -> Change {
    let metadata = event.metadata();
    let mut attributes = Vec::with_capacity(own.len() + 3);
    attributes.push(KeyValue::new("level", metadata.level().as_str()));
    attributes.push(match &fields.log_target {
        Some(target) => KeyValue::new("target", target.clone()),
        None => KeyValue::new("target", metadata.target()),
    });
    attributes.extend(own);
    let name = match (exception, &fields.message) {
        (Some(error), _) => {
            attributes.push(KeyValue::new("exception.message", error.to_owned()));
            Cow::Borrowed("exception")
        }
        (None, Some(message)) => Cow::Owned(message.as_str().to_owned()),
        (None, None) => Cow::Borrowed(metadata.name()),
    };
    Change::Event { name, time, attributes }
}

fn apply<'a, R: LookupSpan<'a>>(
    changes: Vec<Change>,
    span: Option<&SpanRef<'a, R>>,
    layer: usize,
    context: &OtelContext,
) {
    match span {
        Some(span) => change(span, layer, changes),
        None => changes.into_iter().for_each(|change| change.apply(context)),
    }
}

fn is_same(a: &OtelContext, b: &OtelContext) -> bool {
    let (a, b) = (a.span(), b.span());
    let (a, b) = (a.span_context(), b.span_context());
    a.span_id() == b.span_id() && a.trace_id() == b.trace_id()
}
