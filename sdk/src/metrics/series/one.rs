//! A single series: its attributes and its cells.

use opentelemetry::KeyValue;

use super::striped::{Owner, Striped};
use crate::error::catch;
use crate::metrics::aggregation::{Aggregate, Any, Cell, ExponentialCell, HistogramCell, Outcome};
use crate::metrics::config::{Shape, StreamConfig};
use crate::metrics::data::{Attributes, Exemplars, Measured, Number};
use crate::metrics::exemplar::{Eligible, ExemplarReservoir, Given, MergedSlots, Offer, Random};
use crate::sync::{AtomicU32, AtomicU64, Ordering, free, pause};
use crate::time::Timestamp;

/// An attribute set and its measurements.
///
/// The field order separates cache lines. Fields that every thread reads on each measurement come first, rarely
/// used fields are in the middle, and the first cell, which its owner writes, comes last.
#[repr(C)]
pub(crate) struct Series {
    /// The half of the attributes' fingerprint that tables do not store.
    pub(crate) check: u64,
    /// Owner of the first cell.
    owner: Owner,
    /// Number of bound instruments that pin this series.
    pub(crate) bound: AtomicU32,
    /// Cells of the other threads.
    further: Striped<Cell>,
    /// The view's reservoir, if it sets one. It replaces the cells' reservoirs.
    custom: Option<Box<CustomReservoir>>,
    pub(crate) attributes: Attributes,
    /// Time of the first measurement.
    pub(crate) start: Timestamp,
    /// The latest stream epoch in which this series is current.
    pub(crate) epoch: AtomicU64,
    first: Cell,
}

/// Number of times that a collection tries to lock a user's reservoir.
const LOOKS: usize = 64;

type CustomReservoir = std::sync::Mutex<Box<dyn ExemplarReservoir>>;

/// Passes an offer to the user's reservoir. If the reservoir is busy, the offer is discarded, so that no thread waits,
/// and a reservoir that records into its own series does not deadlock.
fn offer_to(custom: &CustomReservoir, offer: &Offer<'_>) {
    let Some(mut reservoir) = free(custom.try_lock()) else { return };
    if catch(|| reservoir.offer(offer)).is_err() {
        crate::__warn!("metrics.reservoir", "an exemplar reservoir panicked");
    }
}

impl Drop for Series {
    /// Contains a panic of the reservoir's destructor: a series may be dropped by a thread that measures.
    fn drop(&mut self) {
        if let Some(custom) = self.custom.take() {
            let _ = catch(|| drop(custom));
        }
    }
}

impl Series {
    pub(crate) fn new(config: &StreamConfig, attributes: Attributes, check: u64, owner: Owner) -> Self {
        let custom = config.reservoir.as_ref().and_then(|make| catch(&**make).ok());
        Series {
            check,
            // The last value counts, regardless of which thread recorded it.
            owner: if config.shape == Shape::LastValue { Owner::EVERYBODY } else { owner },
            bound: AtomicU32::new(0),
            further: Striped::new(),
            custom: custom.map(|reservoir| Box::new(std::sync::Mutex::new(reservoir))),
            attributes,
            start: config.clock.now(),
            epoch: AtomicU64::new(0),
            first: Cell::new(config),
        }
    }

    /// Adds a measurement from the thread with index `thread`. `given` contains the attributes before filtering, and
    /// `is_offered` is true if the measurement may become an exemplar.
    #[inline(always)]
    pub(crate) fn record<A: Aggregate, T: Measured>(
        &self,
        config: &StreamConfig,
        thread: usize,
        value: T,
        given: &[KeyValue],
        is_offered: bool,
    ) {
        match self.try_record::<A, T>(config, thread, value, is_offered) {
            Outcome::Recorded => {}
            outcome => self.finish(config, thread, value, given, is_offered, outcome),
        }
    }

    /// Adds a measurement if that takes only a few instructions. Pass the outcome to [`Self::finish`], which does the
    /// remaining work.
    #[inline(always)]
    pub(crate) fn try_record<A: Aggregate, T: Measured>(
        &self,
        config: &StreamConfig,
        thread: usize,
        value: T,
        is_offered: bool,
    ) -> Outcome {
        match self.cell(thread) {
            Some((cell, owns)) => A::try_record(cell, config, owns, value, is_offered),
            None => Outcome::Refused,
        }
    }

    /// Returns the cell for the thread with index `thread`, and true if the thread owns that cell. Returns `None` if
    /// the cell has not been allocated yet.
    #[inline(always)]
    fn cell(&self, thread: usize) -> Option<(&Cell, bool)> {
        if self.owner.is(thread) {
            Some((&self.first, true))
        } else if self.owner == Owner::EVERYBODY {
            Some((&self.first, false))
        } else {
            self.further.get(thread)
        }
    }

    /// Does the work that [`Self::try_record`] left to be done.
    #[cold]
    #[inline(never)]
    pub(crate) fn finish<T: Measured>(
        &self,
        config: &StreamConfig,
        thread: usize,
        value: T,
        given: &[KeyValue],
        is_offered: bool,
        outcome: Outcome,
    ) {
        let cell = match (outcome, self.cell(thread)) {
            (Outcome::Recorded, _) => return,
            (Outcome::ToKeep, Some((cell, _))) => cell,
            (_, Some((cell, _))) => match self.record_elsewhere(config, cell, thread, value, is_offered) {
                Some(cell) => cell,
                None => return,
            },
            (_, None) => {
                self.further.make(thread, Owner::thread(thread), || Cell::new(config));
                return self.record::<Any, T>(config, thread, value, given, is_offered);
            }
        };
        self.keep(config, cell, value.into(), given);
    }

    /// Records a measurement that the thread's cell has refused, for example because a collection has locked the cell.
    /// Tries that cell and the neighbouring cell in turn, without acting as the owner, until one of them accepts the
    /// measurement. This always succeeds, because a collection locks only one cell at a time. Returns the cell if the
    /// measurement is due to be kept as an exemplar.
    fn record_elsewhere<'a, T: Measured>(
        &'a self,
        config: &StreamConfig,
        own: &'a Cell,
        thread: usize,
        value: T,
        is_offered: bool,
    ) -> Option<&'a Cell> {
        let beside = || self.further.make(thread.wrapping_add(1), Owner::EVERYBODY, || Cell::new(config));
        let mut waits = 0;
        loop {
            let cell = if waits % 2 == 0 { own } else { beside() };
            match Any::try_record(cell, config, false, value, is_offered) {
                Outcome::Recorded => return None,
                Outcome::ToKeep => return Some(cell),
                Outcome::Refused if waits % 2 == 0 => {}
                Outcome::Refused => pause(waits / 2),
            }
            waits += 1;
        }
    }

    /// Keeps a measurement that is due to become an exemplar.
    fn keep(&self, config: &StreamConfig, cell: &Cell, value: Number, given: &[KeyValue]) {
        let span = Eligible::current();
        let given = Given::new(given, config.redaction.as_ref());
        let offer = Offer { value, given, of_series: &self.attributes, span, clock: &config.clock };
        match &self.custom {
            // With a custom reservoir, the cell never keeps an exemplar, so every offer is due.
            Some(custom) => offer_to(custom, &offer),
            None => cell.keep(config, &offer),
        }
    }

    /// Iterates over the cells for which `of` returns a value.
    pub(crate) fn cells<'a, C: 'a>(&'a self, of: impl Fn(&'a Cell) -> Option<&'a C>) -> impl Iterator<Item = &'a C> {
        std::iter::once(&self.first).chain(self.further.iter()).filter_map(of)
    }

    /// Returns the exemplars from the user's reservoir, or `None` if the cells have their own reservoirs. If the
    /// user's reservoir is busy (it may even be the caller of this collection), returns no exemplars; they become part
    /// of the next collection.
    pub(crate) fn custom_exemplars(&self, is_delta: bool) -> Option<Exemplars> {
        let custom = self.custom.as_deref()?;
        let look = |_| {
            free(custom.try_lock()).or_else(|| {
                std::thread::yield_now();
                None
            })
        };
        let Some(mut reservoir) = (0..LOOKS).find_map(look) else { return Some(Exemplars::none()) };
        let collected = catch(|| reservoir.collect(is_delta));
        if collected.is_err() {
            crate::__warn!("metrics.reservoir", "an exemplar reservoir panicked");
        }
        Some(collected.unwrap_or_default().into())
    }

    /// Returns the exemplars from the user's reservoir if there is one, and otherwise those that `take`
    /// collects.
    pub(crate) fn exemplars(&self, is_delta: bool, size: usize, take: impl FnOnce(&mut MergedSlots)) -> Exemplars {
        self.custom_exemplars(is_delta).unwrap_or_else(|| {
            let mut merged = MergedSlots::new(size);
            take(&mut merged);
            merged.finish(&mut Random::new()).into()
        })
    }

    /// Returns a number that changes whenever the point of this series does, and true if anything was measured since the last
    /// call, also if the point stayed the same. Use it only without deltas, and in one thread at a time.
    pub(crate) fn progress(&self, config: &StreamConfig) -> (u64, bool) {
        match &self.first {
            Cell::Sum(first) => {
                // Do not short-circuit, because every cell must reset its flag.
                let touched = self.cells(Cell::sum).fold(false, |any, cell| cell.take_touched() | any);
                // The point is there from the first measurement on, whose flag is no longer in its cell.
                first.ever_touched(touched);
                let number = config.number;
                let sums = self.cells(Cell::sum).map(|cell| cell.total(number));
                (sums.fold(number.subtract(0, 0), |sum, cell| number.add(sum, cell)), touched)
            }
            Cell::LastValue(cell) => (cell.value(), cell.take_touched()),
            Cell::Histogram(_) => (counts(self.cells(Cell::histogram).map(HistogramCell::progress)), false),
            Cell::Exponential(_) => (counts(self.cells(Cell::exponential).map(ExponentialCell::progress)), false),
        }
    }

    pub(crate) fn is_bound(&self) -> bool {
        self.bound.load(Ordering::Relaxed) > 0
    }
}

fn counts(cells: impl Iterator<Item = u64>) -> u64 {
    cells.fold(0, u64::wrapping_add)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};
    use std::sync::mpsc;
    use std::time::Duration;

    use crate::metrics::aggregation::Sums;
    use crate::metrics::config::{HistogramConfig, InstrumentKind};
    use crate::metrics::data::NumberType;

    fn histogram() -> StreamConfig {
        StreamConfig {
            kind: InstrumentKind::Histogram,
            number: NumberType::F64,
            shape: Shape::Histogram(HistogramConfig { bounds: [].into(), record_min_max: true, record_sum: true }),
            ..StreamConfig::counter()
        }
    }

    #[test]
    fn a_measurement_takes_its_cell_or_the_one_beside_whichever_opens_first() {
        let config = histogram();
        let series = Series::new(&config, Attributes::empty(), 0, Owner::thread(0));
        series.further.make(1, Owner::EVERYBODY, || Cell::new(&config));
        for first in 0..2 {
            let mut locked: Vec<_> = series.cells(Cell::histogram).map(|cell| cell.locked()).collect();
            let (sender, done) = mpsc::channel();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    series.record::<Any, _>(&config, 0, 1.0, &[], false);
                    sender.send(())
                });
                drop(locked.remove(first));
                let recorded = done.recv_timeout(Duration::from_secs(20));
                // Unlock before asserting, so that the thread can finish even if the assertion fails.
                drop(locked);
                assert_eq!(recorded, Ok(()), "cell {first}");
            });
        }
        assert_eq!(series.cells(Cell::histogram).count(), 2, "no third cell is made");
    }

    /// If adding to the owner's sum would overflow, the measurement goes to the shared sum of the same cell, so the
    /// series still has only one cell.
    #[test]
    fn what_exceeds_the_owners_sum_is_in_the_total_and_takes_no_memory() {
        let config = StreamConfig { kind: InstrumentKind::UpDownCounter, shape: Shape::Sum, ..histogram() };
        let series = Series::new(&config, Attributes::empty(), 0, Owner::thread(0));
        let total = || {
            let cells: Vec<_> = series.cells(Cell::sum).map(|cell| cell.total(NumberType::I64) as i64).collect();
            assert_eq!(cells.len(), 1);
            cells[0]
        };
        for (value, expected) in [(i64::MAX - 1, i64::MAX - 1), (5, i64::MAX), (7, i64::MAX), (-20, i64::MAX - 9)] {
            series.record::<Sums, _>(&config, 0, value, &[], false);
            assert_eq!(total(), expected, "after {value}");
        }
    }

    #[test]
    fn what_all_threads_read_is_not_beside_what_one_writes() {
        // Allocations are aligned to 16 bytes, so a 64-byte cache line may start at any multiple of 16.
        let read = offset_of!(Series, custom) / 16 * 16;
        // The cell begins with its tag and with two words that are rarely written.
        let written = offset_of!(Series, first) + 24;
        assert!(written >= read + 64, "{read} {written}");
    }

    /// The limit includes the reference counts of an `Arc`. Attributes are stored elsewhere.
    #[test]
    fn a_series_is_small() {
        assert!(size_of::<Series>() <= 200, "{}", size_of::<Series>());
    }
}
