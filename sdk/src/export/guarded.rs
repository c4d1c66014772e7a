//! The only place that calls exporters.

use std::sync::Arc;
use std::time::Duration;

use super::{Batch, Exporter};
use crate::diag::{Counters, Queue};
use crate::error::report::ExportReport;
use crate::error::{Contained, ExportError, ResponseStatus, catch};
use crate::signal::Signal;
use crate::time::Deadline;

/// Wraps an exporter: converts panics into errors, measures exports, and counts items.
pub(crate) struct Guarded<S: Signal> {
    exporter: Contained<Box<dyn Exporter<S>>>,
    counters: Arc<Counters>,
}

impl<S: Signal> Guarded<S> {
    /// Wraps an exporter for direct use by a reader or a test.
    pub(crate) fn new(exporter: impl Exporter<S>) -> Self {
        let counters = counters_for(&exporter);
        Guarded { exporter: Contained::new(Box::new(exporter)), counters: Arc::new(counters) }
    }

    /// Wraps an exporter that runs behind a processor of this kind: `batching` (which has a queue) or `simple`.
    pub(crate) fn behind(kind: &'static str, queue: Option<Queue>, exporter: impl Exporter<S>) -> Self {
        let counters = counters_for(&exporter).with_processor(kind, queue);
        Guarded { exporter: Contained::new(Box::new(exporter)), counters: Arc::new(counters) }
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Exports a batch that counts as `items`. For traces this is the number of spans; for metrics it is the number of
    /// points, and one metric can have many.
    ///
    /// # Errors
    /// Returns an error if all or part of the batch was not delivered, or if the exporter panicked.
    pub(crate) fn export(&mut self, items: u64, batch: Batch<'_, S>, deadline: Deadline) -> Result<(), ExportError> {
        let Guarded { exporter, counters } = self;
        counters.passed_on(items);
        let started = Deadline::after(Duration::ZERO);
        let export = || caught(|| exporter.export(batch, deadline));
        let result = counters.operations().measure_export(export, error_type, response);
        counters.set_failed_refreshes(caught(|| Ok(exporter.failed_refreshes())).unwrap_or_default());
        match result {
            Ok(report) => {
                counters.delivered(items, started.passed_for(), &report);
                report.failure().map_or(Ok(()), Err)
            }
            Err(error) => {
                counters.failed(items, &error);
                Err(error)
            }
        }
    }

    /// Flushes the exporter.
    ///
    /// # Errors
    /// Returns an error if the exporter failed or panicked.
    pub(crate) fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        caught(|| self.exporter.flush(deadline))
    }

    /// Shuts the exporter down.
    ///
    /// # Errors
    /// Returns an error if the exporter failed or panicked.
    pub(crate) fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        caught(|| self.exporter.shutdown(deadline))
    }

    /// Returns how long the receiver wants exports to pause; zero if the exporter panics.
    pub(crate) fn pause(&self) -> Duration {
        caught(|| Ok(self.exporter.pause())).unwrap_or_default()
    }
}

fn counters_for<S: Signal>(exporter: &impl Exporter<S>) -> Counters {
    let destination = caught(|| Ok(exporter.destination())).unwrap_or_default();
    let server = caught(|| Ok(exporter.server())).unwrap_or_default();
    let component_type = caught(|| Ok(exporter.component_type())).unwrap_or("exporter");
    Counters::new(S::ITEMS, component_type, server, destination)
}

fn caught<T>(call: impl FnOnce() -> Result<T, ExportError>) -> Result<T, ExportError> {
    catch(call).unwrap_or_else(|_| Err(ExportError::other("the exporter panicked")))
}

/// Returns the reason why an export was not a full success.
fn error_type(result: &Result<ExportReport, ExportError>) -> Option<&'static str> {
    match result {
        Ok(report) => match report.failure() {
            Some(error) => Some(error.error_type()),
            None => (report.rejected > 0).then_some("rejected"),
        },
        Err(error) => Some(error.error_type()),
    }
}

/// Returns the status of the last response to an export.
fn response(result: &Result<ExportReport, ExportError>) -> Option<ResponseStatus> {
    match result {
        Ok(report) => report.response,
        Err(error) => error.response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Resource;
    use crate::signal::Traces;

    type Export = Box<dyn FnMut() -> Result<ExportReport, ExportError> + Send>;

    struct Scripted(Export);

    impl Exporter<Traces> for Scripted {
        fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            (self.0)()
        }

        fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
            panic!("flush")
        }

        fn pause(&self) -> Duration {
            panic!("pause")
        }
    }

    fn export(guarded: &mut Guarded<Traces>) -> Result<(), ExportError> {
        guarded.export(10, Batch::new(&Resource::empty(), &Default::default()), Deadline::NEVER)
    }

    fn check_in_flight(
        result: impl Fn() -> Result<ExportReport, ExportError> + Send + 'static,
        guarded: &mut Guarded<Traces>,
        expected: &[(Option<&'static str>, u64)],
    ) {
        let counters = guarded.counters.clone();
        let during = counters.clone();
        guarded.exporter = Contained::new(Box::new(Scripted(Box::new(move || {
            assert_eq!(during.in_flight(), 10);
            result()
        }))));
        let _ = export(guarded);
        assert_eq!((counters.in_flight(), &counters.concluded()[..]), (0, expected));
    }

    #[test]
    fn a_receiver_that_rejects_more_than_it_was_sent_does_not_corrupt_the_counts() {
        let mut guarded = Guarded::new(Scripted(Box::new(|| Ok(ExportReport::partial(25, "lies")))));
        assert!(export(&mut guarded).is_ok());
        let health = guarded.counters.snapshot();
        assert_eq!((health.exported, health.rejected), (0, 10));
    }

    #[test]
    fn what_is_exported_is_in_flight_until_it_is_concluded() {
        let mut guarded = Guarded::new(Scripted(Box::new(|| Ok(ExportReport::accepted()))));
        check_in_flight(|| Ok(ExportReport::accepted()), &mut guarded, &[(None, 10)]);
        let both = [(None, 13), (Some("rejected"), 7)];
        check_in_flight(|| Ok(ExportReport::partial(7, "too old")), &mut guarded, &both);
        // Full and partial rejections are counted in one series, because two series with the same attributes would
        // conflict.
        let both = [(None, 13), (Some("rejected"), 17)];
        check_in_flight(|| Err(ExportError::rejected("no")), &mut guarded, &both);
        assert_eq!(guarded.counters.processed(), [(None, 30)]);
        let health = guarded.counters.snapshot();
        assert_eq!((health.rejected, health.failed), (7, 10));
    }

    #[test]
    fn a_part_that_failed_is_counted_by_its_reasons_and_returned_as_an_error() {
        let report = || {
            let too_large = ExportError::too_large("one span is too large");
            let timeout = ExportError::timeout("the rest came too late");
            ExportReport::partial(2, "too old").with_failed(1, &too_large).with_failed(3, &timeout).with_retries(5)
        };
        let mut guarded = Guarded::new(Scripted(Box::new(move || Ok(report()))));
        let error = export(&mut guarded).unwrap_err();
        assert_eq!((error.to_string(), error.items()), ("one span is too large".to_owned(), Some(4)));
        let concluded = [(None, 4), (Some("timeout"), 3), (Some("rejected"), 2), (Some("too_large"), 1)];
        assert_eq!(guarded.counters.concluded(), concluded);
        let health = guarded.counters.snapshot();
        assert_eq!((health.exported, health.rejected, health.failed, health.retries), (4, 2, 4, 5));
    }

    #[test]
    fn an_exporter_that_reports_more_failures_than_items_does_not_corrupt_the_counts() {
        let report = || {
            let (first, second) = (ExportError::timeout(""), ExportError::too_large(""));
            ExportReport::partial(u64::MAX, "lies").with_failed(7, &first).with_failed(u64::MAX, &second)
        };
        let mut guarded = Guarded::new(Scripted(Box::new(move || Ok(report()))));
        assert!(export(&mut guarded).is_err());
        let concluded = [(None, 0), (Some("timeout"), 7), (Some("too_large"), 3)];
        assert_eq!(guarded.counters.concluded(), concluded);
    }

    #[test]
    fn a_panic_of_the_exporter_is_an_error_and_its_items_are_counted() {
        let mut guarded = Guarded::new(Scripted(Box::new(|| panic!("export"))));
        assert!(export(&mut guarded).is_err());
        assert!(guarded.flush(Deadline::NEVER).is_err() && guarded.shutdown(Deadline::NEVER).is_err());
        assert_eq!((guarded.pause(), guarded.counters.snapshot().failed), (Duration::ZERO, 10));
    }
}
