//! A cell: the aggregated measurements of one series, from a single thread or from all threads.

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
    pub(crate) fn new(shape: &Shape) -> Self {
        match shape {
            Shape::Sum => Cell::Sum(SumCell::new()),
            Shape::LastValue => Cell::LastValue(LastValueCell::new()),
            Shape::Histogram(_) => Cell::Histogram(HistogramCell::new()),
            Shape::Exponential(config) => Cell::Exponential(Box::new(ExponentialCell::new(config))),
        }
    }

    /// Adds a measurement and returns true, or returns false if the cell is locked. `owns` is true for at most
    /// one live thread.
    #[inline(always)]
    pub(crate) fn try_record<T: Measured>(
        &self,
        config: &StreamConfig,
        owns: bool,
        value: T,
        offer: Option<&Offer<'_>>,
    ) -> bool {
        match (self, &config.shape) {
            (Cell::Sum(cell), _) => cell.record(owns && !config.resets_sums, value, offer),
            (Cell::Histogram(cell), Shape::Histogram(shape)) => return cell.try_record(shape, value.as_f64(), offer),
            (Cell::LastValue(cell), _) => cell.record(value, offer),
            (Cell::Exponential(cell), Shape::Exponential(shape)) => {
                return cell.try_record(shape, value.as_f64(), offer);
            }
            // Unreachable: a cell always has the shape of its stream.
            (Cell::Histogram(_) | Cell::Exponential(_), _) => {}
        }
        true
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
