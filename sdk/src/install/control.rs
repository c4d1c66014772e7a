//! The changes that a program makes to its telemetry while it runs.

use std::sync::MutexGuard;

use super::{Telemetry, TelemetryHandle};
use crate::control::Switch;
use crate::sync::unpoisoned;

/// Changes a [`Telemetry`] while it runs. Cheap to clone; all clones change the same telemetry.
///
/// A change applies to the spans that start, the records that are emitted and the measurements that are made after the method has
/// returned; on other threads, to those that happen after it. None of them waits for a change. After the shutdown, and in a
/// forked child, changes have no effect.
///
/// What is not here cannot change while the program runs: the resource, exporters with their destinations, credentials and
/// protocols, processors, stages, views, limits, propagators, the id generator and the clock. Nothing can be enabled that the build has
/// left out: a signal without exporters stays without them, and so does a telemetry that `OTEL_SDK_DISABLED` has disabled.
///
/// ```
/// use telemark_sdk::config::Env;
/// use telemark_sdk::install::Telemetry;
/// use telemark_sdk::sampling::{ParentBased, TraceIdRatio};
///
/// let telemetry = Telemetry::builder(Env::process()).build()?;
/// let control = telemetry.control();
/// control.set_sampler(ParentBased::new(TraceIdRatio::new(0.01)));
/// control.disable();
/// # Ok::<(), telemark_sdk::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Control(pub(super) TelemetryHandle);

impl Control {
    /// Disables all signals: no span starts, and log records and measurements are dropped, without being counted as lost. Spans that
    /// have started are recorded to their end, and the spans and log records that have been recorded are exported. Measurements since the
    /// last export wait until metrics are enabled again, so flush before if the program may end first. Trace context is still propagated.
    pub fn disable(&self) {
        self.set_all(false);
    }

    /// Enables the signals again, except for those that are disabled individually.
    pub fn enable(&self) {
        self.set_all(true);
    }

    /// Returns true unless [`Self::disable`] was called last.
    pub fn is_enabled(&self) -> bool {
        self.0.providers.all().iter().all(|provider| provider.is_enabled(Switch::Telemetry))
    }

    /// Waits for the changes of other threads. Returns `None` in a forked child, where the lock may stay locked forever.
    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        (!self.0.home.is_past()).then(|| unpoisoned(self.0.changes.lock()))
    }

    fn set_all(&self, is_enabled: bool) {
        // Two opposite calls at the same time would otherwise leave some signals on and others off.
        let Some(_turn) = self.turn() else { return };
        self.0.providers.all().iter().for_each(|provider| provider.set_enabled(Switch::Telemetry, is_enabled));
    }
}

/// Methods for changes.
impl Telemetry {
    /// Returns the means to change this telemetry while it runs.
    pub fn control(&self) -> Control {
        self.handle.control()
    }
}

/// Methods for changes.
impl TelemetryHandle {
    /// Returns the means to change the telemetry while it runs.
    pub fn control(&self) -> Control {
        Control(self.clone())
    }
}
