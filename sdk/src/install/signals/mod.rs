//! The signals that are installed: the one list of them, with a field for each. A new signal is a line in each of these
//! structs and a file beside `traces`.

mod metrics;
mod traces;

use std::fmt::Debug;
use std::sync::Arc;

use super::pipeline::Companion;
use super::registry::{Factory, Node};
use crate::config::Env;
use crate::diag::{Counters, SignalHealth};
use crate::error::{ConfigError, ExportError};
use crate::metrics::SdkMeterProvider;
use crate::resource::Resource;
use crate::runtime::Runtime;
use crate::self_metrics::Words;
use crate::signal::{Metrics, Traces};
use crate::time::{Clock, Deadline};
use crate::trace::SdkTracerProvider;

/// The exporters that the configuration may name, and the defaults of the crate that brings them.
#[derive(Clone, Copy, Debug)]
pub struct Components {
    pub(super) traces: &'static [Factory<Traces>],
    pub(super) metrics: &'static [Factory<Metrics>],
    pub(super) handles_termination: bool,
}

impl Components {
    /// No exporters: their variables are not read, and only what code adds is exported.
    pub const NONE: Components = Components { traces: &[], metrics: &[], handles_termination: false };

    /// Sets the exporters of spans, for `OTEL_TRACES_EXPORTER`. The one named `otlp` is the default.
    pub const fn with_span_exporters(mut self, factories: &'static [Factory<Traces>]) -> Self {
        self.traces = factories;
        self
    }

    /// Sets the exporters of metrics, for `OTEL_METRICS_EXPORTER`. The one named `otlp` is the default.
    pub const fn with_metric_exporters(mut self, factories: &'static [Factory<Metrics>]) -> Self {
        self.metrics = factories;
        self
    }

    /// Sets the default of [`TelemetryBuilder::with_termination_handler`](super::TelemetryBuilder::with_termination_handler).
    /// With true it is on unless `OTEL_RUST_TERMINATION_HANDLER_DISABLED=true`.
    pub const fn with_termination_handler(mut self, is_default: bool) -> Self {
        self.handles_termination = is_default;
        self
    }
}

/// The configuration of each signal.
#[derive(Debug, Default)]
pub(super) struct Models {
    pub(super) traces: traces::Model,
    pub(super) metrics: metrics::Model,
}

impl Models {
    pub(super) fn complete(&mut self, env: &Env, components: &Components) -> Result<(), ConfigError> {
        self.traces.complete(env, components.traces)?;
        self.metrics.complete(env, components.metrics)
    }

    /// Makes the named components of every signal before one of them starts a thread.
    pub(super) fn make(&mut self, node: Node<'_>, components: &Components) -> Result<(), ConfigError> {
        self.traces.pipelines.make(node, components.traces)?;
        self.metrics.pipelines.make(node, components.metrics)
    }

    /// Starts the pipelines and builds the providers.
    pub(super) fn build(self, foundation: &mut Foundation<'_>) -> Result<Providers, ConfigError> {
        let traces = self.traces.start(foundation)?;
        let metrics = self.metrics.start(foundation)?.build();
        // Without a reader of metrics, nothing would show the counts.
        foundation.self_metrics &= metrics.is_read();
        let traces = if foundation.self_metrics { traces.with_span_counts() } else { traces };
        Ok(Providers { traces: traces.build(), metrics })
    }
}

/// The parts that all signals share.
pub(super) struct Foundation<'a> {
    pub(super) is_disabled: bool,
    pub(super) resource: Resource,
    pub(super) clock: Clock,
    pub(super) runtime: &'a Runtime,
    pub(super) self_metrics: bool,
    pub(super) companions: Vec<Companion>,
}

/// The providers of all signals.
#[derive(Clone, Debug)]
pub(super) struct Providers {
    pub(super) traces: SdkTracerProvider,
    pub(super) metrics: SdkMeterProvider,
}

impl Providers {
    /// All of them, in the order in which they are flushed and shut down.
    pub(super) fn all(&self) -> [&dyn Provider; 2] {
        [&self.traces, &self.metrics]
    }

    /// Makes them the program's. Returns false if others are that already, before anything was changed.
    pub(super) fn claim(&mut self) -> bool {
        traces::claim(&mut self.traces)
    }

    pub(super) fn health(&self) -> Health {
        Health { traces: self.traces.health(), metrics: self.metrics.health() }
    }
}

/// The fate of what was recorded, for each pipeline of each signal, in the order in which they were added. Pipelines that
/// export nothing, such as a reader that is pulled from, are not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Spans.
    pub traces: Vec<SignalHealth>,
    /// Points of metrics.
    pub metrics: Vec<SignalHealth>,
}

/// A provider as `install` treats it, whatever its signal.
pub(super) trait Provider: Debug + Send + Sync {
    /// Exports everything recorded so far.
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError>;

    /// Exports for the last time and stops. A second call waits for the first.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError>;

    /// Returns true while anything is recorded.
    fn is_recording(&self) -> bool;

    /// Describes for a message where the signal goes: "traces: ...".
    fn describe(&self) -> String;

    /// The words that the SDK's own metrics use for the signal, and the counters of its pipelines.
    fn counters(&self) -> (Words, Vec<Arc<Counters>>);

    /// Makes it the one of the API's globals and of the instrumentation of this SDK.
    fn make_global(&self);

    /// Notes that the guard of the installed telemetry was dropped, so that what is recorded later says that it is lost.
    fn guard_is_gone(&self);

    /// Stops recording. Uses only atomic stores, because a forked child calls this.
    fn turn_off_in_child(&self);
}

/// Lists destinations for a message; "none" if there are none.
fn named(destinations: impl IntoIterator<Item = String>) -> String {
    let list: Vec<_> = destinations.into_iter().collect();
    if list.is_empty() { "none".to_owned() } else { list.join(" and ") }
}
