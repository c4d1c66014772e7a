//! Renders an event as a line.

use opentelemetry::trace::SpanContext;
use telemark_sdk::instrument::spans::current_span_context;
use telemark_sdk::time::Timestamp;
use tracing_core::{Event, Level, Metadata};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::fields::{Each, ErrorField, LogTarget, Message, SpanFields};
use crate::format::{Format, TRUNCATED};
use crate::layer::IdsOfSpan;
use crate::line::{Escape, Line};
use crate::resource::ResourceKeys;
use crate::value::Value;

/// The properties shared by all lines from a layer.
pub(crate) struct Style<'a> {
    pub(crate) format: Format,
    pub(crate) keys: &'a ResourceKeys,
    /// The rendered resource attributes.
    pub(crate) resource: &'a str,
    pub(crate) has_span_fields: bool,
    pub(crate) has_code_location: bool,
    pub(crate) is_colored: bool,
    pub(crate) ids: Option<IdsOfSpan>,
}

impl Style<'_> {
    /// Writes the line for `event`, including its newline.
    pub(crate) fn render<S>(&self, line: &mut Line, now: Timestamp, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: tracing_core::Subscriber + for<'l> LookupSpan<'l>,
    {
        let metadata = event.metadata();
        let is_of_log = metadata.target() == "log";
        let mut log_target = LogTarget::default();
        if is_of_log {
            event.record(&mut log_target);
        }
        let target = if log_target.0.is_empty() { metadata.target() } else { &log_target.0 };
        let ids = self.ids(event, context);
        match self.format {
            Format::Text => self.begin_text(line, now, metadata, target, event),
            Format::Ecs => self.begin_ecs(line, now, &ids, target, event),
            Format::Json | Format::JsonFlat => self.begin_json(line, now, &ids, target, event),
        }
        let mut is_first = self.format == Format::Json;
        if is_first {
            line.raw(",\"attributes\":{");
        }
        event.record(&mut Each::new(is_of_log, |name, value| self.field(line, &mut is_first, name, value)));
        if self.has_code_location && !is_of_log {
            self.code_location(line, &mut is_first, metadata);
        }
        if self.has_span_fields {
            for span in context.event_scope(event).into_iter().flatten() {
                let extensions = span.extensions();
                if let Some(fields) = extensions.get::<SpanFields>() {
                    fields.write(line, |line, name, value| self.field(line, &mut is_first, name, value));
                }
            }
        }
        self.end(line, &ids);
    }

    /// Returns the ids of the event's span: the nearest recorded one around an explicit parent, or else the current one.
    fn ids<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> SpanContext
    where
        S: tracing_core::Subscriber + for<'l> LookupSpan<'l>,
    {
        match self.ids {
            Some(ids) if !event.is_contextual() => {
                let mut spans = event.parent().and_then(|parent| context.span_scope(parent)).into_iter().flatten();
                spans.find_map(|span| ids(&span.extensions())).unwrap_or(SpanContext::NONE)
            }
            _ => current_span_context(),
        }
    }

    fn begin_json(&self, line: &mut Line, now: Timestamp, ids: &SpanContext, target: &str, event: &Event<'_>) {
        line.raw("{\"timestamp\":\"");
        crate::time::write(line, now);
        line.raw("\",\"severity\":\"");
        line.raw(severity(event.metadata().level()).trim_start());
        write_ids(line, ids, ["\",\"trace_id\":\"", "\",\"span_id\":\"", "\",\"trace_flags\":\""]);
        let scope = if self.format == Format::Json {
            if !self.resource.is_empty() {
                line.raw("\",\"resource\":{");
                line.raw(self.resource);
                line.raw("},\"scope\":{\"name\":\"");
            } else {
                line.raw("\",\"scope\":{\"name\":\"");
            }
            "\"},\"body\":"
        } else {
            line.raw("\",");
            self.flat_resource(line);
            line.raw("\"scope.name\":\"");
            "\",\"body\":"
        };
        line.text(target, Escape::Json);
        line.raw(scope);
        write_body(line, event);
    }

    fn begin_ecs(&self, line: &mut Line, now: Timestamp, ids: &SpanContext, target: &str, event: &Event<'_>) {
        line.raw("{\"@timestamp\":\"");
        crate::time::write(line, now);
        line.raw("\",\"log.level\":\"");
        line.raw(severity(event.metadata().level()).trim_start());
        line.raw("\",\"message\":");
        // The schema requires the message to be the third member, so reserve room for the members that follow it.
        let reserved = isize::try_from(self.resource.len() + target.len()).unwrap_or(isize::MAX).saturating_add(128);
        line.reserve(reserved);
        write_body(line, event);
        line.reserve(-reserved);
        line.raw(",\"ecs.version\":\"8.11.0");
        write_ids(line, ids, ["\",\"trace.id\":\"", "\",\"span.id\":\"", ""]);
        line.raw("\",");
        self.flat_resource(line);
        line.raw("\"log.logger\":\"");
        line.text(target, Escape::Json);
        line.raw("\"");
    }

    fn begin_text(&self, line: &mut Line, now: Timestamp, metadata: &Metadata<'_>, target: &str, event: &Event<'_>) {
        let [faint, level, end] = if self.is_colored { [FAINT, color(metadata.level()), PLAIN] } else { [""; 3] };
        line.raw(faint);
        crate::time::write(line, now);
        line.raw(end);
        line.raw(" ");
        line.raw(level);
        line.raw(severity(metadata.level()));
        line.raw(end);
        line.raw(" ");
        line.raw(faint);
        line.text(target, Escape::Text);
        line.raw(":");
        line.raw(end);
        line.reserve(IDS_OF_TEXT);
        event.record(&mut Message(|value: Value<'_>| {
            line.raw(" ");
            match value {
                Value::Text(text) => {
                    line.text(text, Escape::Text);
                }
                other => other.write_text(line),
            }
        }));
    }

    /// Appends the resource attributes, each followed by a comma.
    fn flat_resource(&self, line: &mut Line) {
        if !self.resource.is_empty() {
            line.raw(self.resource);
            line.raw(",");
        }
    }

    /// Appends a field unless the line already has one with the same name.
    fn field(&self, line: &mut Line, is_first: &mut bool, name: &str, value: Value<'_>) {
        let is_error = self.format == Format::Ecs && matches!(value, Value::Error(_));
        if !(is_error && self.member(line, is_first, "error.message", false, value)) {
            let is_taken = self.format.is_reserved(name)
                || (matches!(self.format, Format::JsonFlat | Format::Ecs) && self.keys.contain(self.format, name));
            self.member(line, is_first, name, is_taken, value);
        }
    }

    /// Appends a member. Returns false if the line already has one with the same name.
    fn member(&self, line: &mut Line, is_first: &mut bool, name: &str, is_taken: bool, value: Value<'_>) -> bool {
        let start = line.len();
        let is_text = self.format == Format::Text;
        line.raw(if is_text {
            " "
        } else if *is_first {
            "\""
        } else {
            ",\""
        });
        let key = line.len();
        let is_whole = self.key(line, name, is_taken);
        if !line.is_new_key(key) {
            line.take_back(start);
            return false;
        }
        line.raw(if is_text { "=" } else { "\":" });
        let has_room = is_whole && !line.is_beyond(0);
        match (has_room, is_text) {
            (false, _) => {}
            (true, true) => value.write_text(line),
            (true, false) => value.write_json(line),
        }
        // The closing quote of truncated text may exceed the limit.
        if !has_room || line.is_beyond(1) {
            line.take_back(start);
            line.set_cut();
            return true;
        }
        *is_first = false;
        true
    }

    /// Appends the name under which a field is written. Returns false if the name was truncated.
    fn key(&self, line: &mut Line, name: &str, is_taken: bool) -> bool {
        match self.format {
            Format::JsonFlat if is_taken => {
                line.raw("attributes.");
                line.text(name, Escape::Json)
            }
            Format::Ecs if is_taken || !name.contains('.') => {
                line.raw("labels.");
                let mut parts = name.split('.');
                let first = parts.next().unwrap_or_default();
                line.text(first, Escape::Json)
                    && parts.all(|part| {
                        line.raw("_");
                        line.text(part, Escape::Json)
                    })
            }
            Format::Text => line.text(name, Escape::Text),
            _ => line.text(name, Escape::Json),
        }
    }

    fn code_location(&self, line: &mut Line, is_first: &mut bool, metadata: &Metadata<'_>) {
        let names = match self.format {
            Format::Ecs => ["log.origin.file.name", "log.origin.file.line"],
            _ => ["code.file.path", "code.line.number"],
        };
        if let Some(path) = metadata.file() {
            self.member(line, is_first, names[0], false, Value::Text(path));
        }
        if let Some(number) = metadata.line() {
            self.member(line, is_first, names[1], false, Value::Integer(number.into()));
        }
    }

    fn end(&self, line: &mut Line, ids: &SpanContext) {
        if self.format == Format::Text {
            line.reserve(-IDS_OF_TEXT);
            write_ids(line, ids, [" trace_id=", " span_id=", ""]);
            line.raw(if line.is_cut() { " (truncated)\n" } else { "\n" });
            return;
        }
        if self.format == Format::Json {
            line.raw("}");
        }
        if line.is_cut() {
            line.raw(",\"");
            line.raw(TRUNCATED);
            line.raw("\":true");
        }
        line.raw("}\n");
    }
}

/// The room that the ids take at the end of a line in the text format.
const IDS_OF_TEXT: isize = 80;

/// Appends the ids of a span, each after its prefix, if there is a span. Leaves out the flags if their prefix is empty.
///
/// spec: compatibility/logging_trace_context.md
fn write_ids(line: &mut Line, span: &SpanContext, [trace_id, span_id, flags]: [&str; 3]) {
    if !span.is_valid() {
        return;
    }
    line.raw(trace_id);
    line.hex(span.trace_id().to_bytes());
    line.raw(span_id);
    line.hex(span.span_id().to_bytes());
    if !flags.is_empty() {
        line.raw(flags);
        line.hex([span.trace_flags().to_u8()]);
    }
}

/// Appends the event's message as a string, regardless of its type, because a body that is sometimes a number breaks an index
/// mapping. If there is no message, as from `#[instrument(err)]`, appends the error, or else an empty message, because pipelines
/// expect one.
fn write_body(line: &mut Line, event: &Event<'_>) {
    let start = line.len();
    event.record(&mut Message(|value: Value<'_>| {
        line.take_back(start);
        value.write_json_string(line);
    }));
    if line.len() == start {
        event.record(&mut ErrorField(|value: Value<'_>| {
            line.take_back(start);
            value.write_json_string(line);
        }));
    }
    if line.len() == start {
        line.raw("\"\"");
    }
}

const FAINT: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Returns the escape sequence for the colour of a level.
fn color(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// Returns the level's name, padded to five characters.
fn severity(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "ERROR",
        Level::WARN => " WARN",
        Level::INFO => " INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}
