//! Spans that took far longer than their operation usually does.

use super::super::baselines::Usual;
use super::super::text::duration;
use super::{Evidence, Finding, Found, Severity, Trace, query};

/// Less than this is not worth a look, however many times the median it is.
const NOTICEABLE: u64 = 1_000_000;
/// The number of past durations that a picture shows.
const SHOWN: usize = 60;

pub(super) fn find<'a>(trace: &Trace<'a>, past: &mut Usual<'a>, found: &mut Found) {
    let mut slow = vec![false; trace.spans.len()];
    // Children come after their parents, so backwards they come first.
    for position in trace.positions().rev() {
        let span = trace.span(position);
        let took = span.end.saturating_sub(span.start);
        let Some(usual) = Some(took).filter(|&took| span.end != 0 && took >= NOTICEABLE).and_then(|_| past.of(span))
        else {
            continue;
        };
        if !usual.is_slow(took) {
            continue;
        }
        if let Some(parent) = trace.tree.parent_of(position) {
            slow[parent] = true;
        }
        // A span that waited for a slow child is not slow by itself.
        if std::mem::replace(&mut slow[position], true) {
            if let Some(parent) = trace.tree.parent_of(position) {
                slow[parent] = true;
            }
            continue;
        }
        let lost = took - usual.median.min(took);
        let make = || Finding {
            kind: "slow",
            severity: Severity::Warning,
            service: span.resource.service.to_string(),
            title: format!("{} took {}× its median", span.name, ratio(usual.ratio(took))),
            text: format!(
                "It usually takes {} (median of the last {}, with a median distance of {}), and took {} here.",
                duration(usual.median),
                usual.n,
                duration(usual.mad),
                duration(took),
            ),
            count: 1,
            trace: trace.id,
            span: span.span_id,
            query: format!(
                "{} >{}ms",
                query(&span.resource.service, &span.name),
                (usual.median * 2).div_ceil(1_000_000)
            ),
            lost: Some(lost),
            evidence: Evidence::Past {
                median: usual.median,
                mad: usual.mad,
                n: usual.n,
                recent: past.recent(span).iter().copied().take(SHOWN).collect(),
            },
        };
        found.add(format!("{}\0{}", span.resource.service, span.name), lost, make, "slow");
    }
}

fn ratio(ratio: f64) -> String {
    if ratio < 9.95 { format!("{ratio:.1}") } else { format!("{ratio:.0}") }
}

#[cfg(test)]
mod tests {
    use super::super::super::baselines::Baselines;
    use super::super::super::samples::span;
    use super::super::tests::with_past;
    use crate::model::Span;

    const MS: u64 = 1_000_000;

    fn found(spans: Vec<Span>) -> Vec<String> {
        let mut past = Baselines::default();
        for at in 0..30 {
            past.record(&span(1, 0, "root", MS, MS + (10 + at % 3) * MS));
            past.record(&span(2, 1, "update", MS, MS + (4 + at % 2) * MS));
        }
        with_past(vec![spans], &past).into_iter().map(|finding| finding.title).collect()
    }

    #[test]
    fn a_usual_duration_is_not_slow() {
        assert_eq!(found(vec![span(1, 0, "root", MS, 20 * MS), span(2, 1, "update", 2 * MS, 8 * MS)]), [""; 0]);
    }

    #[test]
    fn the_innermost_slow_span_is_named() {
        let spans = vec![span(1, 0, "root", MS, 301 * MS), span(2, 1, "update", 2 * MS, 202 * MS)];
        assert_eq!(found(spans), ["update took 50× its median"]);
        assert_eq!(found(vec![span(1, 0, "root", MS, 34 * MS)]), ["root took 3.0× its median"]);
    }

    #[test]
    fn an_operation_without_a_past_is_not_judged() {
        assert_eq!(found(vec![span(1, 0, "new", MS, 9_000 * MS)]), [""; 0]);
    }
}
