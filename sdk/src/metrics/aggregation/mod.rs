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

pub(crate) use cell::Cell;
pub(crate) use exponential::ExponentialTotal;
pub(crate) use histogram::HistogramTotal;
pub(crate) use sum::SumCell;
