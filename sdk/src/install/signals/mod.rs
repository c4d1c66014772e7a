//! The installed signals. This is the only list of them, with one field per signal: adding a signal takes one line in each of
//! these structs and a new file next to `traces`.

mod health;
pub(super) mod logs;
pub(super) mod metrics;
mod provider;
mod stages;
pub(super) mod traces;

use std::sync::Arc;

pub use self::health::Health;
pub(super) use self::provider::Provider;
use super::components::Components;
use super::pipeline::{Companion, SignalPacers};
use super::registry::Node;
use super::reload::ConfigHealth;
use crate::batch::Stage;
use crate::config::Env;
use crate::decided::Decided;
use crate::diag::LimitCounts;
use crate::error::ConfigError;
use crate::logs::SdkLoggerProvider;
use crate::metrics::SdkMeterProvider;
use crate::redaction::Redaction;
use crate::resource::Resource;
use crate::runtime::Runtime;
use crate::self_metrics::Sources;
use crate::signal::Logs;
use crate::stages::limits::ItemLimits;
use crate::time::Clock;
use crate::trace::SdkTracerProvider;

/// The configuration of each signal.
#[derive(Debug, Default)]
pub(super) struct Models {
    pub(super) traces: traces::Model,
    pub(super) logs: logs::Model,
    pub(super) metrics: metrics::Model,
}

impl Models {
    pub(super) fn complete(&mut self, env: &Env, components: &Components) -> Result<(), ConfigError> {
        self.traces.complete(env, components.traces)?;
        self.logs.complete(env, components.logs)?;
        self.metrics.complete(env, components.metrics)
    }

    /// Creates the named components of every signal before any of them starts a thread.
    pub(super) fn make(&mut self, node: Node<'_>, components: &Components) -> Result<(), ConfigError> {
        self.traces.pipelines.make(node, components.traces)?;
        self.logs.pipelines.make(node, components.logs)?;
        self.metrics.pipelines.make(node, components.metrics)
    }

    /// Starts the pipelines and builds the providers.
    pub(super) fn build(self, foundation: &mut Foundation<'_>) -> Result<Providers, ConfigError> {
        let traces = self.traces.start(foundation)?;
        let logs = self.logs.start(foundation)?;
        let metrics = self.metrics.start(foundation)?.build();
        // Without a metric reader, nothing would ever export the counts.
        foundation.self_metrics &= metrics.is_read();
        let (traces, logs) = match foundation.self_metrics {
            true => (traces.with_span_counts(), logs.with_log_count()),
            false => (traces, logs),
        };
        let limits = (foundation.limits != ItemLimits::new()).then(|| foundation.limit_counts.clone());
        let redaction = foundation.redaction.clone();
        Ok(Providers { traces: traces.build(), logs: logs.build(), metrics, limits, redaction })
    }
}

/// The parts that all signals share.
pub(super) struct Foundation<'a> {
    pub(super) is_disabled: bool,
    pub(super) resource: Resource,
    pub(super) redaction: Option<Redaction>,
    pub(super) clock: Clock,
    pub(super) runtime: &'a Runtime,
    pub(super) self_metrics: bool,
    pub(super) limits: ItemLimits,
    pub(super) limit_counts: Arc<LimitCounts>,
    pub(super) companions: Vec<Companion>,
    pub(super) pacers: Pacers,
    /// The stage with which log records follow their traces. Made with the traces.
    pub(super) logs_stage: Option<Box<dyn Stage<Logs>>>,
    /// What tail sampling decides about traces. Made with the traces.
    pub(super) decided: Option<Arc<Decided>>,
}

/// What changes the schedule of each signal.
#[derive(Debug, Default)]
pub(super) struct Pacers {
    pub(super) traces: SignalPacers,
    pub(super) logs: SignalPacers,
    pub(super) metrics: SignalPacers,
}

/// The providers of all signals.
#[derive(Clone, Debug)]
pub(super) struct Providers {
    pub(super) traces: SdkTracerProvider,
    pub(super) logs: SdkLoggerProvider,
    pub(super) metrics: SdkMeterProvider,
    /// `None` if no limit is set.
    limits: Option<Arc<LimitCounts>>,
    redaction: Option<Redaction>,
}

impl Providers {
    /// Returns all providers, in the order in which they are flushed and shut down.
    pub(super) fn all(&self) -> [&dyn Provider; 3] {
        [&self.traces, &self.logs, &self.metrics]
    }

    /// Installs these as the program's providers. If other providers are already installed, changes nothing and
    /// returns false.
    pub(super) fn claim(&mut self) -> bool {
        let is_first = traces::claim(&mut self.traces);
        logs::claim(&mut self.logs, is_first)
    }

    /// Returns what all signals together count.
    pub(super) fn sources(&self) -> Sources<'_> {
        Sources {
            loggers: Some(&self.logs),
            limits: self.limits.clone(),
            redaction: self.redaction.clone(),
            ..Sources::default()
        }
    }

    pub(super) fn health(&self) -> Health {
        Health {
            traces: self.traces.health(),
            logs: self.logs.health(),
            metrics: self.metrics.health(),
            tail: self.traces.tail_counts().map(|counts| counts.snapshot()),
            limits: self.limits.as_ref().map(|counts| counts.snapshot()),
            redaction: self.redaction.as_ref().map(Redaction::hidden).unwrap_or_default(),
            config: ConfigHealth::default(),
            routes: Vec::new(),
        }
    }
}
