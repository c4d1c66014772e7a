//! Exemplars after the decision: a reservoir that keeps only measurements of traces that tail sampling has kept.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TraceId;

use super::offer::{ExemplarReservoir, Offer};
use super::random::Random;
use crate::decided::{Decided, Fate};
use crate::metrics::data::{Exemplar, bucket_of};
use crate::time::Timestamp;

/// Maximum number of measurements that wait for a decision in each place, which bounds the memory of a series.
const MAX_WAITING: usize = 2;
/// Number of measurements to pass over while all that wait in a place are undecided, so that decisions are not looked up each time.
const PATIENCE: u32 = 15;
/// The time after which a measurement whose trace is undecided makes room. A trace is never decided if its spans were lost, for example
/// because a queue was full.
const MAX_AGE: Duration = Duration::from_secs(120);
/// Maximum number of exemplars of a program's reservoir that wait for a decision.
const MAX_SIFTED: usize = 64;

/// The places of a series' exemplars.
#[derive(Clone, Debug)]
pub(crate) enum Places {
    /// One for each bucket of a histogram.
    Buckets(Arc<[f64]>),
    /// This many, at least one, of which each measurement takes any.
    Any(usize),
}

/// Keeps one measurement for each place, chosen uniformly from those whose traces were kept.
///
/// A trace is decided after its measurements were made, so some of them wait for the decision. A measurement whose trace was dropped, or
/// has been forgotten, makes room for another one, and so does one whose trace is still undecided after two minutes. What waits in a series that is given up, such as one without new deltas, goes with it.
#[derive(Debug)]
pub(crate) struct AfterDecision {
    decided: Arc<Decided>,
    places: Places,
    waiting: Vec<(usize, Exemplar)>,
    /// In the order of the places.
    kept: Vec<Kept>,
    patience: u32,
    random: Random,
}

#[derive(Debug)]
struct Kept {
    place: usize,
    exemplar: Exemplar,
    /// Number of measurements since the last collection of which this one was chosen.
    seen: u64,
}

/// Returns what is known about the trace of an exemplar. Measurements outside of spans lead to no trace, so nothing is to be waited for.
fn fate(decided: &Decided, trace: TraceId) -> Fate {
    if trace == TraceId::INVALID { Fate::Kept(0) } else { decided.fate(trace).unwrap_or(Fate::Dropped) }
}

impl AfterDecision {
    pub(crate) fn new(decided: Arc<Decided>, places: Places) -> Self {
        AfterDecision { decided, places, waiting: Vec::new(), kept: Vec::new(), patience: 0, random: Random::new() }
    }

    fn place(&mut self, value: f64) -> usize {
        match &self.places {
            Places::Buckets(bounds) => bucket_of(bounds, value),
            Places::Any(0 | 1) => 0,
            Places::Any(places) => self.random.below(*places as u64) as usize,
        }
    }

    fn number_waiting(&self, place: usize) -> usize {
        self.waiting.iter().filter(|(waiting, _)| *waiting == place).count()
    }

    /// Drops a measurement in a place that has waited for too long. Returns true if there was one.
    fn gives_up(&mut self, place: usize, now: Timestamp) -> bool {
        let is_old = |(waiting, exemplar): &(usize, Exemplar)| *waiting == place && now.since(exemplar.time) > MAX_AGE;
        let old = self.waiting.iter().position(is_old);
        old.map(|at| self.waiting.swap_remove(at)).is_some()
    }

    /// Moves what has been decided out of the waiting measurements, in one place or in all.
    fn settle(&mut self, only: Option<usize>) {
        let mut at = 0;
        while let Some((place, exemplar)) = self.waiting.get(at) {
            let fate = match only {
                Some(only) if only != *place => Fate::Pending,
                _ => fate(&self.decided, exemplar.trace_id),
            };
            match fate {
                Fate::Pending => at += 1,
                Fate::Dropped => drop(self.waiting.swap_remove(at)),
                Fate::Kept(_) => {
                    let (place, exemplar) = self.waiting.swap_remove(at);
                    self.keep(place, exemplar);
                }
            }
        }
    }

    fn keep(&mut self, place: usize, exemplar: Exemplar) {
        match self.kept.binary_search_by_key(&place, |kept| kept.place) {
            Err(at) => self.kept.insert(at, Kept { place, exemplar, seen: 1 }),
            Ok(at) => {
                let kept = &mut self.kept[at];
                kept.seen += 1;
                if self.random.below(kept.seen) == 0 {
                    kept.exemplar = exemplar;
                }
            }
        }
    }
}

impl ExemplarReservoir for AfterDecision {
    fn offer(&mut self, offer: &Offer<'_>) {
        let place = self.place(offer.value().as_f64());
        if self.number_waiting(place) >= MAX_WAITING {
            if self.patience > 0 {
                self.patience -= 1;
                return;
            }
            self.settle(Some(place));
            if self.number_waiting(place) >= MAX_WAITING && !self.gives_up(place, offer.time()) {
                self.patience = PATIENCE;
                return;
            }
        }
        self.waiting.push((place, offer.exemplar()));
    }

    /// A measurement whose trace is undecided waits for a later collection.
    fn collect(&mut self, is_delta: bool) -> Vec<Exemplar> {
        self.settle(None);
        self.patience = 0;
        if is_delta {
            return std::mem::take(&mut self.kept).into_iter().map(|kept| kept.exemplar).collect();
        }
        self.kept.iter_mut().for_each(|kept| kept.seen = 0);
        self.kept.iter().map(|kept| kept.exemplar.clone()).collect()
    }
}

/// Removes the exemplars of dropped traces from what a reservoir of the program has kept.
#[derive(Debug)]
pub(crate) struct Sifted {
    decided: Arc<Decided>,
    reservoir: Box<dyn ExemplarReservoir>,
    waiting: Vec<Exemplar>,
}

impl Sifted {
    pub(crate) fn new(decided: Arc<Decided>, reservoir: Box<dyn ExemplarReservoir>) -> Self {
        Sifted { decided, reservoir, waiting: Vec::new() }
    }
}

impl ExemplarReservoir for Sifted {
    fn offer(&mut self, offer: &Offer<'_>) {
        self.reservoir.offer(offer);
    }

    fn collect(&mut self, is_delta: bool) -> Vec<Exemplar> {
        let collected = self.reservoir.collect(is_delta);
        let mut kept = Vec::new();
        for exemplar in std::mem::take(&mut self.waiting).into_iter().chain(collected) {
            match fate(&self.decided, exemplar.trace_id) {
                Fate::Kept(_) => kept.push(exemplar),
                Fate::Dropped => {}
                // Otherwise, the reservoir still has it.
                Fate::Pending if is_delta => {
                    if self.waiting.len() >= MAX_SIFTED {
                        self.waiting.remove(0);
                    }
                    self.waiting.push(exemplar);
                }
                Fate::Pending => {}
            }
        }
        kept
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::metrics::exemplar::{Eligible, Given, SimpleFixedSizeExemplarReservoir};
    use crate::testing::ManualClock;
    use crate::time::Clock;
    use opentelemetry::trace::SpanId;

    fn offer(reservoir: &mut impl ExemplarReservoir, trace: u128, value: f64) {
        offer_at(&Clock::system(), reservoir, trace, value);
    }

    fn offer_at(clock: &Clock, reservoir: &mut impl ExemplarReservoir, trace: u128, value: f64) {
        let span = Eligible { trace_id: TraceId::from(trace), span_id: SpanId::from(1) };
        let given = Given::new(&[], None);
        reservoir.offer(&Offer { value: value.into(), given, of_series: &[], span, clock });
    }

    fn collect(reservoir: &mut impl ExemplarReservoir, is_delta: bool) -> Vec<f64> {
        reservoir.collect(is_delta).iter().map(|exemplar| exemplar.value.as_f64()).collect()
    }

    fn reservoir(places: Places) -> (Arc<Decided>, AfterDecision) {
        let decided = Arc::new(Decided::new(10_000));
        (decided.clone(), AfterDecision::new(decided, places))
    }

    fn start(decided: &Decided, trace: u128) {
        decided.open(TraceId::from(trace), 0);
    }

    fn decide(decided: &Decided, trace: u128, is_kept: bool) {
        decided.decide(TraceId::from(trace), if is_kept { Fate::Kept(1) } else { Fate::Dropped });
    }

    #[test]
    fn only_measurements_of_kept_traces_become_exemplars() {
        let (decided, mut reservoir) = reservoir(Places::Buckets([10.0].into()));
        (1..=3).for_each(|trace| start(&decided, trace));
        offer(&mut reservoir, 1, 1.0);
        offer(&mut reservoir, 2, 2.0);
        offer(&mut reservoir, 3, 20.0);
        assert_eq!(collect(&mut reservoir, false), []);
        decide(&decided, 1, false);
        decide(&decided, 3, false);
        assert_eq!(collect(&mut reservoir, false), []);
        decide(&decided, 2, true);
        assert_eq!(collect(&mut reservoir, false), [2.0]);
        assert_eq!(collect(&mut reservoir, false), [2.0], "a cumulative series keeps it");
        assert_eq!(collect(&mut reservoir, true), [2.0]);
        assert_eq!(collect(&mut reservoir, true), []);
        // A trace that is not known may have been dropped, and a measurement outside of spans leads nowhere.
        offer(&mut reservoir, 99, 3.0);
        offer(&mut reservoir, 0, 30.0);
        assert_eq!(collect(&mut reservoir, true), [30.0]);
    }

    #[test]
    fn dropped_traces_make_room_and_memory_is_bounded() {
        let (decided, mut reservoir) = reservoir(Places::Buckets([10.0].into()));
        for trace in 1..=1000 {
            start(&decided, trace);
            offer(&mut reservoir, trace, trace as f64 % 20.0);
            assert!(reservoir.waiting.len() <= 2 * MAX_WAITING);
        }
        for trace in 1..=1000 {
            decide(&decided, trace, false);
        }
        // The next measurements find the places taken by dropped traces, and replace them.
        for trace in 2000..2100 {
            start(&decided, trace);
            decide(&decided, trace, trace == 2090);
            offer(&mut reservoir, trace, 5.0);
        }
        assert_eq!(collect(&mut reservoir, true), [5.0]);
        assert!(reservoir.waiting.is_empty());
    }

    #[test]
    fn traces_that_are_never_decided_make_room_after_a_while() {
        let (decided, mut reservoir) = reservoir(Places::Any(1));
        let clock = ManualClock::new();
        for trace in 1..=2 {
            start(&decided, trace);
            offer_at(&clock.clock(), &mut reservoir, trace, 1.0);
        }
        decide(&decided, 3, true);
        clock.advance(MAX_AGE);
        offer_at(&clock.clock(), &mut reservoir, 3, 3.0);
        assert_eq!(collect(&mut reservoir, true), []);
        clock.advance(Duration::from_secs(1));
        offer_at(&clock.clock(), &mut reservoir, 3, 3.0);
        assert_eq!(collect(&mut reservoir, true), [3.0]);
    }

    #[test]
    fn each_measurement_of_kept_traces_has_the_same_chance() {
        let mut counts = [0u32; 8];
        for round in 0..8000u128 {
            let (decided, mut reservoir) = reservoir(Places::Any(1));
            for trace in 1..=8 {
                decide(&decided, round * 10 + trace, true);
                offer(&mut reservoir, round * 10 + trace, trace as f64);
            }
            let [kept] = collect(&mut reservoir, true)[..] else { panic!("one exemplar") };
            counts[kept as usize - 1] += 1;
        }
        // Five standard deviations around 1000.
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 150), "{counts:?}");
    }

    #[test]
    fn a_reservoir_of_the_program_is_sifted() {
        let decided = Arc::new(Decided::new(100));
        let of_program = SimpleFixedSizeExemplarReservoir::new(3);
        let mut reservoir = Sifted::new(decided.clone(), Box::new(of_program));
        (1..=3).for_each(|trace| start(&decided, trace));
        (1..=3).for_each(|trace| offer(&mut reservoir, trace, trace as f64));
        decide(&decided, 1, true);
        decide(&decided, 2, false);
        assert_eq!(collect(&mut reservoir, true), [1.0]);
        decide(&decided, 3, true);
        assert_eq!(collect(&mut reservoir, true), [3.0]);
        assert_eq!(collect(&mut reservoir, true), []);
    }
}
