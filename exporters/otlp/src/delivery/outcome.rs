//! The outcome of a batch that was sent in parts: the combined verdicts on its requests.

use telemark_sdk::{ExportError, ExportReport};

/// The verdicts so far. Every item is counted in exactly one of them.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The number of items without a verdict.
    left: u64,
    report: ExportReport,
    /// The first failure, which becomes the error for the batch if no request is accepted.
    first: Option<ExportError>,
    was_accepted: bool,
    /// True if the failures have different types.
    is_mixed: bool,
}

impl Outcome {
    /// Returns the outcome of a batch before any of its requests is sent.
    pub(crate) fn new(items: u64) -> Self {
        Outcome { left: items, report: ExportReport::accepted(), first: None, was_accepted: false, is_mixed: false }
    }

    /// Adds a request that the receiver accepted, perhaps without some of its items.
    pub(crate) fn accept(&mut self, items: u64, report: ExportReport) {
        let ExportReport { rejected, message, retries, response, .. } = report;
        self.left = self.left.saturating_sub(items);
        self.was_accepted = true;
        self.report.rejected = self.report.rejected.saturating_add(rejected.min(items));
        // Keep only the first message, because it is usually the same for every request.
        self.report.message = self.report.message.take().or(message);
        self.report.response = response;
        self.add_retries(retries);
    }

    /// Adds a failed request whose items are sent again in other requests.
    pub(crate) fn retry(&mut self, error: &ExportError) {
        self.report.response = error.response();
        self.add_retries(error.retries());
    }

    /// Adds items that were not delivered.
    pub(crate) fn fail(&mut self, items: u64, error: ExportError) {
        self.retry(&error);
        self.left = self.left.saturating_sub(items);
        self.report = std::mem::take(&mut self.report).with_failed(items, &error);
        self.is_mixed |= self.first.as_ref().is_some_and(|first| first.error_type() != error.error_type());
        self.first.get_or_insert(error);
    }

    /// Adds all items that have no verdict yet.
    pub(crate) fn fail_rest(&mut self, error: ExportError) {
        self.fail(self.left, error);
    }

    /// Returns an error if every item failed for the same reason, and otherwise a report that counts each failure.
    pub(crate) fn into_result(self) -> Result<ExportReport, ExportError> {
        match self.first {
            Some(error) if !self.was_accepted && !self.is_mixed => Err(error.with_retries(self.report.retries)),
            _ => Ok(self.report),
        }
    }

    fn add_retries(&mut self, retries: u32) {
        self.report.retries = self.report.retries.saturating_add(retries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(outcome: Outcome) -> String {
        match outcome.into_result() {
            Ok(report) => {
                let (rejected, failed, retries) = (report.rejected, report.failed(), report.retries);
                format!("{rejected} rejected, {failed} failed, {retries} retries, {:?}", report.message.as_deref())
            }
            Err(error) => format!("{error}"),
        }
    }

    #[test]
    fn the_verdicts_of_several_requests_add_up() {
        let mut outcome = Outcome::new(10);
        outcome.accept(4, ExportReport::partial(2, "too old").with_retries(1));
        outcome.retry(&ExportError::too_large("413").with_retries(2));
        outcome.fail(1, ExportError::too_large("413"));
        outcome.accept(2, ExportReport::partial(9, "lies"));
        outcome.fail_rest(ExportError::timeout("late").with_retries(3));
        assert_eq!(shown(outcome), "4 rejected, 4 failed, 6 retries, Some(\"too old\")");
    }

    #[test]
    fn failures_for_one_reason_are_an_error() {
        let mut outcome = Outcome::new(3);
        outcome.fail(1, ExportError::too_large("first").with_retries(1));
        outcome.fail(2, ExportError::too_large("second").with_retries(1));
        assert_eq!(shown(outcome), "first after 2 retries");
        let mut outcome = Outcome::new(3);
        outcome.fail(1, ExportError::too_large("first"));
        outcome.fail_rest(ExportError::timeout("late"));
        assert_eq!(shown(outcome), "0 rejected, 3 failed, 0 retries, None");
    }
}
