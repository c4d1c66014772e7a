//! Aggregations: the cells of a series. Threads record into them without waiting for each other, and
//! collections read them without stopping any thread.

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

pub(crate) use cell::{Aggregate, Any, Cell, Histograms, Outcome, Sums, TakenSums};
pub(crate) use exponential::{ExponentialCell, ExponentialTotal};
pub(crate) use histogram::{HistogramCell, HistogramTotal};
pub(crate) use sum::SumCell;
