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
/// has been forgotten, makes room for another one, and so does one whose trace is still undecided after two minutes. What waits in a series
/// that is given up, such as one without new deltas, goes with it.
#[derive(Debug)]
pub(crate) struct AfterDecision {
    decided: Arc<Decided>,
    places: Places,
    /// The places that had a measurement, in their order.
    used: Vec<Place>,
    random: Random,
}

#[derive(Debug)]
struct Place {
    number: usize,
    waiting: [Option<Exemplar>; MAX_WAITING],
    kept: Option<Exemplar>,
    /// Number of measurements of kept traces since the last collection, of which one was chosen.
    seen: u64,
    /// Number of measurements to pass over.
    patience: u32,
}

/// Returns what is known about the trace of an exemplar. Measurements outside of spans lead to no trace, so nothing is to be waited for.
fn fate(decided: &Decided, trace: TraceId) -> Fate {
    if trace == TraceId::INVALID { Fate::Kept(0) } else { decided.fate(trace).unwrap_or(Fate::Dropped) }
}

impl AfterDecision {
    pub(crate) fn new(decided: Arc<Decided>, places: Places) -> Self {
        AfterDecision { decided, places, used: Vec::new(), random: Random::new() }
    }

    fn number(&mut self, value: f64) -> usize {
        match &self.places {
            Places::Buckets(bounds) => bucket_of(bounds, value),
            Places::Any(0 | 1) => 0,
            Places::Any(places) => self.random.below(*places as u64) as usize,
        }
    }
}

impl Place {
    fn new(number: usize) -> Self {
        Place { number, waiting: Default::default(), kept: None, seen: 0, patience: 0 }
    }

    /// Returns room for another measurement, if a decision or the age of a measurement gives some.
    fn make_room(&mut self, decided: &Decided, random: &mut Random, now: Timestamp) -> Option<&mut Option<Exemplar>> {
        if self.waiting.iter().all(Option::is_some) {
            if self.patience > 0 {
                self.patience -= 1;
                return None;
            }
            self.settle(decided, random);
            if self.waiting.iter().all(Option::is_some) {
                let old = self
                    .waiting
                    .iter_mut()
                    .find(|waiting| waiting.as_ref().is_some_and(|at| now.since(at.time) > MAX_AGE));
                match old {
                    Some(old) => *old = None,
                    None => self.patience = PATIENCE,
                }
            }
        }
        self.waiting.iter_mut().find(|waiting| waiting.is_none())
    }

    /// Keeps or drops what waits and has been decided.
    fn settle(&mut self, decided: &Decided, random: &mut Random) {
        for waiting in &mut self.waiting {
            let Some(exemplar) = waiting.take() else { continue };
            match fate(decided, exemplar.trace_id) {
                Fate::Pending => *waiting = Some(exemplar),
                Fate::Dropped => {}
                Fate::Kept(_) => {
                    self.seen += 1;
                    if self.seen == 1 || random.below(self.seen) == 0 {
                        self.kept = Some(exemplar);
                    }
                }
            }
        }
    }
}

impl ExemplarReservoir for AfterDecision {
    fn offer(&mut self, offer: &Offer<'_>) {
        let number = self.number(offer.value().as_f64());
        let at = self.used.binary_search_by_key(&number, |place| place.number).unwrap_or_else(|at| {
            self.used.insert(at, Place::new(number));
            at
        });
        let Some(place) = self.used.get_mut(at) else { return };
        if let Some(room) = place.make_room(&self.decided, &mut self.random, offer.time()) {
            *room = Some(offer.exemplar());
        }
    }

    /// A measurement whose trace is undecided waits for a later collection.
    fn collect(&mut self, is_delta: bool) -> Vec<Exemplar> {
        let mut collected = Vec::new();
        for place in &mut self.used {
            place.settle(&self.decided, &mut self.random);
            (place.seen, place.patience) = (0, 0);
            collected.extend(if is_delta { place.kept.take() } else { place.kept.clone() });
        }
        if is_delta {
            self.used.retain(|place| place.waiting.iter().any(Option::is_some));
        }
        collected
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
            assert_eq!(reservoir.used.len(), 1 + usize::from(trace > 10));
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
        assert!(reservoir.used.is_empty());
    }

    #[test]
    fn a_place_that_waits_costs_the_others_nothing() {
        let (decided, mut reservoir) = reservoir(Places::Buckets([10.0].into()));
        for (trace, value) in [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0)] {
            start(&decided, trace);
            offer(&mut reservoir, trace, value);
        }
        decide(&decided, 5, true);
        offer(&mut reservoir, 5, 5.0);
        (3..=4).for_each(|trace| decide(&decided, trace, false));
        offer(&mut reservoir, 5, 50.0);
        assert_eq!(collect(&mut reservoir, true), [50.0]);
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
            reservoir.random = Random::from_seed(round as u64);
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
