//! Exemplars: the filter of measurements, and the reservoirs that keep some of them.
//!
//! A view that removes attributes from a series does not remove them from its exemplars, which hold every attribute of their
//! measurement. `OTEL_METRICS_EXEMPLAR_FILTER=always_off` turns exemplars off; a custom reservoir may leave attributes out.
//!
//! spec: metrics/sdk.md#exemplar

mod aligned;
mod filter;
mod fixed;
mod offer;
mod random;

pub use aligned::AlignedHistogramBucketExemplarReservoir;
pub use filter::ExemplarFilter;
pub use fixed::SimpleFixedSizeExemplarReservoir;
pub use offer::{ExemplarReservoir, Offer};

pub(crate) use aligned::{KeptByBucket, MergedBuckets};
pub(crate) use filter::Eligible;
pub(crate) use fixed::MergedSlots;
pub(crate) use random::Random;
