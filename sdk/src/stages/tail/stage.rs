//! The stage that holds the spans of each trace until the trace is decided.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TraceId;

use super::buffer::{Buffer, Limits, Waiting};
use super::chance::Chance;
use super::held_trace::Arrival;
use super::mark::Mark;
use super::rules::{ERROR, Facts, Head, Rules};
use super::{HeldTrace, is_local_root};
use crate::batch::{Held, HeldChunk, OnLoss, Stage, Verdict};
use crate::decided::{Decided, Fate, Standing};
use crate::diag::{Decisions, Unkept};
use crate::sampling::Randomness;
use crate::signal::Traces;
use crate::time::{Clock, SteadyClock, Timestamp};
use crate::trace::SpanData;

/// The times of the decisions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// The time after the first span at which a trace is decided though it is not complete.
    pub(super) deadline: Duration,
    /// The time after the end of the last local root for spans that end late.
    pub(super) grace: Duration,
}

/// Tail sampling at work.
pub(super) struct TailStage {
    rules: Rules,
    buffer: Buffer,
    decided: Arc<Decided>,
    counts: Arc<Decisions>,
    clock: SteadyClock,
    waits: Waits,
    /// The time of the last run. Read once for many spans.
    now: Timestamp,
    /// True if the trace of the span that is about to be held is complete with this span.
    completes: bool,
    /// Spans that follow a decision of before, until the end of the run.
    late: Vec<Held<Traces>>,
    /// The decisions of this run, which others hear at its end.
    decisions: Vec<(TraceId, Fate)>,
    /// Traces of which a local root was lost before the last run, which has seen their other spans.
    lost: Vec<TraceId>,
}

/// What becomes of a span.
enum Arrived {
    /// It waits for the decision. `completes` is true if its trace waits for no other span.
    Waits {
        completes: bool,
    },
    /// It follows the decision of before.
    LateKept(Mark),
    LateDropped,
}

/// The number of decisions of which others hear at once.
const MAX_DECISIONS: usize = 512;
/// The time after which spans are moved out of the chunks in which they arrived.
const MAX_CHUNK_AGE: Duration = Duration::from_secs(2);

impl TailStage {
    pub(super) fn new(
        rules: Rules,
        limits: Limits,
        waits: Waits,
        decided: Arc<Decided>,
        counts: Arc<Decisions>,
        clock: Clock,
    ) -> Self {
        let mut clock = SteadyClock::new(clock);
        let now = clock.now();
        TailStage {
            rules,
            buffer: Buffer::new(limits),
            decided,
            counts,
            clock,
            waits,
            now,
            completes: false,
            late: Vec::new(),
            decisions: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// Notes a span that arrives, and returns what becomes of it.
    fn arrives(&mut self, span: &impl Arrival) -> Arrived {
        let trace = span.trace_id();
        let is_root = span.is_local_root();
        let is_waiting = self.buffer.find(trace).is_some();
        let standing = match (is_root, is_waiting) {
            (true, _) => self.decided.close(trace),
            (false, false) => self.decided.standing(trace),
            (false, true) => None,
        };
        // Without a running local root, there is no end to wait for.
        let completes = (is_root || !is_waiting) && standing.is_none_or(|standing| standing.open == 0);
        if !is_waiting {
            if let Some(Standing { fate, open: 0, .. }) = standing.filter(|_| !is_root) {
                let is_kept = match fate {
                    Fate::Pending => None,
                    Fate::Dropped => Some(None),
                    Fate::Kept(mark) => Some(Some(Mark::from_bits(mark))),
                };
                if let Some(mark) = is_kept {
                    self.counts.late(mark.is_some(), span.has_failed());
                    return mark.map_or(Arrived::LateDropped, Arrived::LateKept);
                }
            }
            let earlier = standing.map_or(Fate::Pending, |standing| standing.fate);
            let randomness = Randomness::for_trace(span.trace_state(), trace);
            self.buffer.begin(trace, head_of(span), randomness, earlier, self.now);
        }
        let met = self.rules.met_by(span);
        if met != 0 || is_root {
            if let Some(waiting) = self.buffer.find(trace) {
                waiting.met |= met;
                if is_root && !(waiting.has_root && matches!(waiting.head, Head::Sampled(_))) {
                    waiting.head = head_of(span);
                    waiting.randomness = Randomness::for_trace(span.trace_state(), trace);
                    waiting.has_root = true;
                }
            }
        }
        Arrived::Waits { completes }
    }

    /// Decides about a trace, and passes its spans on if it is kept.
    fn decide(&mut self, mut waiting: Box<Waiting>, asked: u16, pass_on: &mut dyn FnMut(Held<Traces>)) {
        let Waiting { met, head, randomness, .. } = *waiting;
        let trace = HeldTrace::new(&waiting, &self.buffer.chunks);
        let facts = Facts { met, asked, head, randomness, trace: &trace, now: self.now };
        let judged = self.rules.judge(&facts, &self.counts);
        let (earlier, earlier_policy) = match waiting.earlier {
            Fate::Kept(mark) => {
                let mark = Mark::from_bits(mark);
                (mark.threshold.map_or(Chance::Unknown { keeps: true }, Chance::Above), Some(mark.policy))
            }
            Fate::Pending | Fate::Dropped => (Chance::Never, None),
        };
        let chance = judged.chance.or(earlier, randomness);
        let is_error = met & ERROR != 0;
        let policy = judged.policy.and_then(|policy| u8::try_from(policy).ok()).or(earlier_policy);
        if let Some(policy) = policy.filter(|_| chance.keeps(randomness)) {
            // Traces of this kind were lost while this one waited, so it stands for an unknown number.
            let is_weighed = waiting.evicted_before == self.buffer.evicted;
            let mark = Mark { threshold: chance.threshold().filter(|_| is_weighed), policy };
            let is_incomplete = waiting.earlier == Fate::Dropped;
            let name = self.counts.policy(policy.into());
            self.buffer.pass_on(&mut waiting, |span| mark.write(span, name, is_incomplete), pass_on);
            self.counts.keep(policy.into(), is_error);
            if is_incomplete {
                self.counts.incomplete();
            }
            self.decisions.push((waiting.trace, Fate::Kept(mark.to_bits())));
        } else {
            self.counts.give_up(Unkept::Decided, is_error);
            self.decisions.push((waiting.trace, Fate::Dropped));
        }
        self.buffer.recycle(waiting);
        if self.decisions.len() >= MAX_DECISIONS {
            self.decided.decide_all(&mut self.decisions);
        }
    }

    /// Decides about traces of which a local root is still running.
    fn decide_older(&mut self, before: Timestamp, pass_on: &mut dyn FnMut(Held<Traces>)) {
        while let Some(waiting) = self.buffer.take_older(before) {
            let (open, asked) = self.decided.running(waiting.trace);
            if open > 0 {
                self.counts.at_deadline();
            }
            self.decide(waiting, asked, pass_on);
        }
    }

    /// Lets a trace end whose local root was lost on the way here. If no span of it has arrived, nothing of it is exported.
    fn ends_without_root(&mut self, trace: TraceId) {
        match self.decided.standing(trace) {
            Some(Standing { open: 1.., .. }) => {}
            _ if self.buffer.find(trace).is_some() => self.buffer.complete(trace, self.now),
            Some(Standing { fate: Fate::Pending, .. }) => self.decided.decide(trace, Fate::Dropped),
            _ => {}
        }
    }

    fn add_run(&mut self, run: Option<(TraceId, Range<usize>)>) {
        if let Some((trace, indices)) = run {
            self.buffer.add_run(trace, &indices);
        }
    }

    fn evict(&mut self) {
        while let Some(waiting) = self.buffer.take_surplus() {
            self.counts.give_up(Unkept::Evicted, waiting.met & ERROR != 0);
            // What was kept of the trace before has been exported, so the trace stays kept.
            let fate = if let Fate::Kept(_) = waiting.earlier { waiting.earlier } else { Fate::Dropped };
            self.decided.decide(waiting.trace, fate);
            self.buffer.recycle(waiting);
        }
    }
}

impl Stage<Traces> for TailStage {
    fn takes_chunks(&self) -> bool {
        true
    }

    fn take(&mut self, mut chunk: HeldChunk<Traces>) {
        let mut late = Vec::new();
        // Spans one after the other that wait in the same trace, as most do.
        let mut run: Option<(TraceId, Range<usize>)> = None;
        for (index, span) in chunk.views(0..chunk.len()).enumerate() {
            let trace = span.trace_id();
            let same = run.as_mut().filter(|(of, _)| *of == trace);
            if same.is_some() && !span.is_local_root() && self.rules.ignores(&span) {
                same.into_iter().for_each(|(_, indices)| indices.end = index + 1);
                continue;
            }
            match self.arrives(&span) {
                Arrived::Waits { completes } => {
                    match same {
                        Some((_, indices)) => indices.end = index + 1,
                        None => self.add_run(run.replace((trace, index..index + 1))),
                    }
                    if completes {
                        self.buffer.complete(trace, self.now);
                    }
                }
                Arrived::LateKept(mark) => late.push((index, Some(mark))),
                Arrived::LateDropped => late.push((index, None)),
            }
            if late.last().is_some_and(|(last, _)| *last == index) {
                self.add_run(run.take());
            }
        }
        self.add_run(run);
        for (index, mark) in late {
            match mark {
                Some(mark) => self.late.extend(chunk.take(index).map(|mut span| {
                    mark.write(&mut span, None, false);
                    span
                })),
                None => chunk.give_up(1),
            }
        }
        self.buffer.add_chunk(chunk, self.now);
        self.evict();
    }

    fn process(&mut self, span: &mut SpanData) -> Verdict {
        match self.arrives(span) {
            Arrived::Waits { completes } => {
                self.completes = completes;
                Verdict::Hold
            }
            Arrived::LateKept(mark) => {
                mark.write(span, None, false);
                Verdict::Keep
            }
            Arrived::LateDropped => Verdict::Drop,
        }
    }

    fn hold(&mut self, span: Held<Traces>) {
        let trace = span.trace_id();
        self.buffer.add(span);
        if self.completes {
            self.buffer.complete(trace, self.now);
        }
        self.evict();
    }

    fn release(&mut self, ends: bool, pass_on: &mut dyn FnMut(Held<Traces>)) {
        self.now = self.clock.now();
        self.rules.tick(self.now);
        self.late.drain(..).for_each(&mut *pass_on);
        for trace in std::mem::replace(&mut self.lost, self.decided.take_lost()) {
            self.ends_without_root(trace);
        }
        let now = self.now.as_nanos();
        let before = |wait: Duration| {
            let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
            now.checked_sub(wait).map(Timestamp::from_nanos)
        };
        let (complete, old) = if ends {
            (Some(Timestamp::from_nanos(u64::MAX)), Some(Timestamp::from_nanos(u64::MAX)))
        } else {
            (before(self.waits.grace), before(self.waits.deadline))
        };
        while let Some(waiting) = complete.and_then(|before| self.buffer.take_complete(before)) {
            match self.decided.running(waiting.trace) {
                // Another local root of the trace has started in the meantime.
                (1.., _) if !ends => self.buffer.put_back(waiting),
                (_, asked) => self.decide(waiting, asked, pass_on),
            }
        }
        if let Some(before) = old {
            self.decide_older(before, pass_on);
        }
        self.decided.decide_all(&mut self.decisions);
        if let Some(before) = before(MAX_CHUNK_AGE) {
            self.buffer.empty_chunks(before);
        }
        self.counts.set_held(self.buffer.held());
    }

    fn takes_unsampled(&self) -> bool {
        true
    }

    fn on_loss(&self) -> Option<OnLoss<Traces>> {
        let decided = self.decided.clone();
        Some(Arc::new(move |span| {
            if is_local_root(span) {
                decided.lose(span.context.trace_id());
            }
        }))
    }
}

/// Returns the decision of the sampler that a span shows.
fn head_of(span: &impl Arrival) -> Head {
    let threshold = || crate::sampling::ot_entry::threshold(span.trace_state());
    if span.is_sampled() { Head::Sampled(threshold()) } else { Head::Unsampled }
}
