//! When to send a batch again: a state machine without a clock and without a sleep.
//!
//! spec: protocol/exporter.md#retry, opentelemetry-proto docs/specification.md#failures

use std::time::Duration;

/// The waits before a batch is sent again.
///
/// The wait before the n-th retry is `initial × 2^(n-1)`, at most `longest`, give or take a fifth by chance. A receiver that
/// asks for a longer pause gets it. All retries of a batch happen within its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetrySettings {
    /// The wait before the first retry; one second by default.
    pub initial: Duration,
    /// The longest wait that is not asked for by the receiver; five seconds by default.
    pub longest: Duration,
    /// The most retries of one batch; by default as many as its timeout has room for. Zero switches retries off.
    pub most: u32,
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings { initial: Duration::from_secs(1), longest: Duration::from_secs(5), most: u32::MAX }
    }
}

impl RetrySettings {
    /// Sets the wait before the first retry.
    pub fn with_initial(mut self, initial: Duration) -> Self {
        self.initial = initial;
        self
    }

    /// Sets the longest wait.
    pub fn with_longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Sets the most retries of one batch.
    pub fn with_most(mut self, most: u32) -> Self {
        self.most = most;
        self
    }
}

/// The step after a failure that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Wait(Duration),
    GiveUp,
}

/// The retries of one batch.
#[derive(Debug)]
pub(crate) struct Retry {
    settings: RetrySettings,
    retries: u32,
}

impl Retry {
    pub(crate) fn new(settings: RetrySettings) -> Self {
        Retry { settings, retries: 0 }
    }

    /// Returns how many times the batch was sent again.
    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    /// Decides after a failure that may pass. `asked` is the pause that the receiver asked for, `remaining` what is left of
    /// the timeout (`None` without one), `chance` a random number.
    pub(crate) fn after_failure(
        &mut self,
        asked: Option<Duration>,
        remaining: Option<Duration>,
        chance: u64,
    ) -> Decision {
        if self.retries >= self.settings.most {
            return Decision::GiveUp;
        }
        let doubled = 1u32.checked_shl(self.retries).unwrap_or(u32::MAX);
        let backoff = self.settings.initial.saturating_mul(doubled).min(self.settings.longest);
        let wait = match asked {
            // Never faster than the first backoff, whatever the receiver asks: zero would be a busy loop.
            Some(asked) => asked.max(jittered(self.settings.initial.min(self.settings.longest), chance)),
            None => jittered(backoff, chance),
        };
        // A wait that ends after the deadline is pointless, and the thread has other batches to send.
        if remaining.is_some_and(|remaining| wait >= remaining) {
            return Decision::GiveUp;
        }
        self.retries += 1;
        Decision::Wait(wait)
    }
}

/// From 80 % to 120 % of `wait`.
fn jittered(wait: Duration, chance: u64) -> Duration {
    let permille = 800 + (chance % 401) as u32;
    wait.saturating_mul(permille) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIDDLE: u64 = 200;

    /// The waits in milliseconds after a series of failures, each with the pause asked for, until it gives up.
    fn check(settings: RetrySettings, asked: &[Option<u64>], remaining: Option<u64>, expected: &str) {
        let mut retry = Retry::new(settings);
        let mut remaining = remaining.map(Duration::from_millis);
        let mut waits = Vec::new();
        for asked in asked {
            match retry.after_failure(asked.map(Duration::from_millis), remaining, MIDDLE) {
                Decision::Wait(wait) => {
                    remaining = remaining.map(|remaining| remaining.saturating_sub(wait));
                    waits.push(wait.as_millis().to_string());
                }
                Decision::GiveUp => {
                    waits.push("give up".to_owned());
                    break;
                }
            }
        }
        assert_eq!(waits.join(" "), expected);
    }

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        check(RetrySettings::default(), &[None; 5], None, "1000 2000 4000 5000 5000");
    }

    #[test]
    fn no_wait_reaches_the_deadline() {
        check(RetrySettings::default(), &[None; 5], Some(10_000), "1000 2000 4000 give up");
        check(RetrySettings::default(), &[Some(60_000)], Some(10_000), "give up");
        check(RetrySettings::default(), &[None], Some(0), "give up");
    }

    #[test]
    fn the_receiver_may_ask_for_more_but_not_for_a_busy_loop() {
        check(RetrySettings::default(), &[Some(7000), None, Some(0)], None, "7000 2000 1000");
    }

    #[test]
    fn retries_can_be_limited_and_switched_off() {
        check(RetrySettings::default().with_most(1), &[None; 5], None, "1000 give up");
        check(RetrySettings::default().with_most(0), &[None; 5], None, "give up");
    }

    proptest! {
        #[test]
        fn every_wait_is_within_its_bounds(
            initial in 0u64..100_000, longest in 0u64..100_000, failures in 0u32..80, chance: u64, left in 0u64..100_000
        ) {
            let settings = RetrySettings::default()
                .with_initial(Duration::from_millis(initial))
                .with_longest(Duration::from_millis(longest));
            let mut retry = Retry { settings, retries: failures };
            if let Decision::Wait(wait) = retry.after_failure(None, Some(Duration::from_millis(left)), chance) {
                prop_assert!(wait < Duration::from_millis(left));
                prop_assert!(wait <= Duration::from_millis(longest) * 12 / 10);
                prop_assert!(wait >= Duration::from_millis(initial.min(longest)) * 8 / 10);
            }
        }
    }
}
