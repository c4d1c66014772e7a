//! A cell: the aggregated measurements of one series, recorded by a single thread or by all threads.

use super::exponential::ExponentialCell;
use super::histogram::HistogramCell;
use super::last_value::LastValueCell;
use super::sum::SumCell;
use crate::metrics::config::{Shape, StreamConfig};
use crate::metrics::data::Measured;
use crate::metrics::exemplar::Offer;

pub(crate) enum Cell {
    Sum(SumCell),
    LastValue(LastValueCell),
    Histogram(HistogramCell),
    /// Boxed because it is larger than the other variants.
    Exponential(Box<ExponentialCell>),
}

impl Cell {
    pub(crate) fn new(config: &StreamConfig) -> Self {
        match &config.shape {
            Shape::Sum => Cell::Sum(SumCell::new()),
            Shape::LastValue => Cell::LastValue(LastValueCell::new()),
            Shape::Histogram(_) => Cell::Histogram(HistogramCell::new()),
            Shape::Exponential(config) => Cell::Exponential(Box::new(ExponentialCell::new(config))),
        }
    }

    /// Keeps a measurement as an exemplar, because it was due for sampling.
    pub(crate) fn keep(&self, config: &StreamConfig, offer: &Offer<'_>) {
        match (self, &config.shape) {
            (Cell::Sum(cell), _) => cell.keep(offer),
            (Cell::LastValue(cell), _) => cell.keep(offer),
            (Cell::Histogram(cell), Shape::Histogram(shape)) => cell.keep(shape, offer.value.as_f64(), offer),
            (Cell::Exponential(cell), Shape::Exponential(shape)) => cell.keep(shape, offer),
            (Cell::Histogram(_) | Cell::Exponential(_), _) => {}
        }
    }

    pub(crate) fn sum(&self) -> Option<&SumCell> {
        if let Cell::Sum(cell) = self { Some(cell) } else { None }
    }

    pub(crate) fn last_value(&self) -> Option<&LastValueCell> {
        if let Cell::LastValue(cell) = self { Some(cell) } else { None }
    }

    pub(crate) fn histogram(&self) -> Option<&HistogramCell> {
        if let Cell::Histogram(cell) = self { Some(cell) } else { None }
    }

    pub(crate) fn exponential(&self) -> Option<&ExponentialCell> {
        if let Cell::Exponential(cell) = self { Some(cell) } else { None }
    }
}

/// The result of recording a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Recorded,
    /// Recorded, and due to be kept as an exemplar.
    ToKeep,
    /// Not recorded, because the cell is locked or the owner's sum would overflow. The caller may try again as a
    /// thread that does not own the cell.
    Refused,
}

impl Outcome {
    #[inline(always)]
    pub(super) fn recorded(is_due: bool) -> Self {
        if is_due { Outcome::ToKeep } else { Outcome::Recorded }
    }
}

/// Represents a stream's aggregation as a type, because code for a single kind of cell takes only a few instructions,
/// whereas code for all kinds takes many.
pub(crate) trait Aggregate: Send + Sync + 'static {
    /// Adds a measurement unless the cell refuses it. `owns` may be true for only one living thread. `is_offered` is
    /// true if the measurement may become an exemplar.
    fn try_record<T: Measured>(cell: &Cell, config: &StreamConfig, owns: bool, value: T, is_offered: bool) -> Outcome;
}

pub(crate) struct Sums;

impl Aggregate for Sums {
    #[inline(always)]
    fn try_record<T: Measured>(cell: &Cell, _: &StreamConfig, owns: bool, value: T, is_offered: bool) -> Outcome {
        match cell {
            Cell::Sum(cell) => cell.record(owns, value, is_offered),
            _ => NOT_OF_ITS_STREAM,
        }
    }
}

/// Sums that each collection takes out of their cells, which therefore have no owner.
pub(crate) struct TakenSums;

impl Aggregate for TakenSums {
    #[inline(always)]
    fn try_record<T: Measured>(cell: &Cell, config: &StreamConfig, _: bool, value: T, is_offered: bool) -> Outcome {
        Sums::try_record(cell, config, false, value, is_offered)
    }
}

pub(crate) struct Histograms;

impl Aggregate for Histograms {
    #[inline(always)]
    fn try_record<T: Measured>(cell: &Cell, config: &StreamConfig, _: bool, value: T, is_offered: bool) -> Outcome {
        match (cell, &config.shape) {
            (Cell::Histogram(cell), Shape::Histogram(shape)) => cell.try_record(shape, value.as_f64(), is_offered),
            _ => NOT_OF_ITS_STREAM,
        }
    }
}

/// Handles every aggregation by checking the kind of cell for each measurement.
pub(crate) struct Any;

impl Aggregate for Any {
    #[inline(always)]
    fn try_record<T: Measured>(cell: &Cell, config: &StreamConfig, owns: bool, value: T, is_offered: bool) -> Outcome {
        match (cell, &config.shape) {
            (Cell::Sum(_), _) => Sums::try_record(cell, config, owns && !config.resets_sums, value, is_offered),
            (Cell::Histogram(_), _) => Histograms::try_record(cell, config, owns, value, is_offered),
            (Cell::LastValue(cell), _) => cell.record(value, is_offered),
            (Cell::Exponential(cell), Shape::Exponential(shape)) => cell.try_record(shape, value.as_f64(), is_offered),
            (Cell::Exponential(_), _) => NOT_OF_ITS_STREAM,
        }
    }
}

/// Returned if a cell does not have the shape of its stream, which never happens.
const NOT_OF_ITS_STREAM: Outcome = Outcome::Recorded;
