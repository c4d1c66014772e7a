//! One series: its attributes and its cells.

use opentelemetry::KeyValue;

use super::striped::{Owner, Striped};
use crate::error::catch;
use crate::metrics::aggregation::Cell;
use crate::metrics::config::{Shape, StreamConfig};
use crate::metrics::data::{Attributes, Exemplars, Measured};
use crate::metrics::exemplar::{Eligible, ExemplarReservoir, MergedSlots, Offer, Random};
use crate::sync::{AtomicU32, AtomicU64, Ordering, free, pause};
use crate::time::Timestamp;

/// A set of attributes and its measurements.
///
/// Field order keeps cache lines apart: fields that every thread reads on each measurement come first, the first cell, which its
/// owner writes, comes last, and rarely used fields sit in between.
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
    /// The view's own reservoir, which replaces those of the cells.
    custom: Option<Box<CustomReservoir>>,
    pub(crate) attributes: Attributes,
    /// Time of the first measurement.
    pub(crate) start: Timestamp,
    /// The stream's epoch in which this series is current.
    pub(crate) epoch: AtomicU64,
    first: Cell,
}

/// Number of times a collection checks whether a user's reservoir is free.
const LOOKS: usize = 64;

type CustomReservoir = std::sync::Mutex<Box<dyn ExemplarReservoir>>;

impl Series {
    pub(crate) fn new(config: &StreamConfig, attributes: Attributes, check: u64, owner: Owner) -> Self {
        let custom = config.reservoir.as_ref().and_then(|make| catch(&**make).ok());
        Series {
            check,
            // The last value counts, whichever thread it comes from.
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

    /// Adds a measurement of the thread with this index. `given` are its attributes before filtering.
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

    /// Records while the thread's own cell is locked, by a collection for example: into the cell beside it or its own, whichever
    /// opens first. A collection locks one cell at a time.
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

    /// Iterates over the cells that `of` accepts.
    pub(crate) fn cells<'a, C: 'a>(&'a self, of: impl Fn(&'a Cell) -> Option<&'a C>) -> impl Iterator<Item = &'a C> {
        std::iter::once(&self.first).chain(self.further.iter()).filter_map(of)
    }

    /// Offers to the user's reservoir. An offer that meets another one is discarded, so that no thread waits and a reservoir
    /// that records into its own series does not deadlock.
    #[cold]
    fn offer(&self, offer: &Offer<'_>) {
        let Some(mut reservoir) = self.custom.as_deref().and_then(|custom| free(custom.try_lock())) else { return };
        if catch(|| reservoir.offer(offer)).is_err() {
            crate::__warn!("metrics.reservoir", "an exemplar reservoir panicked");
        }
    }

    /// Returns the exemplars of the user's reservoir; `None` if the cells have their own. If the reservoir is busy (it may even be
    /// the caller of this collection), skips it; its exemplars come with the next collection.
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

    /// Returns the exemplars since the last call: from the user's reservoir if there is one, otherwise those that `take` finds.
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
                // Opened before the assertion, so that the thread ends in any case.
                drop(locked);
                assert_eq!(recorded, Ok(()), "cell {first}");
            });
        }
        assert_eq!(series.cells(Cell::histogram).count(), 2, "no third cell is made");
    }

    #[test]
    fn what_all_threads_read_is_not_beside_what_one_writes() {
        // An allocator aligns to 16 bytes, so a line of 64 begins at a multiple of 16 from here.
        let read = offset_of!(Series, custom) / 16 * 16;
        // The tag of a cell and two words that are seldom written come first in it.
        let written = offset_of!(Series, first) + 24;
        assert!(written >= read + 64, "{read} {written}");
    }

    /// With the counts of an `Arc`; the rest is attributes.
    #[test]
    fn a_series_is_small() {
        assert!(size_of::<Series>() <= 200, "{}", size_of::<Series>());
    }
}
