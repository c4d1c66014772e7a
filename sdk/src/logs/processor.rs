//! The log record processor, which sees each record when it is emitted.

use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::logs::Severity;

use super::{Scope, SdkLogRecord};
use crate::batch::Processor;
use crate::diag::{Counters, SignalHealth};
use crate::error::{ExportError, catch};
use crate::signal::Logs;
use crate::time::Deadline;

/// Sees every record when it is emitted, and may edit it. Processors are called in the order in which they were added, and
/// each sees the changes of those before it. Those that export are flushed and shut down before the others.
///
/// All methods are called on threads of the host, possibly concurrently, and must not block. Panics are caught and logged. A
/// record that a processor emits itself is dropped, because it would come back to the same processor.
///
/// spec: logs/sdk.md#logrecordprocessor
pub trait LogRecordProcessor: Debug + Send + Sync + 'static {
    /// Called for each record. `context` is the one in which the record was emitted.
    fn on_emit(&self, record: &mut SdkLogRecord, context: &Context);

    /// Called instead of [`Self::on_emit`] for the last processor, which may keep the record without a copy.
    fn on_last_emit(&self, mut record: SdkLogRecord, context: &Context) {
        self.on_emit(&mut record, context);
    }

    /// Returns true if the processor reads the `context`; otherwise it may be an empty one, which saves a copy. Checked once,
    /// when the provider is built.
    fn wants_context(&self) -> bool {
        true
    }

    /// Returns false if [`Self::enabled`] always returns true, which saves asking for each record. Checked once, when the provider
    /// is built.
    fn is_selective(&self) -> bool {
        true
    }

    /// Returns false if the processor would ignore such a record. If all processors would, the record is not made.
    ///
    /// spec: logs/sdk.md#enabled-1
    fn enabled(&self, scope: &Scope, severity: Severity, target: &str, event_name: Option<&str>) -> bool {
        let _ = (scope, severity, target, event_name);
        true
    }

    /// Exports all records held by the processor.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        let _ = deadline;
        Ok(())
    }

    /// Exports all records held by the processor, and stops it. Called once; the processor must ignore later records.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    /// Returns the counts of exported and dropped records for each exporter behind the processor.
    fn health(&self) -> Vec<SignalHealth> {
        self.all_counters().iter().map(|counters| counters.snapshot()).collect()
    }

    /// Returns the counters of each exporter behind the processor, for the SDK's own metrics. Empty if it does not export.
    fn all_counters(&self) -> Vec<Arc<Counters>> {
        Vec::new()
    }
}

impl<P: Processor<Logs>> LogRecordProcessor for P {
    fn on_emit(&self, record: &mut SdkLogRecord, _: &Context) {
        // A later processor may still edit the record, which must not show in the export.
        self.add(record.clone());
    }

    #[inline]
    fn on_last_emit(&self, record: SdkLogRecord, _: &Context) {
        self.add(record);
    }

    fn wants_context(&self) -> bool {
        false
    }

    fn is_selective(&self) -> bool {
        false
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        Processor::flush(self, deadline)
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        Processor::shutdown(self, deadline)
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        Processor::all_counters(self)
    }
}

/// Calls a processor, and turns a panic into an error.
pub(super) fn caught(call: impl FnOnce() -> Result<(), ExportError>) -> Result<(), ExportError> {
    catch(call).unwrap_or_else(|_| Err(ExportError::other("a log record processor panicked")))
}
