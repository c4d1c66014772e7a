//! Configures, builds and installs traces.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider;

use super::provider::named;
use super::stages::{Place, Stages};
use super::{Foundation, Provider};
use crate::baggage_attributes::BaggageAttributes;
use crate::batch::{BatchConfig, BatchProcessor, ExportProcessor, SimpleProcessor, Stage};
use crate::config::{Env, Settings};
use crate::control::Configurator;
use crate::control::Switch;
use crate::diag::Counters;
use crate::error::{ConfigError, Contained, ExportError};
use crate::export::Exporter;
use crate::id::IdGenerator;
use crate::install::control::Change;
use crate::install::pipeline::{Pipeline, PipelineSignal, Pipelines};
use crate::install::registry::Factory;
use crate::install::{Control, Telemetry, TelemetryBuilder};
use crate::limits::SpanLimits;
use crate::redaction;
use crate::resource::Resource;
use crate::runtime::{Pacer, Runtime};
use crate::sampling::{self, Sampler};
use crate::self_metrics::Words;
use crate::signal::Traces;
use crate::span_filter::{self, SpanFilter};
use crate::stages::SpanRedaction;
use crate::stages::tail::TailSampling;
use crate::time::Deadline;
use crate::trace::{
    ExceptionSignal, SdkTracer, SdkTracerProvider, SpanProcessor, SpanRate, TracerConfig, TracerProviderBuilder,
    active, staged,
};

impl PipelineSignal for Traces {
    const EXPORTERS: &'static str = "OTEL_TRACES_EXPORTER";
    type Schedule = BatchConfig;
    type End = ExportProcessor<Traces>;
    type Observer = Observer;

    fn pacer(end: &Self::End) -> Option<Pacer> {
        end.pacer()
    }

    fn schedule_from_env(env: &Env) -> BatchConfig {
        BatchConfig::spans_from_env(env)
    }

    fn schedule_from_file(schedule: BatchConfig, settings: Settings<'_>) -> BatchConfig {
        schedule.overridden_by(settings)
    }

    fn start(
        exporter: impl Exporter<Traces>,
        schedule: BatchConfig,
        resource: &Resource,
        runtime: &Runtime,
    ) -> Result<ExportProcessor<Traces>, ConfigError> {
        BatchProcessor::start(exporter, resource.clone(), schedule, runtime).map(ExportProcessor::Batch)
    }

    fn start_simple(
        exporter: impl Exporter<Traces>,
        resource: &Resource,
        runtime: &Runtime,
    ) -> Result<ExportProcessor<Traces>, ConfigError> {
        SimpleProcessor::start(exporter, resource.clone(), runtime).map(ExportProcessor::Simple)
    }
}

/// Creates a span processor for a provider with this resource.
type Observer = Box<dyn FnOnce(&Resource) -> Box<dyn SpanProcessor> + Send + Sync>;

impl Pipeline<Traces> {
    /// Creates a pipeline that runs `exporter` behind a batch processor. `adjust` receives the config shared by the signal, from code or
    /// the environment, and returns that of the processor.
    pub fn batched(
        exporter: impl Exporter<Traces>,
        adjust: impl FnOnce(BatchConfig) -> BatchConfig + Send + 'static,
    ) -> Self {
        Pipeline::adjusted(exporter, adjust)
    }

    /// Adds a span processor, which observes spans from their start. `make` receives the resource of the provider.
    ///
    /// [Stages](crate::batch::Stage) do not apply to the processor: it sees each span as it ended, including what a stage removes or
    /// drops before the exporters.
    pub fn with_processor<P: SpanProcessor>(
        mut self,
        make: impl FnOnce(&Resource) -> P + Send + Sync + 'static,
    ) -> Self {
        self.observers.push(Box::new(move |resource| Box::new(make(resource))));
        self
    }
}

#[derive(Debug, Default)]
pub(in crate::install) struct Model {
    pub(in crate::install) pipelines: Pipelines<Traces>,
    pub(in crate::install) sampler: Option<Box<dyn Sampler>>,
    pub(in crate::install) limits: Option<SpanLimits>,
    pub(in crate::install) exceptions: Option<ExceptionSignal>,
    pub(in crate::install) baggage: Option<BaggageAttributes>,
    pub(in crate::install) filter: Option<SpanFilter>,
    pub(in crate::install) tail: Option<TailSampling>,
    stages: Stages<Traces>,
    /// True if a configuration file has no `tracer_provider`.
    pub(in crate::install) is_off: bool,
    /// Settings that no variable covers: the id generator and processors.
    pub(in crate::install) provider: TracerProviderBuilder,
}

impl Model {
    pub(super) fn complete(&mut self, env: &Env, factories: &[Factory<Traces>]) -> Result<(), ConfigError> {
        self.sampler.get_or_insert_with(|| sampling::from_env(env));
        self.limits.get_or_insert_with(|| SpanLimits::from_env(env));
        self.exceptions.get_or_insert_with(|| ExceptionSignal::from_env(env));
        self.baggage.get_or_insert_with(|| BaggageAttributes::from_env(env));
        self.filter = self.filter.take().or_else(|| SpanFilter::from_env(env));
        self.pipelines.complete(env, factories)
    }

    pub(super) fn start(mut self, foundation: &mut Foundation<'_>) -> Result<TracerProviderBuilder, ConfigError> {
        let Foundation { resource, clock, runtime, companions, pacers, logs_stage, decided, is_disabled, .. } =
            foundation;
        let (limits, limit_counts, redaction) = (&foundation.limits, &foundation.limit_counts, &foundation.redaction);
        if *is_disabled || self.is_off {
            return Ok(SdkTracerProvider::builder().with_resource(resource.clone()).disabled());
        }
        let mut provider = self.provider.with_resource(resource.clone()).with_clock(clock.clone());
        let mut own = self.limits.unwrap_or_default();
        if let Some(redaction) = redaction {
            let max_length = own.attributes.value_length;
            own.attributes.value_length = redaction::widened(max_length);
            self.stages.add(Place::Redaction, Box::new(SpanRedaction::new(redaction.clone(), max_length)));
            provider = provider.with_redaction(redaction.clone());
        }
        provider = provider.with_limits(own);
        provider = provider.with_exception_signal(self.exceptions.unwrap_or_default());
        provider = provider.with_baggage_attributes(self.baggage.unwrap_or_default());
        if let Some(filter) = self.filter {
            span_filter::set(filter);
        }
        if let Some(sampler) = self.sampler {
            provider = provider.with_boxed_sampler(sampler);
        }
        for observer in self.pipelines.take_observers() {
            provider = provider.with_boxed_processor(observer(resource));
        }
        let config = self.pipelines.schedule().unwrap_or(BatchConfig::SPANS);
        let processors = self.pipelines.start(resource, runtime, companions, &mut pacers.traces)?.into_iter();
        let processors: Vec<_> = processors.map(|processor| Box::new(processor) as Box<dyn SpanProcessor>).collect();
        // Without an exporter, nothing is to be decided.
        if let Some(tail) = self.tail.filter(|_| !processors.is_empty()) {
            let started = tail.start(clock.clone())?;
            self.stages.add(Place::Tail, started.spans);
            provider = provider.with_tail(started.tail);
            *logs_stage = started.logs;
            *decided = Some(started.decided);
        }
        if let Some(stage) = limits.span_stage(limit_counts) {
            self.stages.add(Place::Limits, stage);
        }
        let rate = limits.max_spans_per_second().map(|max_per_second| SpanRate {
            max_per_second,
            clock: clock.clone(),
            counts: limit_counts.clone(),
        });
        let processors = staged(self.stages.in_order(), processors, config, runtime, rate)?;
        Ok(processors.into_iter().fold(provider, TracerProviderBuilder::with_boxed_processor))
    }
}

/// Installs the provider for the lifetime of the program. Returns false if another provider has already been installed.
pub(super) fn claim(provider: &mut SdkTracerProvider) -> bool {
    let installed = provider.clone().into_static();
    let is_first = active::install(installed.tracer_in(active::scope()));
    if is_first {
        *provider = installed;
    }
    is_first
}

impl Provider for SdkTracerProvider {
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
        !self.has_ended()
    }

    fn describe(&self) -> String {
        let to = named(self.counters().iter().map(|counters| counters.destination().to_owned()));
        format!("traces: {to}, sampler {}", self.sampler_name())
    }

    fn counters(&self) -> (Words, Vec<Arc<Counters>>) {
        (Words::SPANS, self.counters())
    }

    fn make_global(&self) {
        global::set_tracer_provider(self.clone());
    }

    fn guard_is_gone(&self) {
        active::guard_is_gone(self);
    }

    fn turn_off_in_child(&self) {
        self.turn_off();
    }
}

/// Methods for traces.
impl TelemetryBuilder {
    /// Sets the sampler, overriding `OTEL_TRACES_SAMPLER`.
    pub fn with_sampler(mut self, sampler: impl Sampler) -> Self {
        self.traces().sampler = Some(Box::new(sampler));
        self
    }

    /// Sets the configs of tracers, which are selected by the names of their scopes. By default, every tracer is enabled.
    pub fn with_tracer_config(self, configurator: Configurator<TracerConfig>) -> Self {
        self.with_tracer_provider(|provider| provider.with_tracer_config(configurator))
    }

    /// Sets the span limits, overriding the environment.
    pub fn with_span_limits(mut self, limits: SpanLimits) -> Self {
        self.traces().limits = Some(limits);
        self
    }

    /// Sets the filter that selects spans by target and level, overriding `OTEL_RUST_SPANS`. The filter applies to the
    /// whole program and takes effect when the telemetry is built; [`span_filter::set`] changes it later.
    pub fn with_span_filter(mut self, filter: SpanFilter) -> Self {
        self.traces().filter = Some(filter);
        self
    }

    /// Sets the signal in which exceptions are recorded, overriding `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`.
    pub fn with_exception_signal(mut self, signal: ExceptionSignal) -> Self {
        self.traces().exceptions = Some(signal);
        self
    }

    /// Copies the selected baggage entries to spans when they start and to log records when they are emitted, overriding `OTEL_RUST_BAGGAGE_ATTRIBUTES`.
    pub fn with_baggage_attributes(mut self, selected: BaggageAttributes) -> Self {
        self.model.signals.logs.baggage = Some(selected.clone());
        self.traces().baggage = Some(selected);
        self
    }

    /// Sets how spans are batched, overriding `OTEL_BSP_*`. The viewer, if `OTEL_TRACES_EXPORTER` selects it, exports sooner unless the
    /// delay differs from the default.
    pub fn with_span_batch(mut self, config: BatchConfig) -> Self {
        self.traces().pipelines.set_schedule(config);
        self
    }

    /// Sets the id generator. The default generates random ids.
    pub fn with_id_generator(self, ids: impl IdGenerator) -> Self {
        self.with_tracer_provider(|provider| provider.with_id_generator(ids))
    }

    /// Adds a span exporter with its own batch processor. `OTEL_TRACES_EXPORTER` is then not read; to keep the exporters that it
    /// selects, call [`Self::with_additional_span_exporter`].
    pub fn with_span_exporter(mut self, exporter: impl Exporter<Traces>) -> Self {
        self.traces().pipelines.add(Pipeline::new(exporter));
        self
    }

    /// Adds an exporter of spans beside those that `OTEL_TRACES_EXPORTER` selects, with its own batch processor.
    pub fn with_additional_span_exporter(mut self, exporter: impl Exporter<Traces>) -> Self {
        self.traces().pipelines.add_beside(Pipeline::new(exporter));
        self
    }

    /// Registers an exporter of spans under a name that `OTEL_TRACES_EXPORTER` can select, in addition to the other names. Replaces an
    /// exporter with the same name.
    ///
    /// ```
    /// use telemark_sdk::config::Env;
    /// use telemark_sdk::install::{Factory, Pipeline, Telemetry};
    /// use telemark_sdk::testing::InMemoryExporter;
    ///
    /// let memory = Factory::new("memory", |_| Ok(Pipeline::new(InMemoryExporter::new())));
    /// let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "memory")]);
    /// let telemetry = Telemetry::builder(env).with_span_exporter_factory(memory).build()?;
    /// assert_eq!(telemetry.health().traces.len(), 1);
    /// # Ok::<(), telemark_sdk::ConfigError>(())
    /// ```
    pub fn with_span_exporter_factory(mut self, factory: Factory<Traces>) -> Self {
        self.traces().pipelines.register(factory);
        self
    }

    /// Adds a stage, which edits or drops finished spans before any exporter sees them. Stages run in the order in which they
    /// were added, on a separate thread, and before [tail sampling](Self::with_tail_sampling), with which they also see spans that the
    /// sampler has not sampled.
    pub fn with_span_stage(mut self, stage: impl Stage<Traces>) -> Self {
        self.traces().stages.add(Place::Program, Box::new(stage));
        self
    }

    /// Sets the tail sampling: which traces are exported once they have ended in this process. Overrides that of a configuration file.
    ///
    /// ```
    /// use telemark_sdk::config::Env;
    /// use telemark_sdk::install::Telemetry;
    /// use telemark_sdk::stages::tail::{Policy, TailSampling};
    ///
    /// // All errors, the slowest hundredth of each route, and one of twenty others.
    /// let tail = TailSampling::new()
    ///     .keep(Policy::errors())
    ///     .keep(Policy::slowest(0.99))
    ///     .keep(Policy::probability(0.05).named("rest"));
    /// let builder = Telemetry::builder(Env::process()).with_tail_sampling(tail);
    /// # drop(builder);
    /// ```
    pub fn with_tail_sampling(mut self, tail: TailSampling) -> Self {
        self.traces().tail = Some(tail);
        self
    }

    /// Adds a span processor, which runs before the exporters' processors. `OTEL_TRACES_EXPORTER` is still read.
    pub fn with_span_processor(self, processor: impl SpanProcessor) -> Self {
        self.with_tracer_provider(|provider| provider.with_processor(processor))
    }

    fn traces(&mut self) -> &mut Model {
        &mut self.model.signals.traces
    }

    fn with_tracer_provider(mut self, change: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder) -> Self {
        let traces = self.traces();
        traces.provider = change(std::mem::take(&mut traces.provider));
        self
    }
}

/// Methods for traces.
impl Control {
    /// Replaces the sampler for spans that start from now on, and shuts the one before down, within the flush timeout. A span that
    /// another thread is starting may still be decided by the sampler before, during and after its shutdown.
    pub fn set_sampler(&self, sampler: impl Sampler) {
        if self.handle.home.is_past() {
            return drop(Contained::new(sampler));
        }
        self.note("sampler", Change::Opaque);
        let deadline = Deadline::after(self.handle.flush_timeout);
        if let Err(error) = self.handle.providers.traces.set_sampler(Box::new(sampler), deadline) {
            crate::__warn!("sampler.shutdown", "a sampler that was replaced could not be shut down: {error}");
        }
    }

    /// Replaces the configs of tracers, for spans that start from now on. While a tracer may be disabled, a span below a sampled parent costs
    /// a few nanoseconds more.
    pub fn set_tracer_config(&self, configurator: Configurator<TracerConfig>) {
        if !self.handle.home.is_past() {
            self.note("tracer_config", Change::Opaque);
            self.handle.providers.traces.set_configurator(configurator);
        }
    }

    /// Sets the schedule delay of the batches, for the exporters that have no batch config of their own. A shorter delay applies at once,
    /// a longer one after the next export. Stages, which take their share of the delay, keep that of the build.
    pub fn set_span_batch_delay(&self, delay: Duration) {
        self.note("span_batch", Change::Opaque);
        self.handle.pacers.traces.shared.iter().for_each(|pacer| pacer.set(delay));
    }

    /// Replaces the filter of spans of the whole program, like [`span_filter::set`].
    pub fn set_span_filter(&self, filter: SpanFilter) {
        if !self.handle.home.is_past() {
            self.note("span_filter", Change::Settings(vec![(span_filter::VARIABLE, Some(filter.to_string()))]));
            span_filter::set(filter);
        }
    }

    /// Enables or disables traces. While they are disabled, no span starts, and incoming trace context is propagated unchanged. Spans
    /// that have started are recorded to their end.
    pub fn set_traces_enabled(&self, is_enabled: bool) {
        self.note_switch("traces_disabled", is_enabled);
        self.handle.providers.traces.set_enabled(Switch::Signal, is_enabled);
    }
}

/// Methods for traces.
impl Telemetry {
    /// Returns the tracer provider.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.handle.providers.traces
    }

    /// Returns a tracer whose spans have the scope `name`.
    pub fn tracer(&self, name: impl Into<Cow<'static, str>>) -> SdkTracer {
        self.tracer_provider().tracer(name)
    }
}
