//! Metrics, from the measurement to the points that a reader exports.
//!
//! ```text
//! meter.u64_counter(name).build()     Registry: a reader's streams, found by hash, limited in number
//! counter.add(v, attributes)          the API's instrument
//!   SdkInstrument (synchronous)       checks the value; looks for a sampled span
//!   Stream, one per reader and view   hashes the attributes
//!   local                             this thread's table: a hit takes no lock
//!   Series, Striped                   this thread's cell
//!   aggregation                       adds; offers an exemplar
//! reader ── Pipeline::collect         runs callbacks outside of all locks
//!   Store::harvest, collect           adds up cells into points: ScopeMetrics
//! ```
//!
//! A folder may use the folders above its own row:
//!
//! | folder | owns |
//! |---|---|
//! | `data` | points, exemplars, attributes and their fingerprint |
//! | `exemplar` | the filter and the reservoirs |
//! | `config` | instrument identities, views, and the streams they produce |
//! | `meters` | which meters record, and the changes of that |
//! | `aggregation` | the cells that aggregate measurements |
//! | `series` | streams, their series, and the cells that each thread records into |
//! | `reader` | pipelines, periodic and pull readers, producers |
//! | `instrument` | the API's instruments, callbacks and meter |
//! | `provider`, `active` | the meter provider, and access to the installed provider |

pub mod active;
mod aggregation;
mod config;
mod data;
pub mod exemplar;
mod instrument;
mod meters;
mod provider;
mod reader;
mod series;

pub use config::{Aggregation, DEFAULT_BOUNDARIES, InstrumentKind, MeterConfig, TemporalityPreference, View};
pub use data::{
    Attributes, Buckets, Exemplar, Exemplars, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, Number,
    NumberPoint, ScopeMetrics, Temporality,
};
pub use exemplar::ExemplarFilter;
pub use instrument::{CallbackHandle, Observable, ObservableBuilder, ObservedNumber, Observer, SdkMeter};
pub use provider::{MeterProviderBuilder, SdkMeterProvider};
pub use reader::{
    DEFAULT_CARDINALITY_LIMIT, INSTRUMENT_LIMIT, MetricProducer, MetricReader, PeriodicConfig, PeriodicReader,
    PullReader, ReaderConfig,
};
pub(crate) use reader::{MetricSeries, SELF_METRICS_SCOPE, SeriesSource};

use std::ops::Range;

use crate::signal::{Chunk, Metrics, Signal};

impl Signal for Metrics {
    type Item = ScopeMetrics;
    type View<'a> = &'a ScopeMetrics;
    type Chunk = Vec<ScopeMetrics>;
    const NAME: &'static str = "metrics";
    const ITEMS: &'static str = "metric data points";
    const OWNED_SIZE: usize = 0;

    fn to_item(view: &ScopeMetrics) -> ScopeMetrics {
        view.clone()
    }

    /// Metrics never wait in a queue, because they are collected when they are exported. Only the list itself counts.
    fn size(_: &ScopeMetrics) -> usize {
        size_of::<ScopeMetrics>()
    }
}

impl Chunk<Metrics> for Vec<ScopeMetrics> {
    fn len(&self) -> usize {
        self.len()
    }

    fn views(&self, range: Range<usize>) -> impl Iterator<Item = &ScopeMetrics> + Clone {
        self.get(range).unwrap_or_default().iter()
    }

    fn push(&mut self, item: ScopeMetrics, _: usize) {
        self.push(item);
    }

    fn is_full(&self) -> bool {
        false
    }

    fn bytes(&self) -> usize {
        self.capacity() * size_of::<ScopeMetrics>()
    }

    fn drain(&mut self) -> impl Iterator<Item = ScopeMetrics> {
        self.drain(..)
    }

    fn clear(&mut self) {
        self.clear();
    }
}
