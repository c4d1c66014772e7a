//! A sampler that keeps a target of traces a second for each name.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use super::allowance::{Allowance, Used};
use super::{ComposableSampler, SamplingIntent};
use crate::sampling::SamplingRequest;
use crate::time::Clock;

/// Number of places for names, of which a name can take one of [`PROBED`].
const PLACES: usize = 2048;
const PROBED: usize = 8;
/// What can be saved up, in seconds. The more it is, the smoother is the probability.
const SAVED_SECONDS: f64 = 10.0;

/// Keeps a target of traces a second for each span name, and says in the trace state how many traces each kept one stands for. Rare
/// names are kept whole, and frequent ones do not crowd them out: with a target of 100, a name with 100 traces a second is kept
/// whole, and of a name with 10,000 traces a second, 1 % is kept.
///
/// The probability of a name changes smoothly: up to five seconds' worth of its target can start at once and is kept whole. See
/// [`RateLimiting`](super::RateLimiting) for the bounds.
///
/// Memory is bounded: 32 KiB hold about a thousand frequent names at the same time, and further ones share one target. A name that has
/// used nothing of its target for up to ten seconds gives its place to another one, which changes nothing for it.
///
/// Decides about each span that it is asked about, so it is the root of a [`ParentThreshold`](super::ParentThreshold), or of a rule
/// below one:
///
/// ```
/// use telemark_sdk::sampling::{Adaptive, Composite, ParentThreshold};
///
/// let sampler = Composite::new(ParentThreshold::new(Adaptive::new(100.0)));
/// ```
pub struct Adaptive {
    allowance: Allowance,
    hasher: RandomState,
    places: Box<[Place]>,
    /// The target of all names that have no place.
    others: Used,
}

#[derive(Default)]
struct Place {
    /// The hash of the name; zero if the place is empty. Names with the same hash would share a target.
    name: AtomicU64,
    used: Used,
}

impl Adaptive {
    /// Creates a sampler that keeps up to `traces_per_second` of each name. Keeps nothing if that is 0, negative or NaN.
    pub fn new(traces_per_second: f64) -> Self {
        Adaptive {
            allowance: Allowance::new(traces_per_second, SAVED_SECONDS),
            hasher: RandomState::new(),
            places: (0..PLACES).map(|_| Place::default()).collect(),
            others: Used::new(0),
        }
    }

    /// Sets the clock, for tests and simulations.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.allowance = self.allowance.with_clock(clock);
        self
    }

    /// Returns the bucket of a name. Another thread may give it to another name at the same time; a trace is then charged to that name.
    fn used(&self, name: &str, now: u64) -> &Used {
        let hash = self.hasher.hash_one(name) | 1;
        let first = (hash >> 32) as usize;
        let places = (0..PROBED).map(|step| &self.places[first.wrapping_add(step) % PLACES]);
        for place in places.clone() {
            if place.name.load(Ordering::Relaxed) == hash {
                return &place.used;
            }
        }
        // A full bucket is the same as a new one, so its place can be taken without effect on its name.
        for place in places.filter(|place| self.allowance.is_full(&place.used, now)) {
            let taken = place.name.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
                // Another thread may have taken the place and charged its bucket in between.
                (before == hash || self.allowance.is_full(&place.used, now)).then_some(hash)
            });
            if taken.is_ok() {
                return &place.used;
            }
        }
        &self.others
    }
}

impl ComposableSampler for Adaptive {
    fn intent<'a>(&'a self, request: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        let now = self.allowance.now();
        let threshold = self.allowance.charge(self.used(request.name, now), now);
        threshold.map_or(SamplingIntent::DROP, SamplingIntent::reliable)
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!("Adaptive{{{}/s per name}}", self.allowance.per_second()))
    }
}

impl fmt::Debug for Adaptive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description())
    }
}
