//! Budgets: how many traces a second policies keep together.
//!
//! A budget estimates how many traces its policies want, once a second, and gives each policy a threshold with which it keeps its share.
//! The policies that come first are served first, and what they leave is for the others. A trace is compared with the threshold like
//! with any other, so its weight is known. Only if more traces come than estimated, a limit refuses some of them, and then the weights
//! of the others are unknown for a while.
//!
//! The limit is the number of two seconds. A sudden rise uses it up before the first trace is refused, so at most that many traces of the
//! rise have known weights: right for themselves, but those that are refused afterwards are in the weight of no trace. They are counted.

use std::sync::Arc;
use std::time::Duration;

use super::chance::Chance;
use crate::sampling::{Randomness, Threshold};
use crate::time::Timestamp;

/// A number of traces a second that several policies share. Clones are the same budget.
///
/// The policies of a budget are served in their order: errors before slow traces before the rest, for example. What one of them does not
/// use is left for the next.
///
/// ```
/// use telemark_sdk::stages::tail::{Budget, Policy, TailSampling};
///
/// let budget = Budget::per_second(50.0);
/// let tail = TailSampling::new()
///     .keep(Policy::errors().within(&budget))
///     .keep(Policy::always().named("rest").within(&budget));
/// # drop(tail);
/// ```
///
/// The number is kept on average. In any period, it is exceeded by at most a quarter and twice the number of a second, for the case
/// that traffic rises suddenly. The traces that are refused then are counted in
/// [`TailHealth::over_budget`](crate::diag::TailHealth::over_budget) and are in no weight. Kept traces have no weight for two seconds after
/// a refusal; before the first one, up to twice the number of a second are kept with weights that do not know of it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<f64>);

impl Budget {
    /// Creates a budget of this number of traces a second.
    pub fn per_second(traces: f64) -> Self {
        Budget(Arc::new(traces))
    }

    pub(super) fn traces(&self) -> f64 {
        *self.0
    }

    pub(super) fn is_same(&self, other: &Budget) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The time between two estimates.
const WINDOW: Duration = Duration::from_secs(1);

/// A budget at work.
#[derive(Debug)]
pub(super) struct Spending {
    budget: Budget,
    /// The policies, in their order.
    members: Vec<Member>,
    window: Timestamp,
    /// The traces that may be kept at present, beyond which they are refused.
    tokens: f64,
    /// The weights are unknown until then, because a trace was refused.
    unknown_until: Timestamp,
}

#[derive(Debug)]
struct Member {
    /// The number of traces in this window.
    seen: f64,
    /// The estimated number of traces a second; `None` before the first window has ended.
    demand: Option<f64>,
    /// `None` if nothing is left for this policy.
    threshold: Option<Threshold>,
}

impl Spending {
    pub(super) fn new(budget: Budget, now: Timestamp) -> Self {
        let tokens = burst(budget.traces());
        Spending { budget, members: Vec::new(), window: now, tokens, unknown_until: Timestamp::default() }
    }

    pub(super) fn is_for(&self, budget: &Budget) -> bool {
        self.budget.is_same(budget)
    }

    /// Adds a policy and returns its index.
    pub(super) fn add_member(&mut self) -> usize {
        self.members.push(Member { seen: 0.0, demand: None, threshold: Some(Threshold::ALWAYS) });
        self.members.len() - 1
    }

    /// Returns the chance of a trace that a policy keeps with `chance`, within the budget. A trace that no earlier policy keeps
    /// counts, and uses the budget if it is kept. The second result is true if the trace was refused.
    pub(super) fn limit(
        &mut self,
        member: usize,
        chance: Chance,
        randomness: Randomness,
        counts: bool,
        now: Timestamp,
    ) -> (Chance, bool) {
        let Some(own) = self.members.get_mut(member) else { return (Chance::Never, false) };
        if counts {
            own.seen += match chance {
                Chance::Never => 0.0,
                Chance::Above(threshold) => threshold.probability(),
                Chance::Unknown { keeps } => f64::from(u8::from(keeps)),
            };
        }
        let limited = match own.threshold {
            Some(threshold) => chance.and(Chance::Above(threshold), randomness),
            None => Chance::Never,
        };
        if counts && limited.keeps(randomness) {
            if self.tokens < 1.0 {
                self.unknown_until = Timestamp::from_nanos(now.as_nanos().saturating_add(2 * nanos(WINDOW)));
                return (Chance::Unknown { keeps: false }, true);
            }
            self.tokens -= 1.0;
        }
        match limited {
            Chance::Above(threshold) if now < self.unknown_until => {
                (Chance::Unknown { keeps: threshold.keeps(randomness) }, false)
            }
            _ => (limited, false),
        }
    }

    /// Estimates the demand again, if a window has passed, and divides the budget.
    pub(super) fn roll(&mut self, now: Timestamp) {
        let passed = now.since(self.window);
        if passed < WINDOW {
            return;
        }
        self.window = now;
        let (seconds, traces) = (passed.as_secs_f64(), self.budget.traces());
        self.tokens = (self.tokens + 1.25 * traces * seconds).min(burst(traces));
        let mut left = traces;
        for member in &mut self.members {
            let rate = std::mem::take(&mut member.seen) / seconds;
            // After a pause, the old rate says little.
            let weight = 0.5_f64.powf(seconds.min(60.0));
            let demand = member.demand.map_or(rate, |demand| weight * demand + (1.0 - weight) * rate);
            member.demand = Some(demand);
            let share = if demand <= left { 1.0 } else { left / demand };
            member.threshold = Threshold::for_probability(share);
            left = (left - demand).max(0.0);
        }
    }
}

/// Returns the number of traces that may be kept at once.
fn burst(traces: f64) -> f64 {
    (2.0 * traces).max(1.0)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use opentelemetry::trace::{TraceId, TraceState};

    use super::*;
    use crate::id::random;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_nanos((seconds * 1e9) as u64)
    }

    /// Passes traces through a budget of 100 a second with two policies, of which the first wants `first` a second and the
    /// second `second`. Returns the numbers kept each second and the counts recovered from known weights, each over the last half.
    fn run(first: u32, second: u32, seconds: u32) -> ([f64; 2], [f64; 2]) {
        let mut spending = Spending::new(Budget::per_second(100.0), at(0.0));
        assert_eq!((spending.add_member(), spending.add_member()), (0, 1));
        let (mut kept, mut recovered) = ([0.0; 2], [0.0; 2]);
        for step in 0..seconds {
            spending.roll(at(f64::from(step)));
            for number in 0..first + second {
                let member = usize::from(number % (first + second) >= first);
                let randomness = Randomness::for_trace(&TraceState::NONE, TraceId::from(u128::from(random())));
                let (chance, _) = spending.limit(member, Chance::ALWAYS, randomness, true, at(f64::from(step)));
                if step >= seconds / 2 && chance.keeps(randomness) {
                    kept[member] += 1.0;
                    recovered[member] += chance.threshold().map_or(0.0, Threshold::adjusted_count);
                }
            }
        }
        let half = f64::from(seconds - seconds / 2);
        (kept.map(|kept| kept / half), recovered.map(|count| count / half))
    }

    fn check(first: u32, second: u32, expected: [f64; 2]) {
        let (kept, recovered) = run(first, second, 200);
        let close = |value: f64, expected: f64| (value - expected).abs() <= 0.1 * expected + 0.5;
        assert!(close(kept[0], expected[0]) && close(kept[1], expected[1]), "{first} {second}: {kept:?}");
        for (wanted, (kept, recovered)) in [first, second].into_iter().zip(kept.into_iter().zip(recovered)) {
            assert!(kept < 1.0 || close(recovered, f64::from(wanted)), "{first} {second}: {recovered} of {wanted}");
        }
    }

    #[test]
    fn what_the_first_policy_leaves_is_for_the_second() {
        check(10, 50, [10.0, 50.0]);
        check(10, 1000, [10.0, 90.0]);
        check(60, 5000, [60.0, 40.0]);
        check(1000, 1000, [100.0, 0.0]);
    }

    #[test]
    fn a_sudden_rise_is_limited_and_its_weights_are_unknown() {
        let mut spending = Spending::new(Budget::per_second(10.0), at(0.0));
        spending.add_member();
        let randomness = Randomness::for_trace(&TraceState::NONE, TraceId::from(u128::MAX));
        let mut take = |now| spending.limit(0, Chance::ALWAYS, randomness, true, now);
        let rise: Vec<_> = (0..1000).map(|_| take(at(0.1))).collect();
        // The number of two seconds has known weights, and the rest is refused and counted.
        let (before, refused) =
            (vec![(Chance::ALWAYS, false); 20], vec![(Chance::Unknown { keeps: false }, true); 980]);
        assert_eq!(rise, [before, refused].concat());
        assert_eq!(take(at(0.2)), (Chance::Unknown { keeps: false }, true));
        spending.roll(at(1.0));
        let mut later = |now| spending.limit(0, Chance::ALWAYS, randomness, true, now).0;
        assert_eq!(later(at(1.0)), Chance::Unknown { keeps: true });
        assert!(later(at(3.0)).threshold().is_some());
    }

    #[test]
    fn a_trace_that_is_kept_anyway_uses_nothing() {
        let mut spending = Spending::new(Budget::per_second(1.0), at(0.0));
        spending.add_member();
        let randomness = Randomness::for_trace(&TraceState::NONE, TraceId::from(u128::MAX));
        for _ in 0..100 {
            spending.limit(0, Chance::ALWAYS, randomness, false, at(0.0));
        }
        assert_eq!(spending.limit(0, Chance::ALWAYS, randomness, true, at(0.0)), (Chance::ALWAYS, false));
    }
}
