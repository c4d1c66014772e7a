//! The retry policy: a state machine that neither reads a clock nor sleeps.
//!
//! spec: protocol/exporter.md#retry, opentelemetry-proto docs/specification.md#failures

use std::time::Duration;

/// The backoff between attempts to send a request, and the maximum number of retries. A large batch is sent in several
/// requests.
///
/// The wait before the n-th retry is `initial_backoff × 2^(n-1)`, limited to `max_backoff`, with 20 % jitter. A pause
/// requested by the receiver replaces this wait, but never shortens it below the initial backoff. All retries of a batch
/// happen within its timeout.
///
/// ```
/// use std::time::Duration;
/// use telemark_otlp::{OtlpExporter, RetryConfig};
/// use telemark_sdk::signal::Traces;
///
/// let patient = RetryConfig::default().with_max_backoff(Duration::from_secs(30)).with_max_retries(10);
/// let builder = OtlpExporter::<Traces>::builder().with_retry(patient).with_timeout(Duration::from_secs(120));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryConfig {
    /// The wait before the first retry. Defaults to one second.
    pub initial_backoff: Duration,
    /// The maximum wait, unless the receiver requests a longer one. Defaults to five seconds.
    pub max_backoff: Duration,
    /// The maximum number of retries per request. Unlimited within the timeout by default; zero disables retries.
    pub max_retries: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(5),
            max_retries: u32::MAX,
        }
    }
}

impl RetryConfig {
    /// Sets the wait before the first retry.
    #[must_use]
    pub fn with_initial_backoff(mut self, wait: Duration) -> Self {
        self.initial_backoff = wait;
        self
    }

    /// Sets the maximum wait.
    #[must_use]
    pub fn with_max_backoff(mut self, wait: Duration) -> Self {
        self.max_backoff = wait;
        self
    }

    /// Sets the maximum number of retries per request.
    #[must_use]
    pub fn with_max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }
}

/// The step after a transient failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Wait(Duration),
    GiveUp,
}

/// The retries of one request.
#[derive(Debug)]
pub(crate) struct Retry {
    config: RetryConfig,
    retries: u32,
    /// The number of retries with renewed headers, which follow without a wait.
    renewals: u32,
}

impl Retry {
    pub(crate) fn new(config: RetryConfig) -> Self {
        Retry { config, retries: 0, renewals: 0 }
    }

    /// Returns the number of retries so far.
    pub(crate) fn retries(&self) -> u32 {
        self.retries.saturating_add(self.renewals)
    }

    /// Counts a retry with renewed headers, which the policy does not limit.
    pub(crate) fn count_renewal(&mut self) {
        self.renewals += 1;
    }

    /// Decides what to do after a transient failure. `asked` is the pause requested by the receiver, `remaining` is the rest
    /// of the timeout (`None` if there is no timeout), and `chance` is a random number.
    pub(crate) fn after_failure(
        &mut self,
        asked: Option<Duration>,
        remaining: Option<Duration>,
        chance: u64,
    ) -> Decision {
        if self.retries >= self.config.max_retries {
            return Decision::GiveUp;
        }
        let doubled = 1u32.checked_shl(self.retries).unwrap_or(u32::MAX);
        let backoff = self.config.initial_backoff.saturating_mul(doubled).min(self.config.max_backoff);
        let wait = match asked {
            // Never shorter than the initial backoff, because a requested pause of zero would cause a busy loop.
            Some(asked) => asked.max(jittered(self.config.initial_backoff.min(self.config.max_backoff), chance)),
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

/// Returns between 80 % and 120 % of `wait`.
fn jittered(wait: Duration, chance: u64) -> Duration {
    let permille = 800 + (chance % 401) as u32;
    wait.saturating_mul(permille) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIDDLE: u64 = 200;

    /// Simulates failures with these requested pauses until the policy gives up. Compares the waits in milliseconds.
    fn check(config: RetryConfig, asked: &[Option<u64>], remaining: Option<u64>, expected: &str) {
        let mut retry = Retry::new(config);
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
    fn the_wait_doubles_up_to_the_maximum() {
        check(RetryConfig::default(), &[None; 5], None, "1000 2000 4000 5000 5000");
    }

    #[test]
    fn no_wait_reaches_the_deadline() {
        check(RetryConfig::default(), &[None; 5], Some(10_000), "1000 2000 4000 give up");
        check(RetryConfig::default(), &[Some(60_000)], Some(10_000), "give up");
        check(RetryConfig::default(), &[None], Some(0), "give up");
    }

    #[test]
    fn the_receiver_may_ask_for_more_but_not_for_a_busy_loop() {
        check(RetryConfig::default(), &[Some(7000), None, Some(0)], None, "7000 2000 1000");
    }

    #[test]
    fn retries_can_be_limited_and_switched_off() {
        check(RetryConfig::default().with_max_retries(1), &[None; 5], None, "1000 give up");
        check(RetryConfig::default().with_max_retries(0), &[None; 5], None, "give up");
    }

    proptest! {
        #[test]
        fn every_wait_is_within_its_bounds(
            initial in 0u64..100_000, longest in 0u64..100_000, failures in 0u32..80, chance: u64, left in 0u64..100_000
        ) {
            let config = RetryConfig::default()
                .with_initial_backoff(Duration::from_millis(initial))
                .with_max_backoff(Duration::from_millis(longest));
            let mut retry = Retry { config, retries: failures, renewals: 0 };
            if let Decision::Wait(wait) = retry.after_failure(None, Some(Duration::from_millis(left)), chance) {
                prop_assert!(wait < Duration::from_millis(left));
                prop_assert!(wait <= Duration::from_millis(longest) * 12 / 10);
                prop_assert!(wait >= Duration::from_millis(initial.min(longest)) * 8 / 10);
            }
        }
    }
}
