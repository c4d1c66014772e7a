//! Records errors on spans without overwriting the program's own status and attributes, although the API's `SpanRef`
//! cannot read them.
//!
//! The decision is therefore left to the span. Because the API has no suitable method, the error is passed in a
//! thread-local while the span's status is being set to unset, which otherwise has no effect.

use std::cell::Cell;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanRef, Status};

use super::span::Recording;
use crate::attributes;

const ERROR_TYPE: &str = "error.type";

/// An error to be recorded on a span.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The description for the status. Empty if there is none.
    pub(crate) description: String,
    pub(crate) error_type: &'static str,
    pub(crate) source: Source,
}

/// How an error reached the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The traced function returned the error. Does not replace anything on the span.
    Returned,
    /// The program recorded the error explicitly. Replaces an earlier error, but not an `error.type` set by the
    /// program.
    Recorded,
}

/// Records an error on a span without replacing a status or an `error.type` that the program has set.
#[doc(hidden)]
pub fn record_error_beside(span: &SpanRef<'_>, error_type: &'static str, description: &'static str) {
    Failure { description: description.to_owned(), error_type, source: Source::Returned }.tell(span);
}

thread_local!(static TOLD: Cell<Option<Failure>> = const { Cell::new(None) });

impl Failure {
    /// Records the error on a span. If the span belongs to another SDK, replaces its status and `error.type`.
    pub(crate) fn tell(self, span: &SpanRef<'_>) {
        let mut failure = Some(self);
        let _ = TOLD.try_with(|told| told.set(failure.take()));
        span.set_status(Status::Unset);
        // The error is still there if the span belongs to another SDK or has ended.
        if let Some(Failure { description, error_type, .. }) = failure.or_else(Failure::told) {
            span.set_attribute(KeyValue::new(ERROR_TYPE, error_type));
            span.set_status(Status::error(description));
        }
    }

    /// Takes the error that is being passed to a span on this thread.
    pub(super) fn told() -> Option<Failure> {
        TOLD.try_with(Cell::take).ok().flatten()
    }

    /// spec: trace/api.md#set-status — the status ok is final, and such a span does not show any error.
    pub(super) fn apply(self, recording: &mut Recording) {
        let (record, limits) = (&mut *recording.data, recording.provider.limits.attributes);
        if record.status == Status::Ok {
            return;
        }
        let says = record.own_attributes.iter().find(|attribute| attribute.key.as_str() == ERROR_TYPE);
        let says = says.map(|attribute| attribute.value.as_str());
        let stays = match (self.source, says, recording.recorded_error) {
            (_, None, _) => false,
            (Source::Recorded, Some(says), Some(recorded)) => says != recorded,
            (Source::Returned, Some(_), _) | (Source::Recorded, Some(_), None) => true,
        };
        if !stays {
            let attribute = KeyValue::new(ERROR_TYPE, self.error_type);
            attributes::set(&mut record.own_attributes, &mut record.dropped_attributes, attribute, limits);
            if self.source == Source::Recorded {
                recording.recorded_error = Some(self.error_type);
            }
        }
        let is_described = matches!(&record.status, Status::Error { description } if !description.is_empty());
        if !(is_described && self.source == Source::Returned) {
            record.status = Status::error(self.description);
        }
    }
}
