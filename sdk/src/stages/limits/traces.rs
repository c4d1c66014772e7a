//! The numbers of spans of the latest traces, in bounded memory.

use std::collections::HashMap;

use opentelemetry::trace::TraceId;

/// Number of traces after which the older half of those that are counted is forgotten, unless they have been active since.
const TRACES: usize = 16_384;

/// Counts the spans of each trace that was active recently.
pub(super) struct TraceCounts {
    max: usize,
    current: HashMap<TraceId, Count>,
    /// Traces that move to `current` when they are active.
    previous: HashMap<TraceId, Count>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    kept: u32,
    /// Spans that were dropped since the last local root.
    dropped: u32,
}

/// The verdict about a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    No,
    /// The span is kept. A local root says how many spans were dropped before it.
    Yes {
        dropped: u32,
    },
}

impl TraceCounts {
    pub(super) fn new(max: usize) -> Self {
        TraceCounts { max, current: HashMap::new(), previous: HashMap::new() }
    }

    /// Counts a span.
    pub(super) fn admit(&mut self, trace: TraceId, is_local_root: bool) -> Admitted {
        if !self.current.contains_key(&trace) {
            let count = self.previous.remove(&trace).unwrap_or_default();
            if self.current.len() >= TRACES {
                self.previous = std::mem::take(&mut self.current);
            }
            self.current.insert(trace, count);
        }
        let count = self.current.entry(trace).or_default();
        if is_local_root {
            count.kept = count.kept.saturating_add(1);
            return Admitted::Yes { dropped: std::mem::take(&mut count.dropped) };
        }
        if count.kept as usize >= self.max {
            count.dropped = count.dropped.saturating_add(1);
            return Admitted::No;
        }
        count.kept += 1;
        Admitted::Yes { dropped: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_of_a_trace_say_what_was_dropped_since_the_last_one() {
        let mut traces = TraceCounts::new(2);
        let admitted: Vec<_> = [false, false, false, false, true, false, true, true]
            .map(|is_local_root| traces.admit(TraceId::from(7), is_local_root))
            .into();
        let kept = |dropped| Admitted::Yes { dropped };
        assert_eq!(admitted, [kept(0), kept(0), Admitted::No, Admitted::No, kept(2), Admitted::No, kept(1), kept(0)]);
        assert_eq!(traces.admit(TraceId::from(8), false), kept(0), "each trace has its own number");
    }

    #[test]
    fn memory_is_bounded_and_active_traces_stay_counted() {
        let mut traces = TraceCounts::new(1);
        for other in 0..10 * TRACES as u128 {
            let active = traces.admit(TraceId::from(1), false);
            assert_eq!(active == Admitted::No, other > 0, "{other}");
            traces.admit(TraceId::from(2 + other), false);
            assert!(traces.current.len() <= TRACES && traces.previous.len() <= TRACES);
        }
    }
}
