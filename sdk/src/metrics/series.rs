//! One series: its attributes and its cells.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::TryLockError;

use opentelemetry::KeyValue;

use super::aggregation::{ExponentialCell, HistogramCell, LastValueCell, SumCell};
use super::exemplar::{Eligible, ExemplarReservoir, MergedSlots, Offer, Random};
use super::number::Measured;
use super::stream_config::{Shape, StreamConfig};
use super::striped::Striped;
use super::{Attributes, Exemplar};
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::time::Timestamp;

/// A set of attributes and what was measured with it.
pub(super) struct Series {
    pub(super) attributes: Attributes,
    pub(super) hash: u64,
    /// When it was first recorded into.
    pub(super) start: Timestamp,
    pub(super) cells: Cells,
    /// The reservoir that a view asked for, instead of those of the cells.
    custom: Option<std::sync::Mutex<Box<dyn ExemplarReservoir>>>,
    /// The sum at the last collection of deltas. Only collections use it, one at a time.
    pub(super) reported: AtomicU64,
    /// Whether a collection has found something in it. Only collections use it.
    pub(super) ever_touched: std::sync::atomic::AtomicBool,
    /// How many bound instruments hold it.
    pub(super) bound: AtomicUsize,
    /// The epoch of its stream in which it is current.
    pub(super) epoch: AtomicU64,
}

/// The cells of a series.
pub(super) enum Cells {
    Sum(Striped<SumCell>),
    LastValue(LastValueCell),
    Histogram(Striped<HistogramCell>),
    Exponential(Striped<ExponentialCell>),
}

impl Series {
    pub(super) fn new(config: &StreamConfig, attributes: Attributes, hash: u64, thread: usize) -> Self {
        let custom = config.reservoir.as_ref().and_then(|make| catch_unwind(AssertUnwindSafe(|| make())).ok());
        Series {
            attributes,
            hash,
            start: config.clock.now(),
            cells: match &config.shape {
                Shape::Sum => Cells::Sum(Striped::new(thread, SumCell::new())),
                Shape::LastValue => Cells::LastValue(LastValueCell::new()),
                Shape::Histogram(config) => Cells::Histogram(Striped::new(thread, HistogramCell::new(config))),
                Shape::Exponential(config) => Cells::Exponential(Striped::new(thread, ExponentialCell::new(config))),
            },
            custom: custom.map(std::sync::Mutex::new),
            reported: AtomicU64::new(0),
            ever_touched: std::sync::atomic::AtomicBool::new(false),
            bound: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
        }
    }

    /// Adds a measurement of the thread with this index. `given` are its attributes before any were removed.
    #[inline(always)]
    pub(super) fn record<T: Measured>(
        &self,
        config: &StreamConfig,
        thread: usize,
        value: T,
        given: &[KeyValue],
        span: Option<Eligible>,
    ) {
        let offer = span.map(|span| Offer {
            value: value.into(),
            given,
            of_series: &self.attributes,
            span,
            clock: &config.clock,
        });
        match &offer {
            Some(offer) if self.custom.is_some() => {
                self.add(config, thread, value, None);
                self.offer(offer);
            }
            offer => self.add(config, thread, value, offer.as_ref()),
        }
    }

    #[inline(always)]
    fn add<T: Measured>(&self, config: &StreamConfig, thread: usize, value: T, offer: Option<&Offer<'_>>) {
        // In line, for it takes less time than a call.
        match &self.cells {
            Cells::Sum(striped) => {
                let (cell, owns) = striped.of(thread, SumCell::new);
                cell.record(owns && !config.resets_sums, value, offer);
            }
            _ => self.add_other(config, thread, value, offer),
        }
    }

    #[inline(never)]
    fn add_other<T: Measured>(&self, config: &StreamConfig, thread: usize, value: T, offer: Option<&Offer<'_>>) {
        match (&self.cells, &config.shape) {
            (Cells::LastValue(cell), _) => cell.record(value, offer),
            (Cells::Histogram(striped), Shape::Histogram(config)) => {
                let (value, new) = (value.as_f64(), || HistogramCell::new(config));
                let (cell, _) = striped.of(thread, new);
                if !cell.try_record(config, value, offer)
                    && !striped.beside(thread, new).try_record(config, value, offer)
                {
                    cell.record(config, value, offer);
                }
            }
            (Cells::Exponential(striped), Shape::Exponential(config)) => {
                let (value, new) = (value.as_f64(), || ExponentialCell::new(config));
                let (cell, _) = striped.of(thread, new);
                if !cell.try_record(config, value, offer)
                    && !striped.beside(thread, new).try_record(config, value, offer)
                {
                    cell.record(config, value, offer);
                }
            }
            // A series is made by the shape of its stream.
            (Cells::Sum(_) | Cells::Histogram(_) | Cells::Exponential(_), _) => {}
        }
    }

    /// Offers to the reservoir of the user's. An offer that meets another one is let go: nobody waits, and a reservoir
    /// that records into its own series does not block itself.
    #[cold]
    fn offer(&self, offer: &Offer<'_>) {
        let Some(custom) = &self.custom else { return };
        let mut reservoir = match custom.try_lock() {
            Ok(reservoir) => reservoir,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if catch_unwind(AssertUnwindSafe(|| reservoir.offer(offer))).is_err() {
            crate::__warn!("metrics.reservoir", "an exemplar reservoir panicked");
        }
    }

    /// What the user's reservoir has kept; `None` where the cells have their own.
    pub(super) fn custom_exemplars(&self, is_delta: bool) -> Option<Vec<Exemplar>> {
        let mut reservoir = self.custom.as_ref()?.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Some(catch_unwind(AssertUnwindSafe(|| reservoir.collect(is_delta))).unwrap_or_default())
    }

    /// The exemplars since the last call: those that `take` finds, or the user's.
    pub(super) fn exemplars(&self, is_delta: bool, size: usize, take: impl FnOnce(&mut MergedSlots)) -> Vec<Exemplar> {
        self.custom_exemplars(is_delta).unwrap_or_else(|| {
            let mut merged = MergedSlots::new(size);
            take(&mut merged);
            merged.finish(&mut Random::new())
        })
    }

    pub(super) fn is_bound(&self) -> bool {
        self.bound.load(Ordering::Relaxed) > 0
    }
}
