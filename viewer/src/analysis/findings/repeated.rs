//! Calls in a loop: one query for each row of another (N+1), and the same call again and again.

use std::collections::HashMap;

use super::super::baselines::median;
use super::super::peer::{PeerKind, peer};
use super::super::text::{count, duration, first_attribute};
use super::{Evidence, Finding, Found, Severity, Trace, query};
use crate::model::{Attribute, Kind, Span, Value};

/// The number of equal calls below one parent that make a loop.
const LOOP: usize = 5;
/// The number of identical calls in a row that are worth a look.
const ROW: usize = 3;

pub(super) fn find(trace: &Trace<'_>, found: &mut Found) {
    let mut below: HashMap<i32, Vec<usize>> = HashMap::new();
    for position in trace.positions() {
        if trace.tree.parent[position] >= 0 && trace.span(position).kind == Kind::Client {
            below.entry(trace.tree.parent[position]).or_default().push(position);
        }
    }
    // Fewer calls are neither a row nor a loop.
    for (parent, calls) in below.into_iter().filter(|(_, calls)| calls.len() >= ROW.min(LOOP)) {
        let parent = trace.span(parent as usize);
        let mut by_operation: HashMap<String, Vec<usize>> = HashMap::new();
        for &position in &calls {
            by_operation.entry(operation(trace.span(position))).or_default().push(position);
        }
        for calls in by_operation.into_values() {
            let row = longest_row(trace, &calls);
            if row.len() >= ROW {
                repeated(trace, parent, &row, found);
            } else if calls.len() >= LOOP {
                n_plus_one(trace, parent, &calls, found);
            }
        }
    }
}

/// Returns what makes two calls the same but for their arguments.
fn operation(span: &Span) -> String {
    let keys = ["db.query.text", "db.statement", "db.query.summary", "url.template", "http.route", "rpc.method"];
    let what = first_attribute(span, &keys).unwrap_or_default();
    let peer = peer(span).map(|peer| peer.name).unwrap_or_default();
    let method = first_attribute(span, &["http.request.method"]).unwrap_or_default();
    [&span.resource.service, &*span.name, &what, &peer, &method].join("\0")
}

/// Returns the longest run of calls that have the same arguments, as far as their attributes tell.
///
/// Calls to a database say nothing about the values of their parameters by default, so they are identical only if they record some.
fn longest_row(trace: &Trace<'_>, calls: &[usize]) -> Vec<usize> {
    let mut longest: &[usize] = &[];
    let mut first = 0;
    for at in 1..=calls.len() {
        let goes_on = calls.get(at).is_some_and(|&call| same_arguments(trace.span(calls[first]), trace.span(call)));
        if !goes_on {
            if at - first > longest.len() {
                longest = &calls[first..at];
            }
            first = at;
        }
    }
    longest.to_vec()
}

fn same_arguments(one: &Span, other: &Span) -> bool {
    let says_arguments = |attribute: &Attribute| match &*attribute.key {
        "url.full" | "url.path" | "http.url" | "http.target" => true,
        key if key.starts_with("db.query.parameter.") => true,
        // A statement without placeholders has no parameters.
        "db.query.text" | "db.statement" => {
            matches!(&attribute.value, Value::String(text) if !text.contains(['?', '$', ':', '@', '%']))
        }
        _ => false,
    };
    let arguments = |span: &Span| -> Vec<Attribute> {
        span.attributes.iter().filter(|attribute| says_arguments(attribute)).cloned().collect()
    };
    let (of_one, of_other) = (arguments(one), arguments(other));
    !of_one.is_empty()
        && of_one == of_other
        && first_attribute(one, RESENT).is_none()
        && first_attribute(other, RESENT).is_none()
}

/// A retry is a finding of its own.
const RESENT: &[&str] = &["http.request.resend_count", "http.resend_count"];

fn n_plus_one(trace: &Trace<'_>, parent: &Span, calls: &[usize], found: &mut Found) {
    let call = trace.span(calls[0]);
    let (each, total) = times(trace, calls);
    let is_database = peer(call).is_some_and(|peer| peer.kind == PeerKind::Database);
    let what = match is_database {
        true => "Load all rows with one statement, with a join or a list of ids.",
        false => "Ask for all at once if the service can, or let the calls run at the same time.",
    };
    let make = || Finding {
        kind: "n_plus_one",
        severity: Severity::Warning,
        service: call.resource.service.to_string(),
        title: format!("{} runs {} times in {}", call.name, calls.len(), parent.name),
        text: format!(
            "Up to {} in one {} differ only in their parameters and took {} together. {what}",
            count(calls.len(), "call"),
            parent.name,
            duration(total),
        ),
        count: 1,
        trace: trace.id,
        span: call.span_id,
        query: query(&call.resource.service, &call.name),
        lost: Some(total - each.min(total)),
        evidence: Evidence::Repeats { repeats: calls.len() as u64, each, name: call.name.to_string() },
    };
    found.add(subject(parent, call), calls.len() as u64, make, "n_plus_one");
}

fn repeated(trace: &Trace<'_>, parent: &Span, calls: &[usize], found: &mut Found) {
    let call = trace.span(calls[0]);
    let (each, total) = times(trace, calls);
    let make = || Finding {
        kind: "repeated",
        severity: Severity::Warning,
        service: call.resource.service.to_string(),
        title: format!("{} runs {} times in a row", call.name, calls.len()),
        text: format!(
            "Below {}, {} with the same arguments follow each other and take {} together. Keep the first result.",
            parent.name,
            count(calls.len(), "call"),
            duration(total),
        ),
        count: 1,
        trace: trace.id,
        span: call.span_id,
        query: query(&call.resource.service, &call.name),
        lost: Some(total - each.min(total)),
        evidence: Evidence::Repeats { repeats: calls.len() as u64, each, name: call.name.to_string() },
    };
    found.add(subject(parent, call), calls.len() as u64, make, "repeated");
}

fn subject(parent: &Span, call: &Span) -> String {
    [&*parent.resource.service, &*parent.name, &*call.name].join("\0")
}

/// Returns the usual duration of a call and that of all together.
fn times(trace: &Trace<'_>, calls: &[usize]) -> (u64, u64) {
    let mut durations: Vec<u64> = calls.iter().map(|&call| trace.times.duration(call)).collect();
    let total = durations.iter().fold(0, |total: u64, &duration| total.saturating_add(duration));
    (median(&mut durations).unwrap_or_default(), total)
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::{With, span};
    use super::super::tests::{kinds, of, of_traces};
    use super::*;

    fn calls(number: u64, made: impl Fn(u64, Span) -> Span) -> Vec<Span> {
        let mut spans = vec![span(1, 0, "GET /cart", 1, 10_000).kind(Kind::Server)];
        spans.extend(
            (0..number)
                .map(|at| made(at, span(10 + at, 1, "SELECT items", 10 + 20 * at, 20 + 20 * at).kind(Kind::Client))),
        );
        spans
    }

    fn statement(_: u64, span: Span) -> Span {
        span.attribute("db.system.name", "postgresql").attribute("db.query.text", "SELECT * FROM items WHERE id = $1")
    }

    #[test]
    fn five_equal_statements_below_one_parent_are_n_plus_one() {
        assert_eq!(kinds(calls(4, statement)), [""; 0]);
        let findings = of(calls(8, statement));
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(finding.title, "SELECT items runs 8 times in GET /cart");
        assert!(finding.text.contains("80 ns together. Load all rows with one statement"), "{}", finding.text);
        assert_eq!(finding.lost, Some(70));
        assert_eq!(finding.evidence, Evidence::Repeats { repeats: 8, each: 10, name: "SELECT items".to_owned() });
    }

    #[test]
    fn different_statements_or_parents_are_no_loop() {
        let different = |at, span: Span| span.attribute("db.query.text", &*format!("SELECT {at}, $1"));
        assert_eq!(kinds(calls(8, different)), [""; 0]);
        let mut spread = calls(8, statement);
        for (at, span) in spread.iter_mut().enumerate().skip(1).step_by(2) {
            span.parent = crate::model::SpanId(100 + at as u64 / 4);
        }
        spread.extend([span(100, 1, "a", 1, 2), span(101, 1, "b", 1, 2)]);
        assert_eq!(kinds(spread), [""; 0]);
    }

    #[test]
    fn the_same_request_three_times_in_a_row_is_repeated() {
        let same = |_, span: Span| span.attribute("url.full", "http://stock/items/7");
        assert_eq!(kinds(calls(2, same)), [""; 0]);
        assert_eq!(kinds(calls(3, same)), ["repeated"]);
        let other = |at, span: Span| span.attribute("url.full", &*format!("http://stock/items/{at}"));
        assert_eq!(kinds(calls(4, other)), [""; 0]);
        assert_eq!(kinds(calls(6, other)), ["n_plus_one"]);
        let resent = |at, span: Span| same(at, span).attribute("http.request.resend_count", 1 + at as i64);
        assert_eq!(kinds(calls(4, resent)), [""; 0]);
    }

    #[test]
    fn the_worst_trace_is_kept_and_all_are_counted() {
        let findings = of_traces(vec![calls(5, statement), calls(9, statement), calls(6, statement)]);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.count, finding.trace), (3, crate::model::TraceId(2)));
    }
}
