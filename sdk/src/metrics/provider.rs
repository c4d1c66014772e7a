//! The meter provider: resource, views and readers, shared by its meters and their instruments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{Meter, MeterProvider, NoopMeterProvider};

use crate::attributes;
use crate::diag::{Counters, Durations, SignalHealth};
use crate::error::ExportError;
use crate::metrics::config::View;
use crate::metrics::exemplar::ExemplarFilter;
use crate::metrics::instrument::{SdkMeter, Shared};
use crate::metrics::reader::{Begin, Callbacks, MetricReader, Pipeline, Source};
use crate::resource::Resource;
use crate::time::{Clock, Deadline};

/// Makes meters. Cheap to clone; the clones are one provider.
///
/// spec: metrics/sdk.md#meterprovider
#[derive(Clone)]
pub struct SdkMeterProvider(Arc<ProviderInner>);

struct ProviderInner {
    shared: Arc<Shared>,
    /// Not shared with the meters: when the last provider goes, the readers' threads end.
    readers: Vec<Box<dyn MetricReader>>,
    resource: Resource,
}

impl SdkMeterProvider {
    /// A provider to be configured.
    pub fn builder() -> MeterProviderBuilder {
        MeterProviderBuilder::default()
    }

    /// A meter of our own kind, for callbacks that end; the API's is [`MeterProvider::meter`].
    pub fn sdk_meter(&self, scope: InstrumentationScope) -> SdkMeter {
        SdkMeter { scope: Arc::new(attributes::valid_scope(scope)), shared: self.0.shared.clone() }
    }

    /// Whether anything is recorded at all: there is a reader.
    pub fn enabled(&self) -> bool {
        !self.0.shared.pipelines.is_empty()
    }

    /// Where the time comes from.
    pub fn clock(&self) -> &Clock {
        &self.0.shared.clock
    }

    /// What produces the telemetry.
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// Collects and exports with every reader.
    ///
    /// # Errors
    /// The first error of a reader; the others are flushed all the same.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.each_reader(Begin::Flush, deadline)
    }

    /// Collects and exports for the last time, and stops. A second call waits for the first.
    ///
    /// # Errors
    /// The first error of a reader; the others are shut down all the same.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shared.is_shut_down.store(true, Ordering::Release);
        let result = self.each_reader(Begin::Shutdown, deadline);
        self.0.shared.callbacks.clear();
        result
    }

    /// What became of the points, for each reader that exports.
    pub fn health(&self) -> Vec<SignalHealth> {
        self.0.readers.iter().filter_map(|reader| reader.health()).collect()
    }

    /// How many measurements were not taken because they were not finite, or negative for a counter; counted for each metric
    /// that would have had them. Gauges take infinities, but not what is no number.
    pub fn rejected_measurements(&self) -> u64 {
        self.0.shared.rejected.load(Ordering::Relaxed)
    }

    /// How many data points of deltas were lost with exports that failed, added up over the readers: what they counted is in no
    /// later export. [`Self::health`] has all points that were not delivered, for whose totals the next export makes up.
    pub fn lost_delta_points(&self) -> u64 {
        self.0.shared.pipelines.iter().map(|pipeline| pipeline.lost_deltas()).sum()
    }

    /// How many times an instrument, or a callback of one, was made that does nothing because there were as many as
    /// [`INSTRUMENT_LIMIT`](super::INSTRUMENT_LIMIT) already, added up over the readers.
    pub fn rejected_instruments(&self) -> u64 {
        let Shared { pipelines, callbacks, .. } = &*self.0.shared;
        pipelines.iter().map(|pipeline| pipeline.registry.rejected()).sum::<u64>() + callbacks.rejected()
    }

    /// Returns true while there is a reader and it is not shut down.
    pub(crate) fn is_running(&self) -> bool {
        self.is_read() && !self.0.shared.is_shut_down.load(Ordering::Acquire)
    }

    /// Makes no instruments any more. One atomic store, for it is called in a forked child.
    pub(crate) fn turn_off(&self) {
        self.0.shared.is_shut_down.store(true, Ordering::Release);
    }

    /// Whether there is a reader.
    pub(crate) fn is_read(&self) -> bool {
        !self.0.readers.is_empty()
    }

    /// The readers: the component type of each, how long its collections take, and where it counts if it exports.
    pub(crate) fn components(&self) -> impl Iterator<Item = (&'static str, &Durations, Option<Arc<Counters>>)> {
        let readers = self.0.readers.iter().zip(&self.0.shared.pipelines);
        readers.map(|(reader, pipeline)| (reader.component_type(), &pipeline.durations, reader.counters()))
    }

    /// All of them are asked before one is waited for: each has the whole time. The first error stays.
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
    /// A callback may hold a meter, which holds the callbacks.
    fn drop(&mut self) {
        self.shared.callbacks.clear();
    }
}

impl MeterProvider for SdkMeterProvider {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        // spec: metrics/sdk.md#shutdown — afterwards meters do nothing.
        if self.0.shared.is_shut_down.load(Ordering::Acquire) {
            return NoopMeterProvider::new().meter_with_scope(scope);
        }
        if scope.name().is_empty() {
            // spec: metrics/sdk.md#meter-creation — it works all the same.
            crate::__warn!("metrics.meter", "a meter was asked for without a name");
        }
        Meter::new(Arc::new(self.sdk_meter(scope)))
    }
}

impl std::fmt::Debug for SdkMeterProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SdkMeterProvider").field("readers", &self.0.readers).finish_non_exhaustive()
    }
}

/// Configures a [`SdkMeterProvider`].
#[derive(Debug)]
pub struct MeterProviderBuilder {
    resource: Resource,
    clock: Clock,
    views: Vec<View>,
    readers: Vec<Box<dyn MetricReader>>,
    exemplars: ExemplarFilter,
}

impl Default for MeterProviderBuilder {
    fn default() -> Self {
        MeterProviderBuilder {
            resource: Resource::empty(),
            clock: Clock::system(),
            views: Vec::new(),
            readers: Vec::new(),
            exemplars: ExemplarFilter::TraceBased,
        }
    }
}

impl MeterProviderBuilder {
    /// What produces the telemetry; by default nothing is said.
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resource = resource;
        self
    }

    /// Where the time comes from; by default from the system.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a view. One that cannot be used is reported and ignored.
    pub fn with_view(mut self, view: View) -> Self {
        match view.problem() {
            Some(problem) => crate::diag::warn_always(format_args!("a view is ignored, for {problem}: {view:?}")),
            None => self.views.push(view),
        }
        self
    }

    /// Adds a reader. Without any, nothing is recorded.
    pub fn with_reader(self, reader: impl MetricReader) -> Self {
        self.with_boxed_reader(Box::new(reader))
    }

    pub(crate) fn with_boxed_reader(mut self, reader: Box<dyn MetricReader>) -> Self {
        self.readers.push(reader);
        self
    }

    /// Which measurements may become exemplars; by default those made in sampled spans.
    pub fn with_exemplar_filter(mut self, filter: ExemplarFilter) -> Self {
        self.exemplars = filter;
        self
    }

    /// The provider.
    pub fn build(mut self) -> SdkMeterProvider {
        let callbacks = Arc::new(Callbacks::default());
        let mut pipelines = Vec::new();
        for (index, reader) in self.readers.iter_mut().enumerate() {
            let (config, resource, clock) = (reader.take_config(), self.resource.clone(), self.clock.clone());
            let pipeline = Pipeline::new(index, config, resource, clock, callbacks.clone());
            let pipeline = Arc::new(pipeline);
            reader.connect(Source(pipeline.clone()));
            pipelines.push(pipeline);
        }
        let shared = Shared {
            views: self.views,
            pipelines,
            callbacks,
            exemplars: self.exemplars,
            clock: self.clock,
            is_shut_down: AtomicBool::new(false),
            rejected: Arc::new(AtomicU64::new(0)),
        };
        SdkMeterProvider(Arc::new(ProviderInner {
            shared: Arc::new(shared),
            readers: self.readers,
            resource: self.resource,
        }))
    }
}
