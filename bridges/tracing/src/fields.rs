//! Span fields: their values as attributes, and fields with a special meaning.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Debug, Write as _};

use opentelemetry::logs::AnyValue;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use telemark_sdk::instrument::bridge::{Change, describe};
use telemark_sdk::time::Timestamp;
use tracing::field::{Field, Visit};

use crate::events::text;
use crate::sites::Site;

/// Collects the fields of a span into a list of attributes and a list of everything else.
pub(crate) struct SpanFields<'a> {
    pub(crate) attributes: &'a mut Vec<KeyValue>,
    pub(crate) special: &'a mut Option<Box<Special>>,
    pub(crate) has_special_fields: bool,
}

/// The span fields that are not attributes. Most spans have none.
#[derive(Debug, Default)]
pub(crate) struct Special {
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<SpanKind>,
    code: Option<Code>,
    description: Option<String>,
    /// The messages of errors.
    exceptions: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Ok,
    Error,
}

impl Special {
    /// Handles text in a field with a special meaning. Returns false if the field has no special meaning.
    fn take(&mut self, field: &str, text: &str) -> bool {
        match field {
            "otel.name" => self.name = Some(text.to_owned()),
            "otel.kind" => self.kind = kind(text).or(self.kind.take()),
            "otel.status_code" => {
                self.code = match text {
                    _ if text.eq_ignore_ascii_case("ok") => Some(Code::Ok),
                    _ if text.eq_ignore_ascii_case("error") => Some(Code::Error),
                    _ => self.code,
                };
            }
            "otel.status_description" | "otel.status_message" => self.description = Some(text.to_owned()),
            _ => return false,
        }
        true
    }

    /// Returns the status of a span that starts, if the fields set one.
    pub(crate) fn status(&mut self) -> Option<Status> {
        match (self.code.take(), self.description.take()) {
            (Some(Code::Ok), _) => Some(Status::Ok),
            (_, Some(description)) => Some(Status::error(description)),
            (Some(Code::Error), None) => Some(Status::error("")),
            (None, None) => None,
        }
    }

    /// Calls `apply` for each change of a span that has started. `now` is called if there is an exception.
    pub(crate) fn changes(mut self, site: &Site, now: impl Fn() -> Timestamp, mut apply: impl FnMut(Change)) {
        if let Some(name) = self.name.take() {
            apply(Change::Name(name.into()));
        }
        if let Some(kind) = self.kind.take() {
            apply(Change::Kind(kind));
        }
        // Keep the description that was recorded earlier.
        if self.code == Some(Code::Error) && self.description.is_none() {
            apply(Change::Fail);
        } else if let Some(status) = self.status() {
            apply(Change::Status(status));
        }
        for message in self.exceptions {
            apply(Change::Exception { message, time: now(), scope: site.scope() });
        }
    }

    /// Moves the exceptions out, for a span that is about to start.
    pub(crate) fn take_exceptions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.exceptions)
    }
}

fn kind(text: &str) -> Option<SpanKind> {
    let kinds = [
        ("internal", SpanKind::Internal),
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
    ];
    kinds.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, kind)| kind)
}

impl SpanFields<'_> {
    #[inline]
    fn push(&mut self, field: &Field, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }

    /// Handles text in a field with a special meaning. Returns false if the field has no special meaning.
    #[cold]
    fn take(&mut self, field: &Field, text: &str) -> bool {
        self.special.get_or_insert_default().take(field.name(), text)
    }
}

impl Visit for SpanFields<'_> {
    #[inline]
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, integer(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.push(field, integer(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.push(field, integer(value));
    }

    #[inline]
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        if !(self.has_special_fields && self.take(field, value)) {
            self.push(field, value.to_owned());
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.push(field, hexadecimal(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.special.get_or_insert_default().exceptions.push(describe(value));
        let text = text(&format_args!("{value}"));
        self.push(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = text(value);
        if !(self.has_special_fields && self.take(field, &text)) {
            self.push(field, text);
        }
    }
}

/// Returns an integer if the value fits, otherwise text.
#[inline]
pub(crate) fn integer<N: TryInto<i64> + Copy + ToString>(value: N) -> Value {
    value.try_into().map_or_else(|_| value.to_string().into(), Value::I64)
}

/// The API has no attribute value for bytes.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Collects the span fields to copy to log records.
pub(crate) struct ListedFields<'a> {
    pub(crate) names: &'a [Cow<'static, str>],
    pub(crate) found: Vec<(&'static str, AnyValue)>,
}

impl ListedFields<'_> {
    fn push(&mut self, field: &Field, value: impl FnOnce() -> AnyValue) {
        if self.names.iter().any(|name| name == field.name()) {
            self.found.push((field.name(), value()));
        }
    }
}

impl Visit for ListedFields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, || value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, || value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, || i64::try_from(value).map_or_else(|_| value.to_string().into(), AnyValue::Int));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, || value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, || value.to_owned().into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push(field, || text(value).into());
    }
}
