//! Spans that should have a parent and have none: the context was lost on the way.

use std::collections::HashSet;

use super::{Evidence, Finding, Found, Severity, Trace, query};
use crate::model::Kind;

pub(super) fn find(trace: &Trace<'_>, found: &mut Found) {
    // A trace whose root is still running or was evicted is incomplete, which says nothing about the program.
    let positions = || trace.positions().filter(|&position| trace.tree.missing[position]);
    let Some(first) = positions().next() else {
        return;
    };
    let has_root = trace.positions().any(|position| trace.tree.parent[position] < 0 && !trace.tree.missing[position]);
    let services: HashSet<&str> = trace.positions().map(|position| &*trace.span(position).resource.service).collect();
    if !has_root && services.len() == 1 && positions().count() == 1 {
        // One service below a caller that reports elsewhere, or not at all.
        let span = trace.span(first);
        let make = || Finding {
            kind: "missing_parent",
            severity: Severity::Info,
            service: span.resource.service.to_string(),
            title: format!("The caller of {} sends no spans here", span.name),
            text: format!(
                "{} received a trace context from a caller whose spans are not held. Send the caller's spans to the same address \
                 to see the whole trace.",
                span.resource.service
            ),
            count: 1,
            trace: trace.id,
            span: span.span_id,
            query: query(&span.resource.service, &span.name),
            lost: None,
            evidence: Evidence::Nothing {},
        };
        return found.add(format!("{}\0{}", span.resource.service, span.name), 0, make, "missing_parent");
    }
    for position in positions() {
        let span = trace.span(position);
        let is_entry = matches!(span.kind, Kind::Server | Kind::Consumer);
        let make = || Finding {
            kind: "missing_parent",
            severity: Severity::Warning,
            service: span.resource.service.to_string(),
            title: format!("{} lost its parent", span.name),
            text: match is_entry {
                true => format!(
                    "Other spans of the trace are held, but not the one that called {}. A proxy between the services may start \
                     spans that it does not send here.",
                    span.resource.service
                ),
                false => format!(
                    "The parent is a span of {} that was never sent: it was dropped by a full queue, or the program ended first.",
                    span.resource.service
                ),
            },
            count: 1,
            trace: trace.id,
            span: span.span_id,
            query: query(&span.resource.service, &span.name),
            lost: None,
            evidence: Evidence::Nothing {},
        };
        found.add(format!("{}\0{}", span.resource.service, span.name), 1, make, "missing_parent");
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::{With, span};
    use super::super::tests::of;
    use super::*;
    use crate::model::Span;

    fn found(spans: Vec<Span>) -> Vec<(Severity, String)> {
        of(spans).into_iter().map(|finding| (finding.severity, finding.title)).collect()
    }

    #[test]
    fn a_whole_trace_misses_nothing() {
        assert_eq!(found(vec![span(1, 0, "root", 1, 9), span(2, 1, "work", 2, 3)]), []);
    }

    #[test]
    fn a_hole_in_a_trace_is_a_warning() {
        let spans = vec![span(1, 0, "root", 1, 9), span(2, 77, "work", 2, 3)];
        assert_eq!(found(spans), [(Severity::Warning, "work lost its parent".to_owned())]);
        let spans = vec![span(1, 0, "root", 1, 9), span(2, 77, "GET /", 2, 3).kind(Kind::Server).of("stock")];
        assert_eq!(found(spans), [(Severity::Warning, "GET / lost its parent".to_owned())]);
    }

    #[test]
    fn a_service_whose_caller_is_not_observed_is_only_mentioned() {
        let spans = vec![span(2, 77, "GET /", 1, 9).kind(Kind::Server), span(3, 2, "work", 2, 3)];
        assert_eq!(found(spans), [(Severity::Info, "The caller of GET / sends no spans here".to_owned())]);
    }
}
