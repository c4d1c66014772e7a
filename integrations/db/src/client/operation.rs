//! One call of a database: its context, its measurement, and the only place where both end.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, StringValue};
use telemark_kit::{guarded, keys};

use super::call::{Call, Facts};
use super::database::Database;
use super::instrumentation::DbClientInstrumentation;
use super::metrics::{CallInstruments, CallKey, extend};

/// The end of a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum End<'a> {
    /// The call succeeded.
    Completed,
    /// The call failed.
    Failed(Failure<'a>),
    /// The caller lost interest before the end: it dropped a future or a stream of rows.
    Cancelled,
}

/// The reason why a call failed.
#[derive(Clone, Debug)]
pub struct Failure<'a> {
    code: Option<Cow<'a, str>>,
    error_type: &'static str,
    description: &'static str,
    message: Option<Cow<'a, str>>,
}

impl<'a> Failure<'a> {
    /// Describes a failure by its type, with few distinct values. `description` must not contain values of the statement.
    pub fn new(error_type: &'static str, description: &'static str) -> Self {
        Failure { code: None, error_type, description, message: None }
    }

    /// Sets the code with which the database responded. It also replaces the type as `error.type`.
    pub fn with_code(mut self, code: impl Into<Cow<'a, str>>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Sets the message of the database, which is recorded only with
    /// [`ClientConfig::with_error_messages`](crate::ClientConfig::with_error_messages).
    pub fn with_message(mut self, message: impl Into<Cow<'a, str>>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// An active call: its span and its measurement.
///
/// Both end exactly once: with the first [`Operation::end`], or as [`End::Cancelled`] if this value is dropped first.
pub struct Operation {
    instrumentation: DbClientInstrumentation,
    database: Database,
    context: Context,
    started: SystemTime,
    is_recording: bool,
    facts: Facts,
    collection: Option<StringValue>,
    procedure: Option<StringValue>,
    rows: u64,
    has_ended: bool,
}

impl Operation {
    pub(super) fn new(
        instrumentation: DbClientInstrumentation,
        database: Database,
        context: Context,
        started: SystemTime,
        is_recording: bool,
        facts: Facts,
        call: Call<'_>,
    ) -> Self {
        let Call { collection, procedure, .. } = call;
        Operation {
            instrumentation,
            database,
            context,
            started,
            is_recording,
            facts,
            collection,
            procedure,
            rows: 0,
            has_ended: false,
        }
    }

    /// Returns the context with the span. Attach it while the driver works, but never across an await.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Counts rows that the database has returned.
    #[inline]
    pub fn add_rows(&mut self, rows: u64) {
        self.rows = self.rows.saturating_add(rows);
    }

    /// Ends the span and records the metrics. Only the first call has an effect.
    pub fn end(&mut self, end: End<'_>) {
        if !self.has_ended {
            // The clock is user code, and the thread may be unwinding.
            self.end_at(end, guarded(|| self.instrumentation.now()).unwrap_or(self.started));
        }
    }

    /// Does the same for a call that has ended before now. An end before the start counts as the start.
    pub fn end_at(&mut self, end: End<'_>, ended: SystemTime) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let ended = ended.max(self.started);
        // The meter and span processors are user code.
        guarded(|| self.record_metrics(&end, ended));
        if self.is_recording {
            guarded(|| self.record_span(&end, ended));
        }
    }

    fn record_metrics(&self, end: &End<'_>, ended: SystemTime) {
        let Some(instruments) = self.instrumentation.calls() else { return };
        // Exemplars lead to the current span.
        let _current = self.is_recording.then(|| self.context.clone().attach());
        let key = match end {
            End::Completed => {
                self.static_name().zip(self.database.id()).map(|(name, database)| CallKey::new(database, name))
            }
            _ => None,
        };
        // Calls with these attributes are not told apart by the key.
        let key = key.filter(|_| self.collection.is_none() && self.procedure.is_none());
        instruments.sets.with(
            key,
            || self.metric_attributes(end),
            |attributes| self.measure(instruments, ended, attributes),
        );
    }

    fn measure(&self, instruments: &CallInstruments, ended: SystemTime, attributes: &[KeyValue]) {
        let choice = self.instrumentation.config().metrics;
        if choice.duration {
            let passed = ended.duration_since(self.started).unwrap_or_default();
            guarded(|| instruments.duration.record(passed.as_secs_f64(), attributes));
        }
        let is_query = self.facts.statement.as_ref().is_some_and(|statement| statement.is_query);
        if choice.returned_rows && (is_query || self.rows > 0) {
            guarded(|| instruments.returned_rows.record(self.rows, attributes));
        }
    }

    fn static_name(&self) -> Option<&'static str> {
        match (&self.facts.statement, self.facts.operation) {
            (_, Some(operation)) => Some(operation),
            (Some(statement), None) => match &statement.summary {
                Some(Cow::Borrowed(summary)) => Some(summary),
                Some(Cow::Owned(_)) => None,
                None => Some(""),
            },
            (None, None) => None,
        }
    }

    // spec: db/database-metrics.md#metric-dbclientoperationduration
    fn metric_attributes(&self, end: &End<'_>) -> Vec<KeyValue> {
        let mut list = self.database.attributes().to_vec();
        extend(&mut list, keys::DB_OPERATION_NAME, self.facts.operation);
        let target = self.collection.as_ref().or(self.procedure.as_ref());
        extend(&mut list, keys::DB_QUERY_SUMMARY, self.facts.summary(target));
        extend(&mut list, keys::DB_COLLECTION_NAME, self.collection.clone());
        extend(&mut list, keys::DB_STORED_PROCEDURE_NAME, self.procedure.clone());
        self.error_attributes(end, &mut list);
        list
    }

    fn error_attributes(&self, end: &End<'_>, list: &mut Vec<KeyValue>) {
        let End::Failed(failure) = end else { return };
        let code = failure.code.as_deref().map(|code| StringValue::from(code.to_owned()));
        extend(list, keys::DB_RESPONSE_STATUS_CODE, code.clone());
        let is_failure = failure.code.as_deref().is_none_or(|code| self.database.system().is_failure(code));
        if is_failure {
            list.push(KeyValue::new(keys::ERROR_TYPE, code.unwrap_or_else(|| failure.error_type.into())));
        }
    }

    fn record_span(&self, end: &End<'_>, ended: SystemTime) {
        let span = self.context.span();
        let mut list = Vec::new();
        self.error_attributes(end, &mut list);
        match end {
            End::Completed => {}
            End::Failed(failure) => {
                if list.iter().any(|attribute| attribute.key.as_str() == keys::ERROR_TYPE) {
                    let message = failure.message.as_deref();
                    let message = message.filter(|_| self.instrumentation.config().error_messages());
                    let description = telemark_kit::BoundedText::new(message.unwrap_or(failure.description)).text;
                    span.set_status(Status::error(description));
                }
            }
            End::Cancelled => list.push(KeyValue::new(keys::TELEMARK_OUTCOME, "cancelled")),
        }
        if self.instrumentation.config().returned_rows {
            extend(&mut list, keys::DB_RESPONSE_RETURNED_ROWS, i64::try_from(self.rows).ok());
        }
        if !list.is_empty() {
            span.set_attributes(list);
        }
        span.end_with_timestamp(ended);
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { database, rows, has_ended, .. } = self;
        f.debug_struct("Operation")
            .field("database", database)
            .field("rows", rows)
            .field("has_ended", has_ended)
            .finish_non_exhaustive()
    }
}
