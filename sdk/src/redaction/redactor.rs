//! The seam for code that hides values before any exporter sees them.

use std::borrow::Cow;
use std::fmt;

use opentelemetry::Value;
use opentelemetry::logs::AnyValue;

/// Hides values in everything that leaves the process: `telemark_redaction::Redaction` implements it with rules and presets, and
/// [`TelemetryBuilder::with_redaction`](crate::install::TelemetryBuilder::with_redaction) takes it.
///
/// ```
/// use std::borrow::Cow;
/// use opentelemetry::{Value, logs::AnyValue};
/// use telemark_sdk::config::Env;
/// use telemark_sdk::install::Telemetry;
/// use telemark_sdk::redaction::Redactor;
///
/// /// Removes every attribute whose key ends in `.secret`.
/// #[derive(Debug)]
/// struct NoSecrets;
///
/// impl Redactor for NoSecrets {
///     fn attribute(&self, key: &str, _: &mut Value) -> bool {
///         !key.ends_with(".secret")
///     }
///
///     fn log_value(&self, key: &str, _: &mut AnyValue) -> bool {
///         !key.ends_with(".secret")
///     }
///
///     fn text(&self, _: &str) -> Option<String> {
///         None
///     }
/// }
///
/// let builder = Telemetry::builder(Env::process()).with_redaction(NoSecrets);
/// # drop(builder);
/// ```
///
/// Spans and log records are redacted on the threads of the [stages](crate::batch::Stage), before all stages that code adds. An item
/// whose redaction panics is dropped and counted like that of a stage. Attributes of metrics are redacted on the thread that measures,
/// when it meets a list of attributes that it does not know yet, and when a measurement becomes an exemplar; a list whose redaction
/// panics becomes an empty one. The attributes of the resource and of scopes are redacted once.
///
/// A redactor must not block and should not keep a lock: several threads call it, also in a forked child. Telemetry that it records
/// while it redacts a list of attributes has no attributes.
pub trait Redactor: fmt::Debug + Send + Sync + 'static {
    /// Edits the value of an attribute of a span, an event, a link, a metric, a resource or a scope. Returns false to remove the
    /// attribute.
    fn attribute(&self, key: &str, value: &mut Value) -> bool;

    /// Edits the value of an attribute of a log record or, with an empty key, its body. Returns false to remove it.
    fn log_value(&self, key: &str, value: &mut AnyValue) -> bool;

    /// Returns another text for the name of a span or of one of its events, or for the description of a status. `None` leaves the text as
    /// it is.
    fn text(&self, text: &str) -> Option<String>;

    /// Returns the number of values in which each rule has hidden something so far, for [`Health`](crate::install::Health) and the SDK's
    /// own metrics. By default, nothing is counted.
    fn hidden(&self) -> Vec<(Cow<'static, str>, u64)> {
        Vec::new()
    }
}
