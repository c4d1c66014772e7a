//! The provider of a signal, as `install` sees it.

use std::fmt::Debug;
use std::sync::Arc;

use crate::control::Switch;
use crate::diag::Counters;
use crate::error::ExportError;
use crate::self_metrics::Words;
use crate::time::Deadline;

/// A provider of any signal, as seen by `install`.
pub(in crate::install) trait Provider: Debug + Send + Sync {
    /// Exports everything recorded so far.
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError>;

    /// Exports one last time and stops. A second call waits for the first one to finish.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError>;

    /// Sets one of the switches.
    fn set_enabled(&self, switch: Switch, is_enabled: bool);

    /// Returns true if the switch is on.
    fn is_enabled(&self, switch: Switch) -> bool;

    /// Returns true until the end, if the signal is recorded at all.
    fn is_recording(&self) -> bool;

    /// Describes where the signal is exported to, for a message such as "traces: ...".
    fn describe(&self) -> String;

    /// Returns the signal's name as used in the SDK's own metrics, and the counters of its pipelines.
    fn counters(&self) -> (Words, Vec<Arc<Counters>>);

    /// Makes the API's globals and this SDK's instrumentation use this provider.
    fn make_global(&self);

    /// Records that the guard of the installed telemetry was dropped, so that later spans and measurements cause a warning.
    fn guard_is_gone(&self);

    /// Stops recording. Uses only atomic stores, because it runs in forked children.
    fn turn_off_in_child(&self);
}

/// Joins destinations for a message. Returns "none" if there are none.
pub(super) fn named(destinations: impl IntoIterator<Item = String>) -> String {
    let list: Vec<_> = destinations.into_iter().collect();
    if list.is_empty() { "none".to_owned() } else { list.join(" and ") }
}
