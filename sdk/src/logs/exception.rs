//! An error as attributes of a log record.

use std::borrow::Cow;

use opentelemetry::logs::AnyValue;

/// An error to record with [`SdkLogger::emit_exception`](super::SdkLogger::emit_exception).
///
/// ```
/// use telemark_sdk::logs::Exception;
///
/// let error = "x".parse::<u8>().unwrap_err();
/// let exception = Exception::for_error(&error);
/// assert_eq!(exception.message(), "invalid digit found in string");
/// ```
///
/// spec: semconv exceptions/exceptions-logs.md
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    exception_type: Cow<'static, str>,
    message: String,
    stacktrace: Option<String>,
}

impl Exception {
    /// Creates an exception with this type, a path such as `shop::Error`, and message. Either may be empty.
    pub fn new(exception_type: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Exception { exception_type: exception_type.into(), message: message.into(), stacktrace: None }
    }

    /// Sets the stack trace, such as a captured [`Backtrace`](std::backtrace::Backtrace) as text. The causes of an error are
    /// not a stack trace; they are part of the message.
    pub fn with_stacktrace(mut self, stacktrace: impl Into<String>) -> Self {
        self.stacktrace = Some(stacktrace.into());
        self
    }

    /// Returns the type.
    pub fn exception_type(&self) -> &str {
        &self.exception_type
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the attributes, without empty ones.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'static str, AnyValue)> {
        let text = |text: &str| Some(AnyValue::from(text.to_owned())).filter(|_| !text.is_empty());
        let attributes = [
            ("exception.type", text(&self.exception_type)),
            ("exception.message", text(&self.message)),
            ("exception.stacktrace", text(self.stacktrace.as_deref().unwrap_or_default())),
        ];
        attributes.into_iter().filter_map(|(key, value)| Some((key, value?)))
    }
}
