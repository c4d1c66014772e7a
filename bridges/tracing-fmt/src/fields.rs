//! The fields of events and spans.

use std::error::Error;
use std::fmt::{self, Write};

use telemark_sdk::error::catch;
use tracing_core::field::{Field, Visit};

use crate::line::Line;
use crate::value::Value;

/// Passes each field of an event, except for the message, to a function.
pub(crate) struct Each<F> {
    put: F,
    skips_log: bool,
}

impl<F: FnMut(&'static str, Value<'_>)> Each<F> {
    /// If `skips_log` is set, skips the fields that contain the origin of a record from the `log` crate.
    pub(crate) fn new(skips_log: bool, put: F) -> Self {
        Each { put, skips_log }
    }

    #[inline]
    fn field(&mut self, field: &Field, value: Value<'_>) {
        let name = field.name();
        if name != MESSAGE && !(self.skips_log && name.starts_with("log.")) {
            (self.put)(name.strip_prefix("r#").unwrap_or(name), value);
        }
    }
}

/// The name of the field that holds the message.
const MESSAGE: &str = "message";

/// Implements a visitor's typed methods in terms of its method `field`.
macro_rules! visit_values {
    () => {
        #[inline]
        fn record_i64(&mut self, field: &Field, number: i64) {
            self.field(field, Value::Integer(number));
        }

        #[inline]
        fn record_u64(&mut self, field: &Field, number: u64) {
            match i64::try_from(number) {
                Ok(number) => self.field(field, Value::Integer(number)),
                Err(_) => self.field(field, Value::Wide(&number)),
            }
        }

        fn record_i128(&mut self, field: &Field, number: i128) {
            match i64::try_from(number) {
                Ok(number) => self.field(field, Value::Integer(number)),
                Err(_) => self.field(field, Value::Wide(&number)),
            }
        }

        fn record_u128(&mut self, field: &Field, number: u128) {
            match i64::try_from(number) {
                Ok(number) => self.field(field, Value::Integer(number)),
                Err(_) => self.field(field, Value::Wide(&number)),
            }
        }

        fn record_f64(&mut self, field: &Field, number: f64) {
            self.field(field, Value::Float(number));
        }

        fn record_bool(&mut self, field: &Field, value: bool) {
            self.field(field, Value::Boolean(value));
        }

        #[inline]
        fn record_str(&mut self, field: &Field, text: &str) {
            self.field(field, Value::Text(text));
        }

        fn record_bytes(&mut self, field: &Field, bytes: &[u8]) {
            self.field(field, Value::Bytes(bytes));
        }

        fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
            self.field(field, Value::Error(error));
        }

        #[inline]
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.field(field, Value::Formatted(value));
        }
    };
}

impl<F: FnMut(&'static str, Value<'_>)> Visit for Each<F> {
    visit_values!();
}

/// Passes an event's message to a function.
pub(crate) struct Message<F>(pub(crate) F);

impl<F: FnMut(Value<'_>)> Message<F> {
    #[inline]
    fn field(&mut self, field: &Field, value: Value<'_>) {
        if field.name() == MESSAGE {
            (self.0)(value);
        }
    }
}

impl<F: FnMut(Value<'_>)> Visit for Message<F> {
    visit_values!();
}

/// Passes an event's field `error` to a function.
pub(crate) struct ErrorField<F>(pub(crate) F);

impl<F: FnMut(Value<'_>)> ErrorField<F> {
    fn field(&mut self, field: &Field, value: Value<'_>) {
        if field.name() == "error" {
            (self.0)(value);
        }
    }
}

impl<F: FnMut(Value<'_>)> Visit for ErrorField<F> {
    visit_values!();
}

/// Reads the target of a record from the `log` crate, which `tracing-log` stores in a field.
#[derive(Debug, Default)]
pub(crate) struct LogTarget(pub(crate) String);

impl Visit for LogTarget {
    fn record_str(&mut self, field: &Field, text: &str) {
        if field.name() == "log.target" {
            text.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// The fields of a span, including those recorded after its start.
#[derive(Debug, Default)]
pub(crate) struct SpanFields {
    fields: Vec<(&'static str, Stored)>,
}

/// The value of a span field.
#[derive(Debug)]
enum Stored {
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Text(Bounded),
}

impl SpanFields {
    /// Adds the fields from `later`, replacing previously recorded values.
    pub(crate) fn merge(&mut self, later: SpanFields) {
        for (name, value) in later.fields {
            match self.fields.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => self.fields.push((name, value)),
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Calls `put` for each field, without running any of the program's code. Marks the line if a value has been
    /// truncated.
    pub(crate) fn write(&self, line: &mut Line, mut put: impl FnMut(&mut Line, &'static str, Value<'_>)) {
        for (name, value) in &self.fields {
            match value {
                Stored::Integer(number) => put(line, name, Value::Integer(*number)),
                Stored::Float(number) => put(line, name, Value::Float(*number)),
                Stored::Boolean(value) => put(line, name, Value::Boolean(*value)),
                Stored::Text(text) => {
                    put(line, name, Value::Text(&text.text));
                    if text.is_cut {
                        line.set_cut();
                    }
                }
            }
        }
    }

    fn field(&mut self, field: &Field, value: Value<'_>) {
        // These set the name, the kind and the status of the span.
        if field.name().starts_with("otel.") {
            return;
        }
        let stored = match value {
            Value::Integer(number) => Stored::Integer(number),
            Value::Float(number) => Stored::Float(number),
            Value::Boolean(value) => Stored::Boolean(value),
            other => Stored::Text(Bounded::of(other)),
        };
        let name = field.name();
        self.fields.push((name.strip_prefix("r#").unwrap_or(name), stored));
    }
}

impl Visit for SpanFields {
    visit_values!();
}

/// The maximum size of stored text in bytes.
const MAX_STORED: usize = 4096;

/// Text stored with a span.
#[derive(Debug, Default)]
struct Bounded {
    text: String,
    is_cut: bool,
}

impl Bounded {
    fn of(value: Value<'_>) -> Self {
        let mut bounded = Bounded::default();
        // An error means either that the text is full or that a foreign `Display` failed. The text written before the
        // error is kept.
        if catch(|| value.write_plain(&mut bounded)).is_err() {
            bounded.text.clear();
            bounded.text.push_str("<panicked>");
        }
        bounded
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        let mut end = text.len().min(MAX_STORED - self.text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.push_str(&text[..end]);
        self.is_cut = end < text.len();
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}
