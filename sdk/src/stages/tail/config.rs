//! The configuration of tail sampling.

use std::sync::Arc;
use std::time::Duration;

use super::Policy;
use super::buffer::Limits;
use super::logs::LogsStage;
use super::mark::Mark;
use super::rules::Rules;
use super::stage::{TailStage, Waits};
use crate::batch::Stage;
use crate::decided::Decided;
use crate::diag::Decisions;
use crate::error::ConfigError;
use crate::signal::{Logs, Traces};
use crate::time::Clock;
use crate::trace::Tail;

/// Decides which traces are exported once they have ended in this process. [The module](super) describes how.
#[derive(Clone, Debug)]
#[must_use = "pass it to `with_tail_sampling`"]
pub struct TailSampling {
    policies: Vec<Policy>,
    limits: Limits,
    waits: Waits,
    holds_logs: bool,
    tells_errors: bool,
}

impl Default for TailSampling {
    fn default() -> Self {
        TailSampling {
            policies: Vec::new(),
            limits: [50_000, 500_000, 96 << 20],
            waits: Waits { deadline: Duration::from_secs(30), grace: Duration::from_millis(100) },
            holds_logs: false,
            tells_errors: false,
        }
    }
}

impl TailSampling {
    /// Creates a config without policies, which would keep nothing.
    pub fn new() -> Self {
        TailSampling::default()
    }

    /// Adds a policy. A trace is kept if one of the policies keeps it; the first of them is named on it.
    pub fn keep(mut self, policy: Policy) -> Self {
        self.policies.push(policy);
        self
    }

    /// Sets the maximum number of traces that wait for a decision. The default is 50,000.
    pub fn with_max_traces(mut self, traces: usize) -> Self {
        self.limits[0] = traces;
        self
    }

    /// Sets the maximum number of spans that wait for a decision. The default is 500,000.
    pub fn with_max_spans(mut self, spans: usize) -> Self {
        self.limits[1] = spans;
        self
    }

    /// Sets the maximum number of bytes that waiting spans occupy. The default is 96 MiB. They do not count in the queues of the
    /// processors, which have limits of their own. Text of the program's binary counts as if it were allocated, because it cannot be told
    /// apart, so the real size is smaller.
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.limits[2] = bytes;
        self
    }

    /// Sets the time after the first span of a trace has ended at which the trace is decided, complete or not. The default is 30 s.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.waits.deadline = deadline;
        self
    }

    /// Sets the time for which a trace waits for late spans after its last local root has ended. The default is 100 ms. Stages run at
    /// least five times per schedule delay, so the time is as exact as that.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.waits.grace = grace;
        self
    }

    /// Sets whether log records are held until their trace is decided, and dropped with it. The default is false.
    ///
    /// Warnings, errors, and records outside of traces are exported at once. The rule of [`LogVolume`](crate::logs::LogVolume) that
    /// drops records of traces that are not sampled then follows the decision of the tail. Up to a quarter of [the
    /// bytes](Self::with_max_bytes) are held; beyond that, the oldest records are exported before their trace is decided.
    pub fn with_logs_held(mut self, is_on: bool) -> Self {
        self.holds_logs = is_on;
        self
    }

    /// Sets whether spans that start after an error in their trace are sampled, so that the services that they call keep their parts of a
    /// trace that this process keeps for the error. The default is false.
    ///
    /// The error must have been set on a span of this process before the span of the call starts. The trace context that is sent has the
    /// sampled flag and no `th`, because the probability of an error is not known. Services with tail sampling of their own follow if
    /// they have the policy [`head_sampled`](Policy::head_sampled).
    pub fn with_errors_told(mut self, is_on: bool) -> Self {
        self.tells_errors = is_on;
        self
    }

    /// Returns true if there is no policy.
    pub(crate) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Returns an error if there is no policy, or one that cannot be used.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.rules(&Clock::system()).map(drop)
    }

    fn rules(&self, clock: &Clock) -> Result<Rules, ConfigError> {
        if self.is_empty() {
            return Err(ConfigError::state("tail_sampling", "has no policy, so every trace would be dropped"));
        }
        if self.policies.len() > Mark::MAX_POLICIES {
            return Err(ConfigError::state("tail_sampling", "has more than 128 policies"));
        }
        Rules::new(&self.policies, clock.now())
    }

    /// Creates everything that works together.
    ///
    /// # Errors
    /// Returns an error if there is no policy, or one that cannot be used.
    pub(crate) fn start(self, clock: Clock) -> Result<Started, ConfigError> {
        let rules = self.rules(&clock)?;
        let decided = Arc::new(Decided::new(self.limits[0].saturating_mul(2)));
        let counts = Arc::new(Decisions::new(self.policies.iter().map(Policy::name)));
        let asks = rules.asks();
        let logs = self.holds_logs.then(|| -> Box<dyn Stage<Logs>> {
            let patience = self.waits.deadline.saturating_add(self.waits.grace).saturating_mul(2);
            Box::new(LogsStage::new(decided.clone(), self.limits[2] / 4, patience, clock.clone()))
        });
        let tail = Tail { decided: decided.clone(), counts: counts.clone(), asks, tells_downstream: self.tells_errors };
        let spans = Box::new(TailStage::new(rules, self.limits, self.waits, decided.clone(), counts, clock));
        Ok(Started { spans, logs, tail, decided })
    }
}

/// The parts of tail sampling.
pub(crate) struct Started {
    pub(crate) spans: Box<dyn Stage<Traces>>,
    pub(crate) logs: Option<Box<dyn Stage<Logs>>>,
    pub(crate) tail: Tail,
    pub(crate) decided: Arc<Decided>,
}
