//! Records errors on spans without overwriting the program's own status and attributes, although the API's `SpanRef`
//! cannot read them.
//!
//! The decision is therefore left to the span. Because the API has no suitable method, the error is passed in a
//! thread-local while the span's status is being set to unset, which otherwise has no effect.

use std::cell::Cell;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanRef, Status};

use super::exceptions::{self, Appeared, Roots};
use super::span::Recording;
use crate::attributes;

const ERROR_TYPE: &str = "error.type";

/// An error to be recorded on a span.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The description for the status. Empty if there is none.
    pub(crate) description: String,
    /// The last message of the source chain, if the error has a source.
    pub(crate) root: Option<String>,
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
    /// An integration created the error from the outcome of a call, such as a status code. The error is not an
    /// exception.
    Outcome,
}

/// Records an error on a span without replacing a status or an `error.type` that the program has set.
#[doc(hidden)]
pub fn record_error_beside(span: &SpanRef<'_>, error_type: &'static str, description: &str) {
    // An outcome is not an exception.
    let _ = Failure { description: description.to_owned(), root: None, error_type, source: Source::Outcome }.tell(span);
}

thread_local!(static TOLD: Cell<Option<Told>> = const { Cell::new(None) });

/// A message that is passed to a span or from a span on this thread.
pub(super) enum Told {
    Failure(Failure),
    /// An exception that the span has recorded, on its way back to the caller of [`Failure::tell`].
    Appeared(Appeared),
    /// The roots of a span that has ended, kept until they are passed on.
    Ended(Roots),
    /// The roots of a span that has ended, on their way to the caller's span.
    Roots(Roots),
}

impl Told {
    /// Leaves the message for the next call of [`Told::take`] on this thread.
    pub(super) fn leave(self) {
        let _ = TOLD.try_with(|told| told.set(Some(self)));
    }

    /// Takes the message, if any, that is being passed on this thread.
    pub(super) fn take() -> Option<Told> {
        TOLD.try_with(Cell::take).ok().flatten()
    }

    pub(super) fn apply(self, recording: &mut Recording) {
        match self {
            Told::Failure(failure) => failure.apply(recording),
            Told::Roots(roots) => exceptions::adopt(roots, recording),
            // The program has reset a status, which does not pass a message.
            Told::Ended(_) | Told::Appeared(_) => {}
        }
    }
}

impl Failure {
    /// Records the error on a span. If the span belongs to another SDK, replaces its status and `error.type`. Returns the
    /// exception if it appeared on this span first and is to be written as a log record.
    pub(crate) fn tell(self, span: &SpanRef<'_>) -> Option<Appeared> {
        let mut failure = Some(Told::Failure(self));
        let _ = TOLD.try_with(|told| told.set(failure.take()));
        span.set_status(Status::Unset);
        match failure.or_else(Told::take) {
            // The error is still there if the span belongs to another SDK or has ended.
            Some(Told::Failure(Failure { description, error_type, .. })) => {
                span.set_attribute(KeyValue::new(ERROR_TYPE, error_type));
                span.set_status(Status::error(description));
                None
            }
            Some(Told::Appeared(exception)) => Some(exception),
            Some(Told::Ended(_) | Told::Roots(_)) | None => None,
        }
    }

    /// spec: trace/api.md#set-status — the status ok is final, and such a span does not show any error.
    fn apply(self, recording: &mut Recording) {
        if recording.data.status != Status::Ok && self.source != Source::Outcome {
            exceptions::record(&self, recording);
        }
        let (record, limits) = (&mut *recording.data, recording.provider.limits.attributes);
        if record.status == Status::Ok {
            return;
        }
        let says = record.own_attributes.iter().find(|attribute| attribute.key.as_str() == ERROR_TYPE);
        let says = says.map(|attribute| attribute.value.as_str());
        let stays = match (self.source, says, recording.recorded_error) {
            (_, None, _) => false,
            (Source::Recorded, Some(says), Some(recorded)) => says != recorded,
            (Source::Returned | Source::Outcome, Some(_), _) | (Source::Recorded, Some(_), None) => true,
        };
        if !stays {
            let attribute = KeyValue::new(ERROR_TYPE, self.error_type);
            attributes::set(&mut record.own_attributes, &mut record.dropped_attributes, attribute, limits);
            if self.source == Source::Recorded {
                recording.recorded_error = Some(self.error_type);
            }
        }
        let is_described = matches!(&record.status, Status::Error { description } if !description.is_empty());
        if !(is_described && self.source != Source::Recorded) {
            record.status = Status::error(self.description);
            recording.note_failure();
        }
    }
}
