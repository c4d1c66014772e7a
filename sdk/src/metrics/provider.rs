//! The meter provider: a resource, views and readers, shared by its meters and their instruments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider, NoopMeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};

use crate::attributes;
use crate::control::Configurator;
use crate::control::Switch;
use crate::decided::Decided;
use crate::diag::{Counters, Durations, SignalHealth};
use crate::error::ExportError;
use crate::metrics::config::{MeterConfig, View};
use crate::metrics::exemplar::{ExemplarFilter, Selection};
use crate::metrics::instrument::{SdkMeter, Shared};
use crate::metrics::meters::Meters;
use crate::metrics::reader::{Begin, Callbacks, MetricReader, Pipeline, SeriesSource, Source};
use crate::metrics::series::Stream;
use crate::redaction::Redaction;
use crate::resource::Resource;
use crate::time::{Clock, Deadline};

/// Creates meters. Cheap to clone; all clones refer to the same provider.
///
/// spec: metrics/sdk.md#meterprovider
#[derive(Clone)]
pub struct SdkMeterProvider(Arc<ProviderInner>);

struct ProviderInner {
    shared: Arc<Shared>,
    /// Not shared with the meters, so that dropping the last provider stops the readers' threads.
    readers: Vec<Box<dyn MetricReader>>,
    resource: Resource,
    redaction: Option<Redaction>,
}

impl SdkMeterProvider {
    /// Returns a builder with the default settings.
    pub fn builder() -> MeterProviderBuilder {
        MeterProviderBuilder::default()
    }

    /// Returns a meter whose callbacks can be unregistered. [`MeterProvider::meter`] returns the API's meter.
    pub fn sdk_meter(&self, scope: InstrumentationScope) -> SdkMeter {
        let scope = attributes::valid_scope(scope);
        let scope = match &self.0.redaction {
            Some(redaction) => redaction.scope(scope),
            None => scope,
        };
        SdkMeter { scope: Arc::new(scope), shared: self.0.shared.clone() }
    }

    /// Returns true if there is at least one reader. Without readers, nothing is recorded.
    pub fn enabled(&self) -> bool {
        !self.0.shared.pipelines.is_empty()
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Clock {
        &self.0.shared.clock
    }

    /// Returns the resource.
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// Causes every reader to collect and export.
    ///
    /// # Errors
    /// Returns the first error from a reader. All readers are flushed regardless.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.each_reader(Begin::Flush, deadline)
    }

    /// Collects and exports one last time, then stops. A second call waits for the first to finish.
    ///
    /// # Errors
    /// Returns the first error from a reader. All readers are shut down regardless.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shared.is_shut_down.store(true, Ordering::Release);
        let result = self.each_reader(Begin::Shutdown, deadline);
        self.0.shared.callbacks.clear();
        result
    }

    /// Returns the counts of delivered and lost points for each reader that exports.
    pub fn health(&self) -> Vec<SignalHealth> {
        self.0.readers.iter().filter_map(|reader| reader.health()).collect()
    }

    /// Returns the number of measurements rejected because they were not finite, or negative on a counter. A
    /// measurement is counted once for each metric that rejects it. Gauges accept infinities but not NaN.
    pub fn rejected_measurements(&self) -> u64 {
        self.0.shared.rejected.load(Ordering::Relaxed)
    }

    /// Returns the number of delta data points lost in failed exports, summed over all readers. No later export
    /// contains their values. [`Self::health`] counts all undelivered points, including totals that the next
    /// export replaces.
    pub fn lost_delta_points(&self) -> u64 {
        self.0.shared.pipelines.iter().map(|pipeline| pipeline.lost_deltas()).sum()
    }

    /// Returns the number of series that have expired because nothing was recorded into them, summed over all readers.
    pub fn expired_series(&self) -> u64 {
        self.streams().map(|stream| stream.expired()).sum()
    }

    /// Removes the series of the metric `name` whose attributes contain all of these, from all readers: all series without attributes, or those
    /// of a tenant that is gone. Ignores the case of the name, which is that of the view if a view renames the metric. Returns the number
    /// of removed series.
    ///
    /// What was measured and not exported is gone as well. The next measurement begins a new series, with a start time of its own.
    /// Stays: the series to which an instrument is bound, and what callbacks observe.
    ///
    /// With [redaction](crate::redaction), the attributes are redacted before they are compared, because series have only what is left. If
    /// the attributes of several series become equal, they are one series, which is removed for all of them; if one of the given
    /// attributes is deleted, nothing is removed.
    pub fn remove_series(&self, name: &str, attributes: &[KeyValue]) -> usize {
        let of_name = self.streams().filter(|stream| stream.config.name.eq_ignore_ascii_case(name));
        of_name.map(|stream| stream.remove(attributes)).sum()
    }

    /// Returns what counts the series of each reader, in the order of [`Self::components`].
    pub(crate) fn series_sources(&self) -> impl Iterator<Item = SeriesSource> {
        self.0.shared.pipelines.iter().cloned().map(SeriesSource)
    }

    fn streams(&self) -> impl Iterator<Item = Arc<Stream>> {
        let scopes = self.0.shared.pipelines.iter().flat_map(|pipeline| pipeline.registry.scopes());
        scopes.flat_map(|scope| scope.streams)
    }

    /// Returns the number of instruments and callbacks rejected because a reader already had
    /// [`INSTRUMENT_LIMIT`](super::INSTRUMENT_LIMIT) of them, summed over all readers.
    pub fn rejected_instruments(&self) -> u64 {
        let Shared { pipelines, callbacks, .. } = &*self.0.shared;
        pipelines.iter().map(|pipeline| pipeline.registry.rejected()).sum::<u64>() + callbacks.rejected()
    }

    /// Returns true if there is a reader and the provider has not been shut down.
    pub(crate) fn is_running(&self) -> bool {
        self.is_read() && !self.0.shared.is_shut_down.load(Ordering::Acquire)
    }

    /// Stops creating instruments. Runs in a forked child, so this is a single atomic store.
    pub(crate) fn turn_off(&self) {
        self.0.shared.is_shut_down.store(true, Ordering::Release);
    }

    /// Replaces the configurator of meters.
    pub(crate) fn set_configurator(&self, configurator: Configurator<MeterConfig>) {
        self.0.shared.meters.set_configurator(configurator);
    }

    /// Sets one of the switches. While one is off, nothing is measured or collected.
    pub(crate) fn set_enabled(&self, switch: Switch, is_enabled: bool) {
        self.0.shared.meters.set_enabled(switch, is_enabled);
    }

    pub(crate) fn is_enabled(&self, switch: Switch) -> bool {
        self.0.shared.meters.is_enabled(switch)
    }

    /// Returns true if there is a reader.
    pub(crate) fn is_read(&self) -> bool {
        !self.0.readers.is_empty()
    }

    /// Iterates over the readers. Yields each reader's component type, collection durations, and its counters if it
    /// exports.
    pub(crate) fn components(&self) -> impl Iterator<Item = (&'static str, &Durations, Option<Arc<Counters>>)> {
        let readers = self.0.readers.iter().zip(&self.0.shared.pipelines);
        readers.map(|(reader, pipeline)| (reader.component_type(), &pipeline.durations, reader.counters()))
    }

    /// Starts all readers before waiting for any of them, so that each reader gets the full time. Returns the first
    /// error.
    fn each_reader(&self, what: Begin, deadline: Deadline) -> Result<(), ExportError> {
        let begun: Vec<_> = self.0.readers.iter().map(|reader| reader.begin(what, deadline)).collect();
        let mut result = Ok(());
        for begun in begun {
            result = result.and(begun.wait(deadline));
        }
        result
    }
}

impl Drop for ProviderInner {
    /// Breaks the reference cycle between the callbacks and the meters they capture.
    fn drop(&mut self) {
        self.shared.callbacks.clear();
    }
}

impl MeterProvider for SdkMeterProvider {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        // spec: metrics/sdk.md#shutdown — after shutdown, meters do nothing.
        if self.0.shared.is_shut_down.load(Ordering::Acquire) {
            return NoopMeterProvider::new().meter_with_scope(scope);
        }
        if scope.name().is_empty() {
            // spec: metrics/sdk.md#meter-creation — a meter with an empty name still works.
            crate::__warn!("metrics.meter", "a meter was requested without a name");
        }
        Meter::new(Arc::new(self.sdk_meter(scope)))
    }
}

impl std::fmt::Debug for SdkMeterProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SdkMeterProvider").field("readers", &self.0.readers).finish_non_exhaustive()
    }
}

/// Configures and builds an [`SdkMeterProvider`].
#[derive(Debug)]
pub struct MeterProviderBuilder {
    resource: Resource,
    clock: Clock,
    views: Vec<View>,
    readers: Vec<Box<dyn MetricReader>>,
    exemplars: ExemplarFilter,
    decided: Option<Arc<Decided>>,
    expiry: Option<Duration>,
    configurator: Configurator<MeterConfig>,
    redaction: Option<Redaction>,
}

impl Default for MeterProviderBuilder {
    fn default() -> Self {
        MeterProviderBuilder {
            resource: Resource::empty(),
            clock: Clock::system(),
            views: Vec::new(),
            readers: Vec::new(),
            exemplars: ExemplarFilter::TraceBased,
            decided: None,
            expiry: None,
            configurator: Configurator::default(),
            redaction: None,
        }
    }
}

impl MeterProviderBuilder {
    /// Sets the resource. Empty by default.
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resource = resource;
        self
    }

    /// Sets the clock. Defaults to the system clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a view. Ignores an invalid view and logs a warning.
    pub fn with_view(mut self, view: View) -> Self {
        match view.problem() {
            Some(problem) => crate::diag::log_always(
                crate::diag::Level::Warn,
                format_args!("a view is ignored because {problem}: {view:?}"),
            ),
            None => self.views.push(view),
        }
        self
    }

    /// Adds a reader. Without readers, nothing is recorded.
    pub fn with_reader(self, reader: impl MetricReader) -> Self {
        self.with_boxed_reader(Box::new(reader))
    }

    pub(crate) fn with_boxed_reader(mut self, reader: Box<dyn MetricReader>) -> Self {
        self.readers.push(reader);
        self
    }

    /// Sets the exemplar filter. By default, only measurements made in sampled spans are eligible.
    pub fn with_exemplar_filter(mut self, filter: ExemplarFilter) -> Self {
        self.exemplars = filter;
        self
    }

    /// Chooses exemplars after the decisions of tail sampling.
    pub(crate) fn with_decided(mut self, decided: Arc<Decided>) -> Self {
        self.decided = Some(decided);
        self
    }

    /// Lets the series expire into which nothing was recorded for this time, such as those of a peer that is gone. By default, a series
    /// without deltas is exported until the end of the program. A [reader](crate::metrics::ReaderConfig::with_series_expiry) or a
    /// [view](View::with_series_expiry) can set another time.
    ///
    /// Collections notice what is recorded, so a series expires in a collection at least this time after the one that contained its
    /// last measurement. From then on it is not exported, and [counted](SdkMeterProvider::expired_series). Its next measurement begins a
    /// new series, with a start time of its own. While a bound instrument or a thread that uses the instrument holds the series, its next
    /// measurement continues it, with its total and its start time. A thread lets go when it records into another series of the instrument.
    /// Such a series leaves its place in the cardinality limit to another one, so that there are at most twice as many series in memory, and
    /// in a collection only if they are measured again.
    ///
    /// Has no effect on deltas, which contain only what was recorded, or on observed totals and values, which are exported
    /// whenever a callback reports them.
    pub fn with_series_expiry(mut self, unused_for: Duration) -> Self {
        self.expiry = Some(unused_for);
        self
    }

    /// Sets the configs of meters. By default, every meter is enabled.
    pub fn with_meter_config(mut self, configurator: Configurator<MeterConfig>) -> Self {
        self.configurator = configurator;
        self
    }

    /// Returns true if series expire.
    pub(crate) fn has_series_expiry(&self) -> bool {
        self.expiry.is_some()
    }

    /// Redacts the attributes of series, exemplars and scopes.
    pub(crate) fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = Some(redaction);
        self
    }

    /// Returns true if code has set configs of meters.
    pub(crate) fn has_rules(&self) -> bool {
        !self.configurator.is_default()
    }

    /// Builds the provider.
    pub fn build(mut self) -> SdkMeterProvider {
        let (callbacks, meters) = (Arc::new(Callbacks::default()), Arc::new(Meters::new(self.configurator)));
        let mut pipelines = Vec::new();
        for (index, reader) in self.readers.iter_mut().enumerate() {
            let (mut config, resource, clock) = (reader.take_config(), self.resource.clone(), self.clock.clone());
            config.expiry = config.expiry.or(self.expiry);
            config.redaction.clone_from(&self.redaction);
            config.decided.clone_from(&self.decided);
            let pipeline = Pipeline::new(index, config, resource, clock, (callbacks.clone(), meters.clone()));
            let pipeline = Arc::new(pipeline);
            reader.connect(Source(pipeline.clone()));
            pipelines.push(pipeline);
        }
        let shared = Shared {
            views: self.views,
            pipelines,
            callbacks,
            exemplars: Selection::new(self.exemplars, self.decided.is_some()),
            clock: self.clock,
            meters,
            is_shut_down: AtomicBool::new(false),
            rejected: Arc::new(AtomicU64::new(0)),
        };
        SdkMeterProvider(Arc::new(ProviderInner {
            shared: Arc::new(shared),
            readers: self.readers,
            resource: self.resource,
            redaction: self.redaction,
        }))
    }
}
