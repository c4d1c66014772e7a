//! A single series: its attributes and its cells.

use opentelemetry::KeyValue;

use super::striped::{Owner, Striped};
use crate::error::catch;
use crate::metrics::aggregation::Cell;
use crate::metrics::config::{Shape, StreamConfig};
use crate::metrics::data::{Attributes, Exemplars, Measured};
use crate::metrics::exemplar::{Eligible, ExemplarReservoir, MergedSlots, Offer, Random};
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
    /// The latest epoch of the stream in which this series is current.
    pub(crate) epoch: AtomicU64,
    first: Cell,
}

/// Number of times a collection tries to lock a user's reservoir.
const LOOKS: usize = 64;

type CustomReservoir = std::sync::Mutex<Box<dyn ExemplarReservoir>>;

impl Series {
    pub(crate) fn new(config: &StreamConfig, attributes: Attributes, check: u64, owner: Owner) -> Self {
        let custom = config.reservoir.as_ref().and_then(|make| catch(&**make).ok());
        Series {
            check,
            // The last value counts, no matter which thread recorded it.
            owner: if config.shape == Shape::LastValue { Owner::EVERYBODY } else { owner },
            bound: AtomicU32::new(0),
            further: Striped::new(),
            custom: custom.map(|reservoir| Box::new(std::sync::Mutex::new(reservoir))),
            attributes,
            start: config.clock.now(),
            epoch: AtomicU64::new(0),
            first: Cell::new(&config.shape),
        }
    }

    /// Adds a measurement made by the thread with this index. `given` holds its attributes before filtering.
    #[inline(always)]
    pub(crate) fn record<T: Measured>(
        &self,
        config: &StreamConfig,
        thread: usize,
        value: T,
        given: &[KeyValue],
        span: Option<Eligible>,
    ) {
        let Some(span) = span else { return self.add(config, thread, value, None) };
        let offer = Offer { value: value.into(), given, of_series: &self.attributes, span, clock: &config.clock };
        if self.custom.is_some() {
            self.add(config, thread, value, None);
            self.offer(&offer);
        } else {
            self.add(config, thread, value, Some(&offer));
        }
    }

    #[inline(always)]
    fn add<T: Measured>(&self, config: &StreamConfig, thread: usize, value: T, offer: Option<&Offer<'_>>) {
        let (cell, owns) = if self.owner.is(thread) {
            (&self.first, true)
        } else if self.owner == Owner::EVERYBODY {
            (&self.first, false)
        } else {
            self.further.of(thread, || Cell::new(&config.shape))
        };
        if !cell.try_record(config, owns, value, offer) {
            self.add_beside(config, cell, thread, value, offer);
        }
    }

    /// Records while the thread's own cell is locked, for instance by a collection. Uses the neighbouring cell
    /// or its own, whichever unlocks first. A collection locks one cell at a time.
    #[cold]
    fn add_beside<T: Measured>(
        &self,
        config: &StreamConfig,
        cell: &Cell,
        thread: usize,
        value: T,
        offer: Option<&Offer<'_>>,
    ) {
        let beside = self.further.beside(thread, || Cell::new(&config.shape));
        let mut waits = 0;
        while ![beside, cell].iter().any(|cell| cell.try_record(config, false, value, offer)) {
            pause(waits);
            waits += 1;
        }
    }

    /// Iterates over the cells for which `of` returns `Some`.
    pub(crate) fn cells<'a, C: 'a>(&'a self, of: impl Fn(&'a Cell) -> Option<&'a C>) -> impl Iterator<Item = &'a C> {
        std::iter::once(&self.first).chain(self.further.iter()).filter_map(of)
    }

    /// Passes an offer to the user's reservoir. If the reservoir is busy, discards the offer, so that no thread
    /// waits and a reservoir that records into its own series cannot deadlock.
    #[cold]
    fn offer(&self, offer: &Offer<'_>) {
        let Some(mut reservoir) = self.custom.as_deref().and_then(|custom| free(custom.try_lock())) else { return };
        if catch(|| reservoir.offer(offer)).is_err() {
            crate::__warn!("metrics.reservoir", "an exemplar reservoir panicked");
        }
    }

    /// Returns the exemplars of the user's reservoir, or `None` if the cells have reservoirs. Skips a busy
    /// reservoir (it may even have triggered this collection); its exemplars are picked up by the next
    /// collection.
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

    pub(crate) fn is_bound(&self) -> bool {
        self.bound.load(Ordering::Relaxed) > 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};
    use std::sync::mpsc;
    use std::time::Duration;

    use crate::metrics::config::{AttributeFilter, HistogramConfig, InstrumentKind};
    use crate::metrics::data::{NumberType, Secrets, Temporality};
    use crate::time::Clock;

    fn histogram() -> StreamConfig {
        StreamConfig {
            name: "h".into(),
            description: "".into(),
            unit: "".into(),
            kind: InstrumentKind::Histogram,
            number: NumberType::F64,
            shape: Shape::Histogram(HistogramConfig { bounds: [].into(), record_min_max: true, record_sum: true }),
            temporality: Temporality::Cumulative,
            attributes: AttributeFilter::All,
            limit: 10,
            reservoir: None,
            clock: Clock::system(),
            resets_sums: false,
            secrets: Secrets::fixed(),
        }
    }

    #[test]
    fn a_measurement_takes_its_cell_or_the_one_beside_whichever_opens_first() {
        let config = histogram();
        let series = Series::new(&config, Attributes::empty(), 0, Owner::thread(0));
        series.further.beside(0, || Cell::new(&config.shape));
        for first in 0..2 {
            let mut locked: Vec<_> = series.cells(Cell::histogram).map(|cell| cell.locked()).collect();
            let (sender, done) = mpsc::channel();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    series.record(&config, 0, 1.0, &[], None);
                    sender.send(())
                });
                drop(locked.remove(first));
                let recorded = done.recv_timeout(Duration::from_secs(20));
                // Unlock before asserting, so that the thread can end even if the assertion fails.
                drop(locked);
                assert_eq!(recorded, Ok(()), "cell {first}");
            });
        }
        assert_eq!(series.cells(Cell::histogram).count(), 2, "no third cell is made");
    }

    #[test]
    fn what_all_threads_read_is_not_beside_what_one_writes() {
        // Allocations are aligned to 16 bytes, so a 64-byte cache line may start at any multiple of 16.
        let read = offset_of!(Series, custom) / 16 * 16;
        // The cell begins with its tag and two words that are rarely written.
        let written = offset_of!(Series, first) + 24;
        assert!(written >= read + 64, "{read} {written}");
    }

    /// The limit includes the counts of an `Arc`. Attributes are stored elsewhere.
    #[test]
    fn a_series_is_small() {
        assert!(size_of::<Series>() <= 200, "{}", size_of::<Series>());
    }
}
