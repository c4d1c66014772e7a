//! Metrics: from a measurement to the points that a reader exports.
//!
//! ```text
//! meter.u64_counter(name).build()     Registry: the streams of a reader, found by a hash, bounded
//! counter.add(v, attributes)          the API's instrument
//!   SdkInstrument (synchronous)       is it a number; is a sampled span current
//!   Stream, one a reader and view     hash of the attributes
//!   local                             what this thread knows: a hit takes no lock
//!   Series, Striped                   the cell of this thread
//!   aggregation                       adds; offers an exemplar
//! reader ── Pipeline::collect         callbacks, outside of every lock
//!   Store::harvest, collect           cells added up to points: ScopeMetrics
//! ```

pub mod active;
mod aggregation;
mod attributes;
mod collect;
mod data;
pub mod exemplar;
mod exemplars;
mod hash;
mod instrument;
mod kind;
mod local;
mod meter;
mod number;
mod observable;
mod observed;
mod periodic;
mod pipeline;
mod point;
mod producer;
mod provider;
mod pull;
mod reader;
mod registry;
mod resolve;
mod series;
mod split;
mod store;
mod stream;
mod stream_config;
mod striped;
mod synchronous;
mod table;
mod view;

pub use attributes::Attributes;
pub use data::{Metric, MetricData, Number, ScopeMetrics, Temporality};
pub use exemplar::ExemplarFilter;
pub use exemplars::Exemplars;
pub use kind::{Aggregation, DEFAULT_BOUNDARIES, InstrumentKind, TemporalityPreference};
pub use meter::{ObservableBuilder, ObservedNumber, SdkMeter};
pub use observable::{CallbackHandle, Observable, Observer};
pub use periodic::{PeriodicConfig, PeriodicReader};
pub use point::{Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, NumberPoint};
pub use producer::MetricProducer;
pub use provider::{MeterProviderBuilder, SdkMeterProvider};
pub use pull::PullReader;
pub use reader::{DEFAULT_CARDINALITY_LIMIT, MetricReader, ReaderConfig};
pub use registry::INSTRUMENT_LIMIT;
pub use view::View;

use crate::signal::{Metrics, Signal};

impl Signal for Metrics {
    type Item = ScopeMetrics;
    const NAME: &'static str = "metrics";
    const ITEMS: &'static str = "metric data points";
}
