//! Where an error began.

use super::peer::peer;
use super::text::{code, failure};
use super::tree::{Times, Tree};
use crate::model::{Kind, Span, Status};

/// The span in which the failure of a trace likely began.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin {
    /// Its position.
    pub(crate) span: u32,
    /// What the span says about its failure.
    pub(crate) message: String,
    /// A sentence about the errors that did not matter, or nothing.
    pub(crate) sentence: String,
    /// Their positions.
    pub(crate) recovered: Vec<u32>,
}

/// Returns the likely origin of a trace's failure, and the errors that the program recovered from.
///
/// An error is recovered if an equal sibling that began after it succeeded, if a span above it says that it is OK, or if no span
/// above it failed. The same holds for the errors below a recovered one. Of the other errors, the origin is the one that ended
/// first, preferring those from which every span up to the root failed. Of errors that end at the same time, the innermost is first.
pub(crate) fn origin(spans: &[&Span], tree: &Tree, skew: &[i64]) -> (Option<Origin>, Vec<u32>) {
    let span = |position: usize| spans[tree.order[position] as usize];
    let failed = |position: usize| matches!(span(position).status, Status::Error(_));
    let positions = 0..tree.order.len();
    if !positions.clone().any(failed) {
        return (None, Vec::new());
    }
    let times = Times::new(spans, tree, skew);
    let retried = retried(spans, tree, &times);

    // Parents come first, so each position can use what was found for its parent.
    let mut fates: Vec<Fate> = Vec::with_capacity(positions.len());
    for position in positions.clone() {
        // Nothing above a root could have recovered.
        let root = Fate { recovered: false, failed: true, unbroken: true };
        let above = tree.parent_of(position).map_or(root, |parent| fates[parent]);
        fates.push(Fate {
            recovered: above.recovered
                || retried[position]
                || span(position).status == Status::Ok
                || (failed(position) && !above.failed),
            failed: failed(position) || (above.failed && tree.parent[position] >= 0),
            unbroken: above.unbroken && failed(position),
        });
    }
    let is_recovered: Vec<bool> =
        positions.clone().map(|position| failed(position) && fates[position].recovered).collect();
    let recovered: Vec<u32> = positions.clone().filter(|&at| is_recovered[at]).map(|at| at as u32).collect();
    let first = |among: std::ops::Range<usize>, unbroken: bool| {
        among
            .filter(|&at| failed(at) && !is_recovered[at] && (fates[at].unbroken || !unbroken))
            .min_by_key(|&at| (times.end[at], std::cmp::Reverse(tree.depth[at]), at))
    };
    // Errors that reached the root through failed spans only are certain; below the first of them, an error may have passed through
    // spans that have no status.
    let first = match first(positions.clone(), true) {
        Some(certain) => first(certain + 1..tree.end_of(certain), false).or(Some(certain)),
        None => first(positions, false),
    };
    let origin = first.map(|position| {
        // An error below another recovered one belongs to the same story.
        let is_told = |at: usize| tree.parent_of(at).is_none_or(|parent| !is_recovered[parent]);
        let earlier =
            recovered.iter().map(|&at| at as usize).filter(|&at| times.end[at] <= times.end[position] && is_told(at));
        let earlier: Vec<usize> = earlier.collect();
        let sentence = match earlier[..] {
            [] => String::new(),
            [one] => sentence(span(one), retried[one]),
            [..] => format!("{} earlier errors were recovered.", earlier.len()),
        };
        Origin { span: position as u32, message: failure(span(position)), sentence, recovered: recovered.clone() }
    });
    (origin, recovered)
}

/// How the errors at and above a position ended.
#[derive(Clone, Copy)]
struct Fate {
    recovered: bool,
    /// Whether this span or one above it failed.
    failed: bool,
    /// Whether all spans from the root to here failed.
    unbroken: bool,
}

/// Returns a sentence about a recovered error that ended before the origin did.
fn sentence(span: &Span, retried: bool) -> String {
    let from = peer(span).map_or_else(|| span.resource.service.to_string(), |peer| peer.name);
    let error = match code(span) {
        Some(code) => format!("An earlier {code} from {from}"),
        None => format!("An earlier error of {} in {from}", span.name),
    };
    match retried {
        true => format!("{error} was recovered by a retry."),
        false => format!("{error} was recovered by its caller."),
    }
}

/// Returns for each position whether it failed and an equal sibling that began after its end succeeded.
pub(super) fn retried(spans: &[&Span], tree: &Tree, times: &Times) -> Vec<bool> {
    let span = |position: usize| spans[tree.order[position] as usize];
    let attempts = |position: usize| {
        let span = span(position);
        (tree.parent[position], &*span.resource.service, &*span.name, kind_number(span.kind))
    };
    let mut positions: Vec<usize> = (0..tree.order.len()).filter(|&position| tree.parent[position] >= 0).collect();
    positions.sort_by(|&a, &b| {
        // The last to begin comes first, so that a success is known when the earlier attempts are looked at.
        attempts(a).cmp(&attempts(b)).then_with(|| times.start[b].cmp(&times.start[a])).then_with(|| a.cmp(&b))
    });
    let mut retried = vec![false; tree.order.len()];
    let mut success: Option<usize> = None;
    for &position in &positions {
        if success.is_some_and(|success| attempts(success) != attempts(position)) {
            success = None;
        }
        match span(position).status {
            Status::Error(_) => {
                retried[position] = success.is_some_and(|success| {
                    times.start[success] >= times.end[position] && peer(span(success)) == peer(span(position))
                });
            }
            // Of several successes, the last to begin is after the most failures.
            _ if span(position).end != 0 => success = success.or(Some(position)),
            _ => {}
        }
    }
    retried
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Internal => 0,
        Kind::Server => 1,
        Kind::Client => 2,
        Kind::Producer => 3,
        Kind::Consumer => 4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{With, arbitrary_trace, span};
    use super::super::skew::skew;
    use super::super::tree::tree;
    use super::*;

    /// Returns the origin's name with its sentence, and the names of the recovered errors.
    fn found(spans: &[Span]) -> (Option<(String, String)>, Vec<String>) {
        let spans: Vec<_> = spans.iter().collect();
        let tree = tree(&spans);
        let (origin, recovered) = origin(&spans, &tree, &[]);
        let name = |at: u32| spans[tree.order[at as usize] as usize].name.to_string();
        (origin.map(|origin| (name(origin.span), origin.sentence)), recovered.into_iter().map(name).collect())
    }

    fn origin_is(spans: &[Span], expected: &str) {
        assert_eq!(found(spans).0.map(|(name, _)| name).as_deref(), Some(expected));
    }

    #[test]
    fn a_trace_without_errors_has_no_origin() {
        assert_eq!(found(&[span(1, 0, "root", 0, 10).ok()]), (None, vec![]));
    }

    #[test]
    fn the_innermost_of_a_chain_is_the_origin() {
        let spans = [
            span(1, 0, "root", 0, 100).error(""),
            span(2, 1, "fine", 1, 5),
            span(3, 1, "order", 10, 90).error(""),
            span(4, 3, "update", 20, 80).error("deadlock"),
        ];
        origin_is(&spans, "update");
        let same_end = [span(1, 0, "root", 0, 10).error(""), span(2, 1, "inner", 5, 10).error("")];
        origin_is(&same_end, "inner");
    }

    #[test]
    fn a_failed_attempt_before_a_success_is_recovered() {
        let spans = [
            span(1, 0, "root", 0, 100).error(""),
            span(2, 1, "POST", 5, 10)
                .error("")
                .kind(Kind::Client)
                .attribute("http.response.status_code", 503)
                .attribute("server.address", "api.stripe.com"),
            span(3, 1, "POST", 12, 20).kind(Kind::Client).attribute("server.address", "api.stripe.com"),
            span(4, 1, "update", 30, 80).error("deadlock"),
        ];
        let sentence = "An earlier 503 from api.stripe.com was recovered by a retry.";
        assert_eq!(found(&spans), (Some(("update".to_owned(), sentence.to_owned())), vec!["POST".to_owned()]));
    }

    #[test]
    fn a_success_at_another_host_or_during_the_attempt_is_no_retry() {
        let attempt = |id, from, to, host: &str| {
            span(id, 1, "POST", from, to).kind(Kind::Client).attribute("server.address", host)
        };
        let root = || span(1, 0, "root", 0, 100).error("");
        origin_is(&[root(), attempt(2, 5, 10, "a").error(""), attempt(3, 12, 20, "b")], "POST");
        origin_is(&[root(), attempt(2, 5, 10, "a").error(""), attempt(3, 8, 20, "a")], "POST");
    }

    #[test]
    fn an_error_that_no_caller_shares_is_recovered() {
        let spans = [
            span(1, 0, "root", 0, 100),
            span(2, 1, "cache", 5, 10).error("gone"),
            span(3, 2, "get", 6, 9).error("gone"),
        ];
        assert_eq!(found(&spans), (None, vec!["cache".to_owned(), "get".to_owned()]));
    }

    #[test]
    fn a_handled_error_is_not_the_origin_of_a_later_one() {
        let spans = [
            span(1, 0, "root", 0, 100).error(""),
            span(2, 1, "lookup", 5, 20),
            span(3, 2, "cache", 6, 10).error("gone"),
            span(4, 1, "update", 30, 80).error("deadlock"),
        ];
        origin_is(&spans, "update");
    }

    #[test]
    fn an_error_below_a_span_without_a_status_may_still_be_the_origin() {
        let spans =
            [span(1, 0, "root", 0, 100).error(""), span(2, 1, "step", 5, 90), span(3, 2, "update", 6, 80).error("no")];
        origin_is(&spans, "update");
        let explicit = [
            span(1, 0, "root", 0, 100).error(""),
            span(2, 1, "step", 5, 90).ok(),
            span(3, 2, "update", 6, 80).error("no"),
        ];
        origin_is(&explicit, "root");
    }

    proptest! {
        #[test]
        fn an_origin_is_an_error_that_was_not_recovered(spans in arbitrary_trace()) {
            let spans: Vec<_> = spans.iter().collect();
            let tree = tree(&spans);
            let (origin, recovered) = origin(&spans, &tree, &skew(&spans, &tree));
            let failed = |at: u32| matches!(spans[tree.order[at as usize] as usize].status, Status::Error(_));
            prop_assert!(recovered.iter().all(|&at| failed(at)));
            let errors = (0..spans.len() as u32).filter(|&at| failed(at)).count();
            prop_assert_eq!(origin.is_some(), recovered.len() < errors);
            if let Some(origin) = origin {
                prop_assert!(failed(origin.span) && !recovered.contains(&origin.span));
            }
        }
    }
}
