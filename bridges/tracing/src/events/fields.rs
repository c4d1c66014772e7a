//! Event fields, as attributes of a log record, a span event, or both.

use std::error::Error;
use std::fmt::Debug;

use opentelemetry::logs::{AnyValue, LogRecord};
use opentelemetry::{KeyValue, Value};
use telemark_sdk::instrument::bridge::describe;
use telemark_sdk::logs::{Exception, SdkLogRecord};
use tracing::field::{Field, Visit};

use crate::fields::{hexadecimal, text};

/// Collects the fields of an event.
#[derive(Debug, Default)]
pub(crate) struct EventFields<'a> {
    /// The log record, if the event becomes one.
    pub(crate) record: Option<&'a mut SdkLogRecord>,
    /// The attributes of the span event, if the event becomes one.
    pub(crate) attributes: Option<Vec<KeyValue>>,
    pub(crate) message: Option<String>,
    /// The messages of an error and its causes, from a field that is an error or is called `error`.
    pub(crate) error: Option<String>,
    /// The target of a record from the `log` crate.
    pub(crate) log_target: Option<String>,
}

impl EventFields<'_> {
    #[inline]
    fn push(&mut self, field: &Field, value: impl Into<AnyValue>) {
        self.push_as(field.name(), value);
    }

    #[inline]
    fn push_as(&mut self, name: &'static str, value: impl Into<AnyValue>) {
        let value = value.into();
        if let Some(attributes) = &mut self.attributes {
            attributes.push(KeyValue::new(name, attribute(value.clone())));
        }
        if let Some(record) = &mut self.record {
            record.add_attribute(name, value);
        }
    }

    fn push_text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = Some(text),
            "log.target" => self.log_target = Some(text),
            "log.module_path" => {}
            "log.file" => self.push_as("code.file.path", text),
            "error" => {
                self.error = Some(text.clone());
                self.push(field, text);
            }
            _ => self.push(field, text),
        }
    }
}

/// Converts a value for a span event.
fn attribute(value: AnyValue) -> Value {
    match value {
        AnyValue::Int(value) => value.into(),
        AnyValue::Double(value) => value.into(),
        AnyValue::Boolean(value) => value.into(),
        AnyValue::String(value) => value.into(),
        AnyValue::Bytes(value) => hexadecimal(&value).into(),
        other => format!("{other:?}").into(),
    }
}

/// Returns an integer if the value fits, otherwise text.
#[inline]
fn integer<N: TryInto<i64> + Copy + ToString>(value: N) -> AnyValue {
    value.try_into().map_or_else(|_| value.to_string().into(), AnyValue::Int)
}

impl Visit for EventFields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "log.line" => self.push_as("code.line.number", integer(value)),
            name => self.push_as(name, integer(value)),
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.push(field, integer(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.push(field, integer(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push_text(field, value.to_owned());
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.push(field, AnyValue::Bytes(Box::new(value.to_owned())));
    }

    /// spec: semconv exceptions/exceptions-logs.md — the causes are part of the message, not a stack trace.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let described = describe(value);
        if let Some(record) = &mut self.record {
            record.set_exception(&Exception::new("", described.clone()));
        }
        self.error = Some(described);
        let text = text(&format_args!("{value}"));
        self.push(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push_text(field, text(value));
    }
}
