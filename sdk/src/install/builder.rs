//! What telemetry is made of: code first, then the environment.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;

use super::{Telemetry, TelemetryHandle};
use crate::batch::{BatchConfig, BatchProcessor, Stage};
use crate::config::{self, Env};
use crate::diag;
use crate::error::ConfigError;
use crate::export::Exporter;
use crate::id::IdGenerator;
use crate::limits::SpanLimits;
use crate::metrics::{
    ExemplarFilter, MeterProviderBuilder, MetricReader, PeriodicConfig, PeriodicReader, ReaderConfig, SdkMeterProvider,
    View,
};
use crate::process::Generation;
use crate::propagation::Propagators;
use crate::resource::Resource;
use crate::runtime::Runtime;
use crate::sampling::{self, Sampler};
use crate::self_metrics::SelfMetrics;
use crate::signal::{Metrics, Signal, Traces};
use crate::time::Clock;
use crate::trace::{SdkTracerProvider, SpanProcessor, TracerProviderBuilder};

/// Configures a [`Telemetry`].
#[derive(Debug)]
pub struct TelemetryBuilder {
    env: Env,
    traces: TracerProviderBuilder,
    resource: Resource,
    sampler: Option<Box<dyn Sampler>>,
    limits: Option<SpanLimits>,
    batch: Option<BatchConfig>,
    runtime: Runtime,
    exporters: Vec<Unsent<Traces>>,
    span_stages: Stages,
    metrics: MeterProviderBuilder,
    periods: Option<PeriodicConfig>,
    exemplars: Option<ExemplarFilter>,
    metric_exporters: Vec<(Unsent<Metrics>, ReaderConfig)>,
    propagator: Option<Box<dyn TextMapPropagator + Send + Sync>>,
    flush_timeout: Duration,
    handles_termination: bool,
    self_metrics: bool,
    companions: Vec<Box<dyn Companion>>,
}

/// Something that is kept, whatever it is.
pub(super) trait Companion: std::fmt::Debug + Send + Sync {}

impl<T: std::fmt::Debug + Send + Sync> Companion for T {}

/// The stages before the exporters of spans.
#[derive(Default)]
struct Stages(Vec<Box<dyn Stage<Traces>>>);

impl std::fmt::Debug for Stages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} stages", self.0.len())
    }
}

/// An exporter that waits for its processor or reader.
struct Unsent<S: Signal>(Box<dyn Exporter<S>>);

impl<S: Signal> std::fmt::Debug for Unsent<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exporter")
    }
}

impl TelemetryBuilder {
    pub(super) fn new(env: Env) -> Self {
        TelemetryBuilder {
            env,
            traces: SdkTracerProvider::builder(),
            resource: Resource::empty(),
            sampler: None,
            limits: None,
            batch: None,
            runtime: Runtime::Thread,
            exporters: Vec::new(),
            span_stages: Stages::default(),
            metrics: SdkMeterProvider::builder(),
            periods: None,
            exemplars: None,
            metric_exporters: Vec::new(),
            propagator: None,
            flush_timeout: Duration::from_secs(5),
            handles_termination: false,
            self_metrics: false,
            companions: Vec::new(),
        }
    }

    /// Replaces the variables that this builder reads, and nothing else that was set.
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// The variables that this builder reads.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Attributes of the resource; they win over those of the environment.
    pub fn with_resource(mut self, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.resource = self.resource.merge(&Resource::new(attributes));
        self
    }

    /// The sampler, instead of that of `OTEL_TRACES_SAMPLER`.
    pub fn with_sampler(mut self, sampler: impl Sampler) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// The limits of spans, instead of those of the environment.
    pub fn with_span_limits(mut self, limits: SpanLimits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// How spans are batched, instead of `OTEL_BSP_*`.
    pub fn with_batch_config(mut self, config: BatchConfig) -> Self {
        self.batch = Some(config);
        self
    }

    /// Where ids come from; by default they are random.
    pub fn with_id_generator(mut self, ids: impl IdGenerator) -> Self {
        self.traces = self.traces.with_id_generator(ids);
        self
    }

    /// Where the time comes from; by default from the system.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.traces = self.traces.with_clock(clock.clone());
        self.metrics = self.metrics.with_clock(clock);
        self
    }

    /// Where the background work runs; by default on threads of its own.
    pub fn with_runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    /// Adds an exporter of spans, with a batch processor of its own.
    pub fn with_span_exporter(mut self, exporter: impl Exporter<Traces>) -> Self {
        self.exporters.push(Unsent(Box::new(exporter)));
        self
    }

    /// Adds a stage, which edits or drops finished spans before any exporter sees them. Stages run in the order in which they
    /// were added, on a thread of their own.
    pub fn with_span_stage(mut self, stage: impl Stage<Traces>) -> Self {
        self.span_stages.0.push(Box::new(stage));
        self
    }

    /// Adds a span processor, before those of the exporters.
    pub fn with_span_processor(mut self, processor: impl SpanProcessor) -> Self {
        self.traces = self.traces.with_processor(processor);
        self
    }

    /// Adds an exporter of metrics, with a periodic reader of its own: cumulative, with the default aggregations.
    pub fn with_metric_exporter(self, exporter: impl Exporter<Metrics>) -> Self {
        self.with_configured_metric_exporter(exporter, ReaderConfig::new())
    }

    /// Adds an exporter of metrics, with a periodic reader of its own that is configured so.
    pub fn with_configured_metric_exporter(mut self, exporter: impl Exporter<Metrics>, config: ReaderConfig) -> Self {
        self.metric_exporters.push((Unsent(Box::new(exporter)), config));
        self
    }

    /// Adds a reader of metrics, such as a [`PullReader`](crate::metrics::PullReader).
    pub fn with_metric_reader(mut self, reader: impl MetricReader) -> Self {
        self.metrics = self.metrics.with_reader(reader);
        self
    }

    /// When metrics are exported, instead of `OTEL_METRIC_EXPORT_*`.
    pub fn with_metric_periods(mut self, periods: PeriodicConfig) -> Self {
        self.periods = Some(periods);
        self
    }

    /// Adds a view. One that cannot be used is reported and ignored.
    pub fn with_view(mut self, view: View) -> Self {
        self.metrics = self.metrics.with_view(view);
        self
    }

    /// Which measurements may become exemplars, instead of `OTEL_METRICS_EXEMPLAR_FILTER`.
    pub fn with_exemplar_filter(mut self, filter: ExemplarFilter) -> Self {
        self.exemplars = Some(filter);
        self
    }

    /// The propagator, instead of those of `OTEL_PROPAGATORS`.
    pub fn with_propagator(mut self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.propagator = Some(Box::new(propagator));
        self
    }

    /// The longest that dropping the telemetry may take; 5 s by default.
    pub fn with_flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = timeout;
        self
    }

    /// Also shuts the telemetry down when SIGTERM, SIGINT (Ctrl-C), `exit` or a return from `main` ends the program while
    /// it is installed and not dropped. Off by default. Works once in a process, on Unix; elsewhere it does nothing.
    ///
    /// The program keeps its signals. If it handles one itself, with a handler installed before or after by tokio,
    /// signal-hook or `sigaction`, the telemetry is only flushed, and the program ends when it decides to. If no other
    /// handler is installed, the telemetry is shut down within its flush timeout and the signal then ends the program; a
    /// second signal ends it at once. An ignored signal stays ignored. A plugin that does this must not be unloaded.
    pub fn with_termination_handler(mut self, is_wanted: bool) -> Self {
        self.handles_termination = is_wanted;
        self
    }

    /// Adds the metrics of the SDK itself, `otel.sdk.*`, to those of the program, as `OTEL_RUST_SELF_METRICS=true` does. See
    /// [`SelfMetrics`].
    pub fn with_self_metrics(mut self) -> Self {
        self.self_metrics = true;
        self
    }

    /// Keeps something until the telemetry is dropped and everything exported: a server that shows the metrics, for example.
    pub fn with_companion(mut self, companion: impl std::fmt::Debug + Send + Sync + 'static) -> Self {
        self.companions.push(Box::new(companion));
        self
    }

    /// Starts the telemetry, without making it global. What the environment says wrongly is reported and ignored.
    ///
    /// With `OTEL_SDK_DISABLED=true` nothing is recorded, whatever was set in code; propagation works all the same.
    ///
    /// # Errors
    /// The operating system refuses to start another thread.
    pub fn build(self) -> Result<Telemetry, ConfigError> {
        let env = &self.env;
        if let Some(level) = diag::level_of(env) {
            diag::set_max_level(level);
        }
        config::warn_of_unknown(env);
        let propagator = self.propagator.unwrap_or_else(|| Box::new(Propagators::from_env(env)));
        let mut traces = self.traces;
        let mut metrics = self.metrics;
        let self_metrics = env.boolean("OTEL_RUST_SELF_METRICS") || self.self_metrics;
        if env.boolean("OTEL_SDK_DISABLED") {
            traces = SdkTracerProvider::builder().disabled();
            metrics = metrics.disabled();
        } else {
            let resource = Resource::from_env(env).merge(&self.resource);
            let batch = self.batch.unwrap_or_else(|| BatchConfig::spans_from_env(env));
            let mut processors: Vec<Box<dyn SpanProcessor>> = Vec::new();
            for Unsent(exporter) in self.exporters {
                let processor = BatchProcessor::start(exporter, resource.clone(), batch, &self.runtime)?;
                processors.push(Box::new(processor));
            }
            traces = traces.with_staged(self.span_stages.0, processors, batch, &self.runtime)?;
            let periods = self.periods.unwrap_or_else(|| PeriodicConfig::from_env(env));
            for (Unsent(exporter), config) in self.metric_exporters {
                metrics = metrics.with_reader(PeriodicReader::start(exporter, periods, config, &self.runtime)?);
            }
            metrics = metrics
                .with_resource(resource.clone())
                .with_exemplar_filter(self.exemplars.unwrap_or_else(|| ExemplarFilter::from_env(env)));
            traces = traces
                .with_resource(resource)
                .with_limits(self.limits.unwrap_or_else(|| SpanLimits::from_env(env)))
                .with_boxed_sampler(self.sampler.unwrap_or_else(|| sampling::from_env(env)));
        }
        for warning in env.take_warnings() {
            diag::warn_always(format_args!("{warning}"));
        }
        let meters = metrics.build();
        // Without a reader nobody would see what is counted.
        let self_metrics = self_metrics && meters.is_read();
        let tracers = if self_metrics { traces.with_span_counts() } else { traces }.build();
        let mut companions = self.companions;
        if self_metrics {
            companions.push(Box::new(SelfMetrics::observe(&tracers, &meters)));
        }
        let handle = TelemetryHandle {
            tracers,
            meters,
            flush_timeout: self.flush_timeout,
            handles_termination: self.handles_termination,
            home: Generation::current(),
            has_ended: Arc::default(),
        };
        Ok(Telemetry::new(handle, propagator, companions))
    }
}
