//! Configures, builds and installs metrics.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{KeyValue, global};

use super::provider::named;
use super::{Foundation, Provider};
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
use crate::metrics::{
    ExemplarFilter, MeterConfig, MeterProviderBuilder, MetricReader, PeriodicConfig, PeriodicReader, ReaderConfig,
    SdkMeterProvider, View, active,
};
use crate::resource::Resource;
use crate::runtime::{Pacer, Runtime};
use crate::self_metrics::Words;
use crate::signal::Metrics;
use crate::time::Deadline;

impl PipelineSignal for Metrics {
    const EXPORTERS: &'static str = "OTEL_METRICS_EXPORTER";
    type Schedule = PeriodicConfig;
    type End = Box<dyn MetricReader>;
    type Observer = std::convert::Infallible;

    fn pacer(end: &Self::End) -> Option<Pacer> {
        end.pacer()
    }

    fn schedule_from_env(env: &Env) -> PeriodicConfig {
        PeriodicConfig::from_env(env)
    }

    fn schedule_from_file(schedule: PeriodicConfig, settings: Settings<'_>) -> PeriodicConfig {
        schedule.overridden_by(settings)
    }

    fn start(
        exporter: impl Exporter<Metrics>,
        schedule: PeriodicConfig,
        _: &Resource,
        runtime: &Runtime,
    ) -> Result<Box<dyn MetricReader>, ConfigError> {
        Ok(Box::new(PeriodicReader::start(exporter, schedule, ReaderConfig::new(), runtime)?))
    }

    /// Metrics have no such processor, so this starts a reader.
    fn start_simple(
        exporter: impl Exporter<Metrics>,
        resource: &Resource,
        runtime: &Runtime,
    ) -> Result<Box<dyn MetricReader>, ConfigError> {
        Self::start(exporter, PeriodicConfig::default(), resource, runtime)
    }
}

impl Pipeline<Metrics> {
    /// Creates a pipeline that runs `exporter` behind a periodic reader with this `config`. `adjust` receives the periods shared by the
    /// signal, from code or the environment, and returns those of the reader.
    pub fn periodic(
        exporter: impl Exporter<Metrics>,
        config: ReaderConfig,
        adjust: impl FnOnce(PeriodicConfig) -> PeriodicConfig + Send + 'static,
    ) -> Self {
        Pipeline::starting(move |site| {
            let reader = PeriodicReader::start(exporter, site.schedule(adjust), config, site.runtime)?;
            Ok(Box::new(reader) as Box<dyn MetricReader>)
        })
    }

    /// Creates a pipeline from a reader without an exporter, such as a [`PullReader`](crate::metrics::PullReader).
    pub fn reader(reader: impl MetricReader) -> Self {
        let reader: Box<dyn MetricReader> = Box::new(reader);
        Pipeline::ready(reader)
    }
}

#[derive(Debug, Default)]
pub(in crate::install) struct Model {
    pub(in crate::install) pipelines: Pipelines<Metrics>,
    pub(in crate::install) exemplars: Option<ExemplarFilter>,
    /// Settings that no variable covers: views.
    pub(in crate::install) provider: MeterProviderBuilder,
}

impl Model {
    pub(super) fn complete(&mut self, env: &Env, factories: &[Factory<Metrics>]) -> Result<(), ConfigError> {
        self.exemplars.get_or_insert_with(|| ExemplarFilter::from_env(env));
        self.pipelines.complete(env, factories)
    }

    pub(super) fn start(self, foundation: &mut Foundation<'_>) -> Result<MeterProviderBuilder, ConfigError> {
        let Foundation { resource, clock, runtime, companions, pacers, decided, .. } = foundation;
        if foundation.is_disabled {
            // Scraping a disabled SDK succeeds and returns an empty page.
            self.pipelines.ready().for_each(|reader| reader.disable());
            return Ok(SdkMeterProvider::builder().with_resource(resource.clone()));
        }
        let mut provider = self.provider.with_resource(resource.clone()).with_clock(clock.clone());
        if let Some(redaction) = &foundation.redaction {
            provider = provider.with_redaction(redaction.clone());
        }
        if let Some(filter) = self.exemplars {
            provider = provider.with_exemplar_filter(filter);
        }
        if let Some(decided) = decided {
            provider = provider.with_decided(decided.clone());
        }
        let readers = self.pipelines.start(resource, runtime, companions, &mut pacers.metrics)?;
        Ok(readers.into_iter().fold(provider, MeterProviderBuilder::with_boxed_reader))
    }
}

impl Provider for SdkMeterProvider {
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
        self.is_running()
    }

    fn describe(&self) -> String {
        let destinations = self.components().map(|(reader, _, counters)| match counters {
            Some(counters) => counters.destination().to_owned(),
            None => reader.to_owned(),
        });
        format!("metrics: {}", named(destinations))
    }

    fn counters(&self) -> (Words, Vec<Arc<Counters>>) {
        (Words::POINTS, self.components().filter_map(|(_, _, counters)| counters).collect())
    }

    fn make_global(&self) {
        active::install(self.clone());
        // A provider without readers could replace a provider that has some, and its instruments would cost time
        // without any benefit.
        if self.enabled() {
            global::set_meter_provider(self.clone());
        }
    }

    fn guard_is_gone(&self) {
        active::guard_is_gone();
    }

    fn turn_off_in_child(&self) {
        self.turn_off();
        active::turn_off_in_child();
    }
}

/// Methods for metrics.
impl TelemetryBuilder {
    /// Adds a metric exporter with its own periodic reader, which uses cumulative temporality and default aggregations.
    /// `OTEL_METRICS_EXPORTER` is then not read; to keep the exporters that it selects, call
    /// [`Self::with_additional_metric_exporter`].
    pub fn with_metric_exporter(mut self, exporter: impl Exporter<Metrics>) -> Self {
        self.metrics().pipelines.add(Pipeline::new(exporter));
        self
    }

    /// Adds an exporter of metrics beside those that `OTEL_METRICS_EXPORTER` selects, with its own periodic reader.
    pub fn with_additional_metric_exporter(mut self, exporter: impl Exporter<Metrics>) -> Self {
        self.metrics().pipelines.add_beside(Pipeline::new(exporter));
        self
    }

    /// Adds a metric reader, such as a [`PullReader`](crate::metrics::PullReader), beside those that `OTEL_METRICS_EXPORTER` selects.
    pub fn with_additional_metric_reader(mut self, reader: impl MetricReader) -> Self {
        self.metrics().pipelines.add_beside(Pipeline::reader(reader));
        self
    }

    /// Registers an exporter of metrics under a name that `OTEL_METRICS_EXPORTER` can select, in addition to the other names. Replaces an
    /// exporter with the same name.
    pub fn with_metric_exporter_factory(mut self, factory: Factory<Metrics>) -> Self {
        self.metrics().pipelines.register(factory);
        self
    }

    /// Adds a metric exporter with its own periodic reader, which uses this `config`. `OTEL_METRICS_EXPORTER` is then not
    /// read.
    pub fn with_configured_metric_exporter(mut self, exporter: impl Exporter<Metrics>, config: ReaderConfig) -> Self {
        self.metrics().pipelines.add(Pipeline::periodic(exporter, config, std::convert::identity));
        self
    }

    /// Adds a metric reader, such as a [`PullReader`](crate::metrics::PullReader) or the reader of a Prometheus exporter.
    /// `OTEL_METRICS_EXPORTER` is then not read.
    pub fn with_metric_reader(mut self, reader: impl MetricReader) -> Self {
        self.metrics().pipelines.add(Pipeline::reader(reader));
        self
    }

    /// Sets the exporters' periods, overriding `OTEL_METRIC_EXPORT_*`. The console and the viewer, if `OTEL_METRICS_EXPORTER` selects
    /// them, export more often unless the interval differs from the default.
    pub fn with_metric_periods(mut self, periods: PeriodicConfig) -> Self {
        self.metrics().pipelines.set_schedule(periods);
        self
    }

    /// Adds a view, which configures the streams of the instruments that it selects. An invalid view is reported and ignored.
    pub fn with_view(mut self, view: View) -> Self {
        let metrics = self.metrics();
        metrics.provider = std::mem::take(&mut metrics.provider).with_view(view);
        self
    }

    /// Lets the series expire into which nothing was recorded for this time, such as those of a peer that is gone. Off by default; see
    /// [`MeterProviderBuilder::with_series_expiry`].
    pub fn with_series_expiry(mut self, unused_for: Duration) -> Self {
        let metrics = self.metrics();
        metrics.provider = std::mem::take(&mut metrics.provider).with_series_expiry(unused_for);
        self
    }

    /// Sets the configs of meters, which are selected by the names of their scopes. By default, every meter is enabled.
    pub fn with_meter_config(mut self, configurator: Configurator<MeterConfig>) -> Self {
        let metrics = self.metrics();
        metrics.provider = std::mem::take(&mut metrics.provider).with_meter_config(configurator);
        self
    }

    /// Sets which measurements may become exemplars, overriding `OTEL_METRICS_EXEMPLAR_FILTER`.
    pub fn with_exemplar_filter(mut self, filter: ExemplarFilter) -> Self {
        self.metrics().exemplars = Some(filter);
        self
    }

    fn metrics(&mut self) -> &mut Model {
        &mut self.model.signals.metrics
    }
}

/// Methods for metrics.
impl Control {
    /// Sets the time from the start of one export to the start of the next, with a minimum of one millisecond, for the exporters that
    /// have no interval of their own. A shorter interval applies at once, a longer one after the next export.
    pub fn set_metric_interval(&self, interval: Duration) {
        let interval = interval.max(Duration::from_millis(1));
        self.note("metric_periods", Change::Opaque);
        self.handle.pacers.metrics.shared.iter().for_each(|pacer| pacer.set(interval));
    }

    /// Replaces the configs of meters, for measurements and collections from now on.
    pub fn set_meter_config(&self, configurator: Configurator<MeterConfig>) {
        if !self.handle.home.is_past() {
            self.note("meter_config", Change::Opaque);
            self.handle.providers.metrics.set_configurator(configurator);
        }
    }

    /// Removes the series of the metric `name` whose attributes contain all of these, such as those of a tenant that is gone, and returns
    /// their number; see [`SdkMeterProvider::remove_series`].
    pub fn remove_series(&self, name: &str, attributes: &[KeyValue]) -> usize {
        self.handle.providers.metrics.remove_series(name, attributes)
    }

    /// Enables or disables metrics. While they are disabled, measurements are dropped, callbacks are not called, and collections are
    /// empty. What was measured before stays, and is collected once metrics are enabled again.
    pub fn set_metrics_enabled(&self, is_enabled: bool) {
        self.note_switch("metrics_disabled", is_enabled);
        self.handle.providers.metrics.set_enabled(Switch::Signal, is_enabled);
    }
}

/// Methods for metrics.
impl Telemetry {
    /// Returns the meter provider.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.handle.providers.metrics
    }

    /// Returns a meter whose instruments have the scope `name`.
    pub fn meter(&self, name: &'static str) -> Meter {
        self.meter_provider().meter(name)
    }
}
