//! Exceptions as log records: describes an error with the same rules as for a span, and writes the exceptions of spans.

use opentelemetry::Context;
use opentelemetry::logs::{LogRecord, Logger, Severity};
use opentelemetry::trace::SpanKind;

use super::shield::shielded;
use super::spans::RecordError;
use crate::logs::{Exception, active};
use crate::trace::exceptions::Appeared;

impl Exception {
    /// Describes an error: its type, and its message with those of its causes.
    pub fn for_error<Kind>(error: &(impl RecordError<Kind> + ?Sized)) -> Self {
        let (message, error_type) = error.described();
        Exception::new(error_type, &*message)
    }
}

/// Writes a log record for an exception that has appeared on the span of `context`. Drops it while there is no provider of
/// logs.
///
/// spec: semconv exceptions/exceptions-logs.md
#[cold]
pub(super) fn write(appeared: Appeared, context: &Context) {
    shielded(|| {
        let Some(provider) = active::provider(context) else { return };
        let logger = provider.logger_in(appeared.scope);
        let mut record = logger.create_log_record();
        record.set_event_name("exception");
        let severity = severity(&appeared.kind);
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        record.set_exception(&Exception::new(appeared.exception_type, appeared.message));
        logger.emit_in(record, context);
    });
}

/// The caller of a client or a producer handles the exception.
fn severity(kind: &SpanKind) -> Severity {
    match kind {
        SpanKind::Client | SpanKind::Producer => Severity::Warn,
        SpanKind::Server | SpanKind::Consumer | SpanKind::Internal => Severity::Error,
    }
}
