//! Exemplars: the filter that selects measurements, and the reservoirs that keep some of them.
//!
//! When a view removes attributes from a series, the series' exemplars still contain all attributes of their
//! measurements. `OTEL_METRICS_EXEMPLAR_FILTER=always_off` turns exemplars off; a custom reservoir can leave
//! attributes out.
//!
//! With tail sampling, an exemplar never leads to a trace that was dropped: measurements in recorded spans are offered, and wait for the
//! decision about their trace.
//!
//! spec: metrics/sdk.md#exemplar

mod aligned;
mod decided;
mod filter;
mod fixed;
mod offer;
mod random;

pub use aligned::AlignedHistogramBucketExemplarReservoir;
pub use filter::ExemplarFilter;
pub use fixed::SimpleFixedSizeExemplarReservoir;
pub(crate) use offer::Given;
pub use offer::{ExemplarReservoir, Offer};

pub(crate) use aligned::{KeptByBucket, MergedBuckets};
pub(crate) use decided::{AfterDecision, Places, Sifted};
pub(crate) use filter::{Eligible, Selection};
pub(crate) use fixed::MergedSlots;
pub(crate) use random::Random;
