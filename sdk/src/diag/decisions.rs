//! Counts what tail sampling kept and dropped: by policy, by reason, and by "was an error".

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::text::counted;

/// The reason why a trace was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unkept {
    /// No policy kept it.
    Decided,
    /// It had to make room for newer traces.
    Evicted,
}

/// Counts of the decisions of one tail sampler.
#[derive(Debug)]
pub(crate) struct Decisions {
    /// By policy.
    kept: Box<[(Cow<'static, str>, ByOutcome)]>,
    dropped: ByOutcome,
    evicted: ByOutcome,
    late_kept: ByOutcome,
    late_dropped: ByOutcome,
    at_deadline: AtomicU64,
    incomplete: AtomicU64,
    over_budget: AtomicU64,
    panics: AtomicU64,
    /// What is held at present: traces, spans and bytes.
    held: [AtomicU64; 3],
}

/// Numbers of traces or spans without and with an error.
#[derive(Debug, Default)]
struct ByOutcome([AtomicU64; 2]);

impl ByOutcome {
    fn add(&self, is_error: bool) {
        self.0[usize::from(is_error)].fetch_add(1, Ordering::Relaxed);
    }

    fn load(&self) -> DecisionCount {
        let [fine, errors] = &self.0;
        DecisionCount { total: load(fine) + load(errors), errors: load(errors) }
    }
}

impl Decisions {
    /// Creates the counts of policies with these names.
    pub(crate) fn new(policies: impl IntoIterator<Item = Cow<'static, str>>) -> Self {
        Decisions {
            kept: policies.into_iter().map(|name| (name, ByOutcome::default())).collect(),
            dropped: ByOutcome::default(),
            evicted: ByOutcome::default(),
            late_kept: ByOutcome::default(),
            late_dropped: ByOutcome::default(),
            at_deadline: AtomicU64::new(0),
            incomplete: AtomicU64::new(0),
            over_budget: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            held: Default::default(),
        }
    }

    /// Returns the name of a policy.
    pub(crate) fn policy(&self, index: usize) -> Option<&Cow<'static, str>> {
        self.kept.get(index).map(|(name, _)| name)
    }

    /// Counts a trace that a policy kept.
    pub(crate) fn keep(&self, policy: usize, is_error: bool) {
        if let Some((_, kept)) = self.kept.get(policy) {
            kept.add(is_error);
        }
    }

    /// Counts a trace that was not kept.
    pub(crate) fn give_up(&self, reason: Unkept, is_error: bool) {
        match reason {
            Unkept::Decided => self.dropped.add(is_error),
            Unkept::Evicted => self.evicted.add(is_error),
        }
    }

    /// Counts a span that ended after the decision about its trace, which it follows.
    pub(crate) fn late(&self, is_kept: bool, is_error: bool) {
        if is_kept { self.late_kept.add(is_error) } else { self.late_dropped.add(is_error) }
    }

    /// Counts a trace that was decided before it was complete.
    pub(crate) fn at_deadline(&self) {
        self.at_deadline.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a trace of which an earlier part had been dropped when the rest was kept.
    pub(crate) fn incomplete(&self) {
        self.incomplete.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a trace that a policy would have kept if its budget had not been used up.
    pub(crate) fn over_budget(&self) {
        self.over_budget.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a policy of the program that panicked.
    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets what is held at present.
    pub(crate) fn set_held(&self, held: [usize; 3]) {
        self.held.iter().zip(held).for_each(|(place, count)| place.store(count as u64, Ordering::Relaxed));
    }

    pub(crate) fn snapshot(&self) -> TailHealth {
        let [held_traces, held_spans, held_bytes] = self.held.each_ref().map(load);
        TailHealth {
            kept: self.kept.iter().map(|(name, kept)| (name.clone(), kept.load())).collect(),
            dropped: self.dropped.load(),
            evicted: self.evicted.load(),
            late_kept: self.late_kept.load(),
            late_dropped: self.late_dropped.load(),
            at_deadline: load(&self.at_deadline),
            incomplete: load(&self.incomplete),
            over_budget: load(&self.over_budget),
            panics: load(&self.panics),
            held_traces,
            held_spans,
            held_bytes,
        }
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A number of traces or spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecisionCount {
    /// All of them.
    pub total: u64,
    /// Those with an error.
    pub errors: u64,
}

/// Counts of the decisions of [tail sampling](crate::stages::tail) since the start, and what it holds at present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailHealth {
    /// Traces that were kept, by the name of the policy.
    pub kept: Vec<(Cow<'static, str>, DecisionCount)>,
    /// Traces that no policy kept.
    pub dropped: DecisionCount,
    /// Traces that were dropped undecided, because the limits of memory left no room.
    pub evicted: DecisionCount,
    /// Spans that ended after the decision about their trace and were kept like it.
    pub late_kept: DecisionCount,
    /// Spans that ended after the decision about their trace and were dropped like it.
    pub late_dropped: DecisionCount,
    /// Traces that were decided while a local root was still running, because of the deadline or a flush.
    pub at_deadline: u64,
    /// Traces of which an earlier part had been dropped when the rest was kept.
    pub incomplete: u64,
    /// Traces that a policy would have kept if its budget had not been used up.
    pub over_budget: u64,
    /// Panics of policies of the program.
    pub panics: u64,
    /// Traces that are waiting for a decision.
    pub held_traces: u64,
    /// Spans of those traces that have ended.
    pub held_spans: u64,
    /// The memory of those spans, in bytes.
    pub held_bytes: u64,
}

impl TailHealth {
    /// Returns what was decided about traces, as in `tail sampling kept 1 trace (1 with an error) and dropped 7`; `None` if nothing was.
    pub(crate) fn summary(&self) -> Option<String> {
        let kept = self.kept.iter().fold(DecisionCount::default(), |sum, (_, kept)| DecisionCount {
            total: sum.total + kept.total,
            errors: sum.errors + kept.errors,
        });
        let evicted = match self.evicted.total {
            0 => String::new(),
            total => format!(", and {} undecided for lack of room", self.evicted.described(total)),
        };
        let has_any = kept.total + self.dropped.total + self.evicted.total > 0;
        let (kept, dropped) =
            (kept.described(counted(kept.total, "traces")), self.dropped.described(self.dropped.total));
        has_any.then(|| format!("tail sampling kept {kept} and dropped {dropped}{evicted}"))
    }
}

impl DecisionCount {
    /// Returns the number, and how many of them had an error unless there is none.
    fn described(self, total: impl fmt::Display) -> String {
        match self.errors {
            0 => total.to_string(),
            errors => format!("{total} ({errors} with an error)"),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_what_was_decided() {
        let said = |kept: &[(u64, u64)], dropped: (u64, u64), evicted: (u64, u64)| {
            let count = |(total, errors)| DecisionCount { total, errors };
            let kept = kept.iter().map(|kept| ("policy".into(), count(*kept))).collect();
            TailHealth { kept, dropped: count(dropped), evicted: count(evicted), ..TailHealth::default() }.summary()
        };
        let expect = |text: &str| Some(text.to_owned());
        assert_eq!(said(&[], (0, 0), (0, 0)), None);
        assert_eq!(said(&[(1, 0)], (0, 0), (0, 0)), expect("tail sampling kept 1 trace and dropped 0"));
        let text = "tail sampling kept 5 traces (3 with an error) and dropped 7 (1 with an error), and 2 undecided for lack of room";
        assert_eq!(said(&[(3, 3), (2, 0)], (7, 1), (2, 0)), expect(text));
    }
}
