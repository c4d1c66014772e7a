//! Complete telemetry for one test.

use std::sync::Arc;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, ContextGuard};

use super::{InMemoryExporter, ManualClock, SequentialIds, logs_text, metrics_text, tree};
use crate::batch::{BatchConfig, BatchProcessor};
use crate::logs::{self, LoggerProviderBuilder, SdkLogRecord, SdkLoggerProvider};
use crate::metrics::{self, MeterProviderBuilder, PullReader, ReaderConfig, ScopeMetrics, SdkMeterProvider};
use crate::propagation::{self, Propagators};
use crate::resource::Resource;
use crate::runtime::{ManualRuntime, Runtime};
use crate::self_metrics::SelfMetrics;
use crate::signal::{Logs, Traces};
use crate::time::Deadline;
use crate::trace::{SdkTracer, SdkTracerProvider, SpanData, TracerProviderBuilder, active};

/// Keeps spans, metrics and log records in memory, with sequential ids and a manual clock. Nothing is global, so tests can run in
/// parallel. After [`Self::attach`], everything on the test's thread uses this telemetry: `#[traced]` functions,
/// metrics in statics, HTTP layers, active loggers, and header propagation.
///
/// A layer created while the telemetry is attached (`app()` after `attach()`, as in most tests) records its spans and
/// metrics to it on every thread. A layer created earlier records to the program's meter. `#[traced]` functions and
/// statics look up the telemetry in the current context; pass it to other tasks or threads of the test with
/// [`Self::context`].
#[derive(Clone, Debug)]
pub struct TestTelemetry {
    /// The clock that provides span timestamps.
    pub clock: ManualClock,
    /// The exporter, which contains the ended spans after a call to [`Self::spans`] or a flush.
    pub exporter: InMemoryExporter<Traces>,
    provider: SdkTracerProvider,
    meters: SdkMeterProvider,
    reader: PullReader,
    loggers: SdkLoggerProvider,
    log_exporter: InMemoryExporter<Logs>,
    runtime: Arc<ManualRuntime>,
    self_metrics: Option<Arc<SelfMetrics>>,
    propagator: Arc<dyn TextMapPropagator + Send + Sync>,
}

impl TestTelemetry {
    /// Creates a `TestTelemetry` that records everything.
    pub fn new() -> Self {
        TestTelemetry::with(|builder| builder)
    }

    /// Creates a `TestTelemetry` and lets `configure` adjust its tracer provider, for instance to set a sampler. If
    /// the provider counts spans, the test's metrics include the SDK's own metrics.
    pub fn with(configure: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder) -> Self {
        let (clock, exporter, runtime) = (ManualClock::new(), InMemoryExporter::new(), ManualRuntime::new());
        let builder =
            SdkTracerProvider::builder().with_clock(clock.clock()).with_id_generator(SequentialIds::default());
        let started = BatchProcessor::start(
            exporter.clone(),
            Resource::empty(),
            BatchConfig::SPANS.with_max_queue_size(1 << 20).with_max_queue_bytes(usize::MAX),
            &Runtime::Manual(runtime.clone()),
        );
        let builder = match started {
            Ok(processor) => builder.with_processor(processor),
            // A manual runtime does not need a thread, so starting never fails.
            Err(_) => builder,
        };
        let provider = configure(builder).build();
        let reader = PullReader::default();
        let meters = SdkMeterProvider::builder().with_clock(clock.clock()).with_reader(reader.clone()).build();
        let log_exporter = InMemoryExporter::new();
        let loggers = loggers(&clock, &log_exporter, &runtime, |builder| builder);
        let runtime = Arc::new(runtime);
        let propagator = Arc::new(Propagators::default());
        let self_metrics = None;
        let telemetry = TestTelemetry {
            clock,
            exporter,
            provider,
            meters,
            reader,
            loggers,
            log_exporter,
            runtime,
            self_metrics,
            propagator,
        };
        telemetry.observing_itself()
    }

    fn observing_itself(mut self) -> Self {
        let counts = self.provider.span_counts().is_some();
        self.self_metrics = counts.then(|| Arc::new(SelfMetrics::observe(&self.provider, &self.meters)));
        self
    }

    /// Replaces the meter provider. `config` configures the reader of the new provider, and `configure` can modify the
    /// provider, for instance by adding views.
    pub fn with_metrics(
        mut self,
        config: ReaderConfig,
        configure: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder,
    ) -> Self {
        self.reader = PullReader::new(config);
        let builder = SdkMeterProvider::builder().with_clock(self.clock.clock()).with_reader(self.reader.clone());
        self.meters = configure(builder).build();
        self.observing_itself()
    }

    /// Replaces the logger provider with one that `configure` can modify, such as by setting limits.
    pub fn with_logs(mut self, configure: impl FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder) -> Self {
        self.loggers = loggers(&self.clock, &self.log_exporter, &self.runtime, configure);
        self
    }

    /// Replaces the propagator. The default is W3C Trace Context and Baggage.
    pub fn with_propagator(mut self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.propagator = Arc::new(propagator);
        self
    }

    /// Returns the meter provider.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.meters
    }

    /// Returns a meter whose instruments have the scope `name`.
    pub fn meter(&self, name: &'static str) -> Meter {
        self.meters.meter(name)
    }

    /// Collects the current metrics. Returns nothing after shutdown.
    pub fn collect(&self) -> Vec<ScopeMetrics> {
        self.reader.collect(Deadline::NEVER).unwrap_or_default()
    }

    /// Collects the current metrics as text; see [`metrics_text`].
    pub fn metrics(&self) -> String {
        metrics_text(&self.collect())
    }

    /// Returns the logger provider.
    pub fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.loggers
    }

    /// Returns the emitted log records.
    pub fn log_records(&self) -> Vec<SdkLogRecord> {
        // The in-memory exporter always succeeds.
        let _ = self.loggers.force_flush(Deadline::NEVER);
        self.log_exporter.items()
    }

    /// Returns the emitted log records as text; see [`logs_text`].
    pub fn logs(&self) -> String {
        logs_text(&self.log_records())
    }

    /// Returns the tracer provider.
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Returns a tracer whose spans have the scope `name`.
    pub fn tracer(&self, name: &'static str) -> SdkTracer {
        self.provider.tracer(name)
    }

    /// Returns the runtime on which the processor runs.
    pub fn runtime(&self) -> &ManualRuntime {
        &self.runtime
    }

    /// Makes everything on this thread use this telemetry until the guard is dropped: `#[traced]` functions, metrics
    /// in statics, HTTP layers, and header propagation.
    pub fn attach(&self) -> ContextGuard {
        self.context().attach()
    }

    /// Returns the current context with this telemetry added, for use on other threads.
    pub fn context(&self) -> Context {
        let context = active::with_tracer(&Context::current(), self.tracer("telemark"));
        let context = metrics::active::with_meter_provider(&context, self.meters.clone());
        let context = logs::active::with_logger_provider(&context, self.loggers.clone());
        propagation::active::with_propagator(&context, self.propagator.clone())
    }

    /// Returns the ended spans.
    pub fn spans(&self) -> Vec<SpanData> {
        // The in-memory exporter always succeeds.
        let _ = self.provider.force_flush(Deadline::NEVER);
        self.exporter.items()
    }

    /// Returns the ended spans as text; see [`tree`].
    pub fn tree(&self) -> String {
        tree(&self.spans())
    }
}

fn loggers(
    clock: &ManualClock,
    exporter: &InMemoryExporter<Logs>,
    runtime: &ManualRuntime,
    configure: impl FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder,
) -> SdkLoggerProvider {
    let builder = SdkLoggerProvider::builder().with_clock(clock.clock());
    let config = BatchConfig::LOGS.with_max_queue_size(1 << 20);
    let started = BatchProcessor::start(exporter.clone(), Resource::empty(), config, &Runtime::Manual(runtime.clone()));
    // A manual runtime needs no thread, so it always starts. The exporter comes last, behind the processors of the test.
    match (configure(builder), started) {
        (builder, Ok(processor)) => builder.with_processor(processor),
        (builder, Err(_)) => builder,
    }
    .build()
}

impl Default for TestTelemetry {
    fn default() -> Self {
        TestTelemetry::new()
    }
}
