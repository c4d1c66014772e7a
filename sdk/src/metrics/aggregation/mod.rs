//! The aggregations: what a cell keeps of the measurements of one series, how a thread adds to it without waiting for
//! another, and how a collection reads it without stopping anyone.

mod cell;
mod exponential;
mod histogram;
mod last_value;
mod mapping;
mod sampling;
mod sum;

#[cfg(all(test, not(loom)))]
mod exponential_tests;
#[cfg(all(test, loom))]
mod loom_tests;

pub(super) use cell::Cell;
pub(super) use exponential::{ExponentialCell, ExponentialConfig, ExponentialTotal};
pub(super) use histogram::{HistogramCell, HistogramConfig, HistogramTotal, bucket_of};
pub(super) use last_value::LastValueCell;
pub(super) use sum::SumCell;
