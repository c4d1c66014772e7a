//! A reader's configuration: temporality, aggregation and cardinality limit for each instrument kind.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::producer::MetricProducer;
use crate::config::Settings;
use crate::decided::Decided;
use crate::error::Contained;
use crate::metrics::config::{Aggregation, InstrumentKind, PerKind, TemporalityPreference};
use crate::metrics::data::Temporality;
use crate::redaction::Redaction;

/// The defaults of a reader. Views override them.
///
/// spec: metrics/sdk.md#metricreader
#[derive(Clone)]
pub struct ReaderConfig {
    pub(crate) temporality: PerKind<Temporality>,
    pub(crate) aggregation: PerKind<Aggregation>,
    pub(crate) limit: PerKind<usize>,
    pub(crate) expiry: Option<Duration>,
    /// The decisions of tail sampling, after which exemplars are chosen.
    pub(crate) decided: Option<Arc<Decided>>,
    pub(crate) producers: Vec<Arc<Contained<Box<dyn MetricProducer>>>>,
    pub(crate) component_type: Option<&'static str>,
    /// That of the provider.
    pub(crate) redaction: Option<Redaction>,
}

/// The default maximum number of series per metric.
///
/// spec: metrics/sdk.md#cardinality-limits
pub const DEFAULT_CARDINALITY_LIMIT: usize = 2000;
/// The scope of the metrics about the SDK itself.
pub(crate) const SELF_METRICS_SCOPE: &str = "telemark.sdk";

impl Default for ReaderConfig {
    fn default() -> Self {
        ReaderConfig {
            temporality: PerKind::new(|_| Temporality::Cumulative),
            aggregation: PerKind::new(|_| Aggregation::Default),
            limit: PerKind::new(|_| DEFAULT_CARDINALITY_LIMIT),
            expiry: None,
            decided: None,
            producers: Vec::new(),
            component_type: None,
            redaction: None,
        }
    }
}

impl ReaderConfig {
    /// Returns the specification's defaults: cumulative temporality, default aggregations, 2000 series per
    /// metric, no producers.
    pub fn new() -> Self {
        ReaderConfig::default()
    }

    /// Sets the temporality according to one of the specification's preferences.
    pub fn with_temporality(self, preference: TemporalityPreference) -> Self {
        self.with_temporality_of(move |kind| preference.of(kind))
    }

    /// Sets the temporality and the aggregation of histograms that an exporter's settings in a configuration file prefer.
    pub fn with_settings(self, settings: Settings<'_>) -> Self {
        let temporalities = [
            ("cumulative", TemporalityPreference::Cumulative),
            ("delta", TemporalityPreference::Delta),
            ("low_memory", TemporalityPreference::LowMemory),
        ];
        let histograms = [
            ("explicit_bucket_histogram", Aggregation::Default),
            ("base2_exponential_bucket_histogram", Aggregation::exponential()),
        ];
        let config = match settings.one_of("temporality_preference", &temporalities) {
            Some(preference) => self.with_temporality(preference),
            None => self,
        };
        match settings.one_of("default_histogram_aggregation", &histograms) {
            Some(histogram) => config.with_aggregation(move |kind| match kind {
                InstrumentKind::Histogram => histogram.clone(),
                _ => Aggregation::Default,
            }),
            None => config,
        }
    }

    /// Sets the temporality for each instrument kind. Calls `temporality` once per kind before returning.
    ///
    /// [`Temporality::Delta`] for [`InstrumentKind::Gauge`] exports only the series that were recorded since the last
    /// collection, and drops the others. By default, the last value of a series is exported forever.
    ///
    /// spec: metrics/sdk.md#metricreader — the temporality is a function of the instrument kind.
    pub fn with_temporality_of(mut self, temporality: impl Fn(InstrumentKind) -> Temporality) -> Self {
        self.temporality = PerKind::new(temporality);
        self
    }

    /// Sets the aggregation for each instrument kind.
    pub fn with_aggregation(mut self, aggregation: impl Fn(InstrumentKind) -> Aggregation) -> Self {
        self.aggregation = PerKind::new(aggregation);
        self
    }

    /// Sets the maximum number of series for each instrument kind. Measurements beyond the limit share one
    /// overflow series. The metrics about the SDK itself have at least the default limit, so that they show which metrics are full.
    pub fn with_cardinality_limit(mut self, limit: impl Fn(InstrumentKind) -> usize) -> Self {
        self.limit = PerKind::new(limit);
        self
    }

    /// Lets series that are no longer recorded into expire, for this reader instead of [those of the
    /// provider](crate::metrics::MeterProviderBuilder::with_series_expiry), which has the details.
    pub fn with_series_expiry(mut self, unused_for: Duration) -> Self {
        self.expiry = Some(unused_for);
        self
    }

    /// Sets the `otel.component.type` of a [`PullReader`](crate::metrics::PullReader) in the SDK's own metrics.
    /// Defaults to its type name.
    pub fn with_component_type(mut self, component_type: &'static str) -> Self {
        self.component_type = Some(component_type);
        self
    }

    /// Adds a producer, whose metrics become part of each collection.
    pub fn with_producer(mut self, producer: impl MetricProducer) -> Self {
        self.producers.push(Arc::new(Contained::new(Box::new(producer))));
        self
    }
}

impl Debug for ReaderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReaderConfig").field("temporality", &self.temporality).finish_non_exhaustive()
    }
}
