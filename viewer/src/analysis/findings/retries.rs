//! Attempts that failed before one succeeded.

use std::collections::HashMap;

use super::super::origin::retried;
use super::super::peer::peer;
use super::super::text::{count, duration, failure};
use super::{Evidence, Finding, Found, Severity, Trace, query};
use crate::model::{Kind, Span, Status};

/// The number of attempts that a picture can show.
const SHOWN: usize = 20;

pub(super) fn find(trace: &Trace<'_>, found: &mut Found) {
    let retried = retried(&trace.spans, &trace.tree, &trace.times);
    // Equal calls below one parent, by start.
    let mut stories: HashMap<_, Vec<usize>> = HashMap::new();
    for position in trace.positions().filter(|&position| is_call(trace.span(position))) {
        let span = trace.span(position);
        let story = (trace.tree.parent[position], &*span.resource.service, &*span.name, span.kind == Kind::Client);
        stories.entry(story).or_default().push(position);
    }
    for calls in stories.into_values() {
        // The first failure tells the story, up to the success.
        let first = calls.iter().position(|&call| retried[call]);
        let from_first = first.and_then(|first| calls.get(first..)).unwrap_or_default();
        let is_success = |&call: &usize| !matches!(trace.span(call).status, Status::Error(_));
        let end = from_first.iter().position(is_success).map_or(from_first.len(), |success| success + 1);
        add(trace, &from_first[..end], found);
    }
}

/// Returns whether a span is a call: work within the program that fails and runs again is not a retry for certain.
fn is_call(span: &Span) -> bool {
    matches!(span.kind, Kind::Client | Kind::Producer)
}

fn add(trace: &Trace<'_>, attempts: &[usize], found: &mut Found) {
    let (Some(&first), Some(&last)) = (attempts.first(), attempts.last()) else {
        return;
    };
    let span = trace.span(first);
    let began = trace.times.start[first];
    let lost = trace.times.start[last].saturating_sub(began);
    let to = peer(span).map_or_else(String::new, |peer| format!(" to {}", peer.name));
    // The end of the story is worth more than its middle.
    let shown = attempts.iter().take(SHOWN - 1).chain(attempts.get(SHOWN - 1..).and_then(<[usize]>::last));
    let make = || Finding {
        kind: "retries",
        severity: Severity::Warning,
        service: span.resource.service.to_string(),
        title: format!("{}{to} succeeds only after a retry", span.name),
        text: format!(
            "{} failed before one succeeded, which cost {}. The first said: {}.",
            count(attempts.len() - 1, "attempt"),
            duration(lost),
            failure(span),
        ),
        count: 1,
        trace: trace.id,
        span: span.span_id,
        query: query(&span.resource.service, &span.name),
        lost: Some(lost),
        evidence: Evidence::Attempts {
            attempts: shown
                .map(|&attempt| {
                    let failed = matches!(trace.span(attempt).status, Status::Error(_));
                    let said = if failed { failure(trace.span(attempt)) } else { "succeeded".to_owned() };
                    (
                        trace.times.start[attempt].saturating_sub(began),
                        trace.times.duration(attempt),
                        failed.into(),
                        said,
                    )
                })
                .collect(),
        },
    };
    found.add(format!("{}\0{}{to}", span.resource.service, span.name), lost, make, "retries");
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::{With, span};
    use super::super::tests::{kinds, of};
    use super::*;

    fn attempt(id: u64, start: u64) -> Span {
        span(id, 1, "POST /charge", start, start + 10).kind(Kind::Client).attribute("server.address", "api.stripe.com")
    }

    fn root() -> Span {
        span(1, 0, "checkout", 1, 100)
    }

    #[test]
    fn two_failures_and_a_success_are_one_finding() {
        let findings = of(vec![root(), attempt(2, 10).error("503"), attempt(3, 30).error("503"), attempt(4, 60)]);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(finding.title, "POST /charge to api.stripe.com succeeds only after a retry");
        assert_eq!(finding.text, "2 attempts failed before one succeeded, which cost 50 ns. The first said: 503.");
        let Evidence::Attempts { attempts } = &finding.evidence else { panic!("{finding:?}") };
        let shape: Vec<_> = attempts.iter().map(|&(at, took, failed, _)| (at, took, failed)).collect();
        assert_eq!(shape, [(0, 10, 1), (20, 10, 1), (50, 10, 0)]);
    }

    #[test]
    fn all_attempts_count_and_the_picture_ends_with_the_success() {
        let failures = (2..52).map(|id| attempt(id, id * 10).error("503"));
        let findings = of([root()].into_iter().chain(failures).chain([attempt(52, 520)]).collect());
        // So many calls are also a loop.
        let finding = findings.iter().find(|finding| finding.kind == "retries").unwrap();
        assert_eq!(finding.text, "50 attempts failed before one succeeded, which cost 500 ns. The first said: 503.");
        let Evidence::Attempts { attempts } = &finding.evidence else { panic!("{finding:?}") };
        let last = attempts.last().map(|(at, _, failed, said)| (*at, *failed, &**said));
        assert_eq!((attempts.len(), last), (SHOWN, Some((500, 0, "succeeded"))));
    }

    #[test]
    fn a_failure_without_a_later_success_is_no_retry() {
        assert_eq!(kinds(vec![root(), attempt(2, 10).error("503"), attempt(3, 30).error("503")]), [""; 0]);
        assert_eq!(kinds(vec![root(), attempt(2, 10), attempt(3, 30).error("503")]), [""; 0]);
        let elsewhere = span(3, 1, "POST /charge", 30, 40).kind(Kind::Client).attribute("server.address", "other");
        assert_eq!(kinds(vec![root(), attempt(2, 10).error("503"), elsewhere]), [""; 0]);
    }
}
