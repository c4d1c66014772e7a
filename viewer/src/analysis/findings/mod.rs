//! What a reader should look at: calls in a loop, spans that lost their parent, retries, slow spans, and what costs the most bytes.

mod cost;
mod found;
mod parents;
mod repeated;
mod retries;
mod slow;

use std::sync::Arc;

use super::baselines::{Baselines, Usual};
use super::tree::{Times, Tree, tree};
use crate::model::{Span, SpanId, TraceId};

pub(crate) use cost::{Cost, Share};
use found::{Found, query};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Info,
    Warning,
}

/// A finding, over all traces that have it.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// The rule: `n_plus_one`, `repeated`, `missing_parent`, `retries` or `slow`.
    pub(crate) kind: &'static str,
    pub(crate) severity: Severity,
    pub(crate) service: String,
    pub(crate) title: String,
    pub(crate) text: String,
    /// The number of traces that have it.
    pub(crate) count: u64,
    /// The worst case.
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    /// A search for more of it.
    pub(crate) query: String,
    /// The time that one case cost, in nanoseconds, if that can be said.
    pub(crate) lost: Option<u64>,
    pub(crate) evidence: Evidence,
}

/// The numbers behind a finding. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Evidence {
    /// Calls in one trace, with the usual duration of one.
    Repeats {
        repeats: u64,
        each: u64,
        name: String,
    },
    /// Attempts: the offset from the first, the duration, 1 for a failure, and what was said.
    Attempts {
        attempts: Vec<(u64, u64, u8, String)>,
    },
    /// The past of an operation.
    Past {
        median: u64,
        mad: u64,
        n: u64,
        recent: Vec<u64>,
    },
    Nothing {},
}

/// All findings, and what costs the most bytes.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The gravest first.
    pub(crate) findings: Vec<Finding>,
    pub(crate) cost: Cost,
}

/// Reads traces for findings.
pub(crate) fn findings<'a>(
    traces: impl Iterator<Item = (TraceId, &'a [Arc<Span>])>,
    baselines: &Baselines,
) -> Findings {
    let mut found = Found::default();
    let mut cost = cost::Costs::default();
    let mut usual = Usual::new(baselines);
    for (id, spans) in traces {
        let spans: Vec<&Span> = spans.iter().map(|span| &**span).collect();
        let tree = tree(&spans);
        let trace = Trace { id, times: Times::new(&spans, &tree, &[]), spans, tree };
        repeated::find(&trace, &mut found);
        parents::find(&trace, &mut found);
        retries::find(&trace, &mut found);
        slow::find(&trace, &mut usual, &mut found);
        cost.add(&trace);
    }
    Findings { findings: found.finish(), cost: cost.finish() }
}

/// A trace that is being read.
struct Trace<'a> {
    id: TraceId,
    spans: Vec<&'a Span>,
    tree: Tree,
    times: Times,
}

impl<'a> Trace<'a> {
    fn span(&self, position: usize) -> &'a Span {
        self.spans[self.tree.order[position] as usize]
    }

    fn positions(&self) -> std::ops::Range<usize> {
        0..self.spans.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::arbitrary_trace;
    use super::found::quoted;
    use super::*;

    /// Returns the findings of one trace.
    pub(super) fn of(spans: Vec<Span>) -> Vec<Finding> {
        of_traces(vec![spans])
    }

    pub(super) fn of_traces(traces: Vec<Vec<Span>>) -> Vec<Finding> {
        with_past(traces, &Baselines::default())
    }

    pub(super) fn with_past(traces: Vec<Vec<Span>>, past: &Baselines) -> Vec<Finding> {
        let traces: Vec<Vec<Arc<Span>>> =
            traces.into_iter().map(|spans| spans.into_iter().map(Arc::new).collect()).collect();
        let traces = traces.iter().enumerate().map(|(at, spans)| (TraceId(at as u128 + 1), &spans[..]));
        findings(traces, past).findings
    }

    /// Returns the rules that found something, each once.
    pub(super) fn kinds(spans: Vec<Span>) -> Vec<&'static str> {
        let mut kinds: Vec<_> = of(spans).iter().map(|finding| finding.kind).collect();
        kinds.sort_unstable();
        kinds
    }

    #[test]
    fn words_of_a_query_are_quoted_where_needed() {
        assert_eq!(query("shop", "GET /a"), r#"service:shop name:"GET /a""#);
        assert_eq!(quoted(r#"a"b\"#), r#""a\"b\\""#);
        assert_eq!(quoted(""), r#""""#);
    }

    proptest! {
        #[test]
        fn any_trace_can_be_read(spans in arbitrary_trace()) {
            let mut past = Baselines::default();
            spans.iter().for_each(|span| past.record(span));
            with_past(vec![spans.clone(), spans], &past);
        }
    }
}
