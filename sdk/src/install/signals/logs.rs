//! Configures, builds and installs logs.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::LoggerProvider;

use super::provider::named;
use super::stages::{Place, Stages};
use super::{Foundation, Provider};
use crate::baggage_attributes::BaggageAttributes;
use crate::batch::{BatchConfig, BatchProcessor, ExportProcessor, Processor, SimpleProcessor, Stage, StagedProcessor};
use crate::config::{Env, Settings};
use crate::control::Configurator;
use crate::control::Switch;
use crate::diag::Counters;
use crate::error::{ConfigError, ExportError};
use crate::export::Exporter;
use crate::install::control::Change;
use crate::install::pipeline::{Pipeline, PipelineSignal, Pipelines};
use crate::install::registry::Factory;
use crate::install::{Control, Telemetry, TelemetryBuilder};
use crate::limits::LogRecordLimits;
use crate::logs::{
    LogRecordProcessor, LogVolume, LoggerConfig, LoggerProviderBuilder, SdkLogger, SdkLoggerProvider, active,
};
use crate::redaction;
use crate::resource::Resource;
use crate::runtime::{Pacer, Runtime};
use crate::self_metrics::Words;
use crate::signal::Logs;
use crate::span_filter::{self, SpanFilter};
use crate::stages::LogRedaction;
use crate::time::Deadline;

impl PipelineSignal for Logs {
    const EXPORTERS: &'static str = "OTEL_LOGS_EXPORTER";
    type Schedule = BatchConfig;
    type End = ExportProcessor<Logs>;
    type Observer = std::convert::Infallible;

    fn pacer(end: &Self::End) -> Option<Pacer> {
        end.pacer()
    }

    fn schedule_from_env(env: &Env) -> BatchConfig {
        BatchConfig::logs_from_env(env)
    }

    fn schedule_from_file(schedule: BatchConfig, settings: Settings<'_>) -> BatchConfig {
        schedule.overridden_by(settings)
    }

    fn start(
        exporter: impl Exporter<Logs>,
        schedule: BatchConfig,
        resource: &Resource,
        runtime: &Runtime,
    ) -> Result<ExportProcessor<Logs>, ConfigError> {
        BatchProcessor::start(exporter, resource.clone(), schedule, runtime).map(ExportProcessor::Batch)
    }

    fn start_simple(
        exporter: impl Exporter<Logs>,
        resource: &Resource,
        runtime: &Runtime,
    ) -> Result<ExportProcessor<Logs>, ConfigError> {
        SimpleProcessor::start(exporter, resource.clone(), runtime).map(ExportProcessor::Simple)
    }
}

#[derive(Debug, Default)]
pub(in crate::install) struct Model {
    pub(in crate::install) pipelines: Pipelines<Logs>,
    pub(in crate::install) limits: Option<LogRecordLimits>,
    pub(in crate::install) volume: Option<LogVolume>,
    pub(in crate::install) baggage: Option<BaggageAttributes>,
    pub(in crate::install) filter: Option<SpanFilter>,
    stages: Stages<Logs>,
    /// Settings that no variable covers: the rules of loggers and processors.
    pub(in crate::install) provider: LoggerProviderBuilder,
}

impl Model {
    pub(super) fn complete(&mut self, env: &Env, factories: &[Factory<Logs>]) -> Result<(), ConfigError> {
        self.limits.get_or_insert_with(|| LogRecordLimits::from_env(env));
        self.volume.get_or_insert_with(|| LogVolume::from_env(env));
        self.baggage.get_or_insert_with(|| BaggageAttributes::from_env(env));
        self.filter = self.filter.take().or_else(|| span_filter::records::from_env(env));
        self.pipelines.complete(env, factories)
    }

    pub(super) fn start(mut self, foundation: &mut Foundation<'_>) -> Result<LoggerProviderBuilder, ConfigError> {
        let Foundation { resource, clock, runtime, companions, pacers, logs_stage, is_disabled, .. } = foundation;
        let (limits, limit_counts, redaction) = (&foundation.limits, &foundation.limit_counts, &foundation.redaction);
        if *is_disabled {
            return Ok(SdkLoggerProvider::builder().with_resource(resource.clone()));
        }
        let mut provider = self.provider.with_resource(resource.clone()).with_clock(clock.clone());
        let mut own = self.limits.unwrap_or_default();
        if let Some(redaction) = redaction {
            let max_length = own.attributes.value_length;
            own.attributes.value_length = redaction::widened(max_length);
            self.stages.add(Place::Redaction, Box::new(LogRedaction::new(redaction.clone(), max_length)));
            provider = provider.with_redaction(redaction.clone());
        }
        provider = provider.with_limits(own);
        if let Some(stage) = logs_stage.take() {
            self.stages.add(Place::Tail, stage);
            provider = provider.following_tail();
        }
        provider = provider.with_volume(self.volume.unwrap_or_default());
        provider = provider.with_baggage_attributes(self.baggage.unwrap_or_default());
        if let Some(filter) = self.filter {
            span_filter::records::set(Some(filter));
        }
        let config = self.pipelines.schedule().unwrap_or(BatchConfig::LOGS);
        let processors = self.pipelines.start(resource, runtime, companions, &mut pacers.logs)?.into_iter();
        if let Some(stage) = limits.log_stage(limit_counts) {
            self.stages.add(Place::Limits, stage);
        }
        let stages = self.stages.in_order();
        if stages.is_empty() || processors.len() == 0 {
            return Ok(processors.fold(provider, LoggerProviderBuilder::with_processor));
        }
        let processors = processors.map(|processor| Box::new(processor) as Box<dyn Processor<Logs>>).collect();
        Ok(provider.with_processor(StagedProcessor::start(stages, processors, config, runtime)?))
    }
}

/// Lets the provider live as long as the program if its telemetry is the first, which it returns.
pub(super) fn claim(provider: &mut SdkLoggerProvider, is_first: bool) -> bool {
    if is_first {
        *provider = provider.clone().into_static();
    }
    is_first
}

impl Provider for SdkLoggerProvider {
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.force_flush(deadline)
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.shutdown(deadline)
    }

    fn set_enabled(&self, switch: Switch, is_enabled: bool) {
        self.set_enabled(switch, is_enabled);
    }

    fn is_enabled(&self, switch: Switch) -> bool {
        self.is_enabled(switch)
    }

    fn is_recording(&self) -> bool {
        self.is_recording()
    }

    fn describe(&self) -> String {
        let to = named(self.counters().iter().map(|counters| counters.destination().to_owned()));
        format!("logs: {to}")
    }

    fn counters(&self) -> (Words, Vec<Arc<Counters>>) {
        (Words::LOGS, self.counters())
    }

    fn make_global(&self) {
        // The API has no global logger provider.
        active::install(self.clone());
    }

    fn guard_is_gone(&self) {
        self.note_that_the_guard_is_gone();
    }

    fn turn_off_in_child(&self) {
        self.turn_off();
    }
}

/// Methods for logs.
impl TelemetryBuilder {
    /// Adds an exporter of log records with its own batch processor. `OTEL_LOGS_EXPORTER` is then not read; to keep the exporters
    /// that it selects, call [`Self::with_additional_log_exporter`].
    pub fn with_log_exporter(mut self, exporter: impl Exporter<Logs>) -> Self {
        self.logs().pipelines.add(Pipeline::new(exporter));
        self
    }

    /// Adds an exporter of log records beside those that `OTEL_LOGS_EXPORTER` selects, with its own batch processor.
    pub fn with_additional_log_exporter(mut self, exporter: impl Exporter<Logs>) -> Self {
        self.logs().pipelines.add_beside(Pipeline::new(exporter));
        self
    }

    /// Registers an exporter of log records under a name that `OTEL_LOGS_EXPORTER` can select, in addition to the other names. Replaces an
    /// exporter with the same name.
    pub fn with_log_exporter_factory(mut self, factory: Factory<Logs>) -> Self {
        self.logs().pipelines.register(factory);
        self
    }

    /// Adds a stage, which edits or drops emitted log records before any exporter sees them. Stages run in the order in which they
    /// were added, on a separate thread. They do not see the log lines that a program writes to standard output.
    pub fn with_log_stage(mut self, stage: impl Stage<Logs>) -> Self {
        self.logs().stages.add(Place::Program, Box::new(stage));
        self
    }

    /// Sets the filter that selects the events of `tracing` that become log records, by target and level, overriding
    /// `OTEL_RUST_LOGS`. By default, the filter of spans applies. The filter applies to the whole program and takes effect when the
    /// telemetry is built; [`span_filter::records::set`] changes it later.
    pub fn with_log_filter(mut self, filter: SpanFilter) -> Self {
        self.logs().filter = Some(filter);
        self
    }

    /// Adds a log record processor, which runs before those of the exporters. `OTEL_LOGS_EXPORTER` is still read.
    pub fn with_log_processor(self, processor: impl LogRecordProcessor) -> Self {
        self.with_logger_provider(|provider| provider.with_processor(processor))
    }

    /// Sets the rules of loggers, which are selected by the names of their scopes; see [`LoggerProviderBuilder::with_logger_config`].
    pub fn with_logger_config(self, configurator: Configurator<LoggerConfig>) -> Self {
        self.with_logger_provider(|provider| provider.with_logger_config(configurator))
    }

    /// Sets the limits of log records, overriding the environment.
    pub fn with_log_limits(mut self, limits: LogRecordLimits) -> Self {
        self.logs().limits = Some(limits);
        self
    }

    /// Sets the rules that limit the volume of log records, overriding `OTEL_RUST_LOGS_*`.
    pub fn with_log_volume(mut self, volume: LogVolume) -> Self {
        self.logs().volume = Some(volume);
        self
    }

    /// Sets the batching of log records, overriding `OTEL_BLRP_*`.
    pub fn with_log_batch(mut self, config: BatchConfig) -> Self {
        self.logs().pipelines.set_schedule(config);
        self
    }

    fn logs(&mut self) -> &mut Model {
        &mut self.model.signals.logs
    }

    fn with_logger_provider(mut self, change: impl FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder) -> Self {
        let logs = self.logs();
        logs.provider = change(std::mem::take(&mut logs.provider));
        self
    }
}

/// Methods for logs.
impl Control {
    /// Replaces the rules of loggers, for records that are emitted from now on.
    pub fn set_logger_config(&self, configurator: Configurator<LoggerConfig>) {
        if !self.handle.home.is_past() {
            self.note("logger_config", Change::Opaque);
            self.handle.providers.logs.set_configurator(configurator);
        }
    }

    /// Sets the schedule delay of the batches. A shorter delay applies at once, a longer one after the next export. Stages keep the delay of
    /// the build.
    pub fn set_log_batch_delay(&self, delay: Duration) {
        self.note("log_batch", Change::Opaque);
        self.handle.pacers.logs.shared.iter().for_each(|pacer| pacer.set(delay));
    }

    /// Replaces the filter of events of the whole program, like [`span_filter::records::set`].
    pub fn set_log_filter(&self, filter: Option<SpanFilter>) {
        if !self.handle.home.is_past() {
            let text = filter.as_ref().map(ToString::to_string);
            self.note("log_filter", Change::Settings(vec![(span_filter::records::VARIABLE, text)]));
            span_filter::records::set(filter);
        }
    }

    /// Replaces the rules that limit the volume of log records. As at the start, [`LogVolume::with_sampled_traces_only`] has no effect
    /// while [tail sampling](crate::stages::tail) holds the records of a trace until it decides about them.
    pub fn set_log_volume(&self, volume: LogVolume) {
        if !self.handle.home.is_past() {
            self.note("log_volume", Change::Settings(volume.to_variables()));
            self.handle.providers.logs.set_volume(volume);
        }
    }

    /// Enables or disables logs. While they are disabled, log records are dropped without being counted as lost.
    pub fn set_logs_enabled(&self, is_enabled: bool) {
        self.note_switch("logs_disabled", is_enabled);
        self.handle.providers.logs.set_enabled(Switch::Signal, is_enabled);
    }
}

/// Methods for logs.
impl Telemetry {
    /// Returns the logger provider, which an appender of a logging library takes. For `tracing`, use Telemark's own layer instead: with
    /// `OpenTelemetryTracingBridge` beside it, each event is recorded twice.
    pub fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.handle.providers.logs
    }

    /// Returns a logger whose records have the scope `name`.
    pub fn logger(&self, name: impl Into<Cow<'static, str>>) -> SdkLogger {
        self.logger_provider().logger(name)
    }
}
