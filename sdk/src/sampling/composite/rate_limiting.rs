//! A sampler that limits the number of traces a second.

use std::borrow::Cow;

use super::allowance::{Allowance, Used};
use super::{ComposableSampler, SamplingIntent};
use crate::sampling::SamplingRequest;
use crate::time::Clock;

/// Limits the number of traces a second, and says in the trace state how many traces each kept one stands for.
///
/// While fewer traces start, all of them are kept, and up to half a second's worth can start at once. While more start, the
/// probability falls continuously until the expected number of kept traces is the limit. The actual number varies around it as random
/// numbers do: at 100 traces a second, by about ten. Within any time, the expected number is at most the limit times the time,
/// plus one second's worth (at least ten traces).
///
/// Decides about each span that it is asked about, so it is the root of a [`ParentThreshold`](super::ParentThreshold), or of a rule
/// below one:
///
/// ```
/// use telemark_sdk::sampling::{Composite, ParentThreshold, RateLimiting};
///
/// let sampler = Composite::new(ParentThreshold::new(RateLimiting::new(100.0)));
/// ```
#[derive(Debug)]
pub struct RateLimiting {
    allowance: Allowance,
    used: Used,
}

impl RateLimiting {
    /// Creates a sampler that keeps up to `traces_per_second`. Keeps nothing if that is 0, negative or NaN.
    pub fn new(traces_per_second: f64) -> Self {
        RateLimiting { allowance: Allowance::new(traces_per_second, 1.0), used: Used::new(0) }
    }

    /// Sets the clock, for tests and simulations.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.allowance = self.allowance.with_clock(clock);
        self
    }
}

impl ComposableSampler for RateLimiting {
    fn intent<'a>(&'a self, _: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        let threshold = self.allowance.charge(&self.used, self.allowance.now());
        threshold.map_or(SamplingIntent::DROP, SamplingIntent::reliable)
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!("RateLimiting{{{}/s}}", self.allowance.per_second()))
    }
}
