//! Two traces or two spans of time beside each other.

use std::collections::HashMap;

use super::baselines::percentile;
use crate::model::{Span, Status, Text};

/// An operation on both sides.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) service: Text,
    pub(crate) name: Text,
    pub(crate) a: Option<Side>,
    pub(crate) b: Option<Side>,
}

/// An operation's spans on one side. Durations are in nanoseconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Side {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    pub(crate) p50: u64,
    pub(crate) p95: u64,
    total: u64,
}

impl Row {
    /// Returns how much longer the operation takes in `b`, by the median, if it is on both sides.
    pub(crate) fn change(&self) -> Option<i64> {
        let (a, b) = (self.a.as_ref()?, self.b.as_ref()?);
        Some(i64::try_from(i128::from(b.p50) - i128::from(a.p50)).unwrap_or(i64::MAX))
    }

    /// Returns the time that the change is about: of all calls, if they are on both sides, else all that came or went.
    fn weight(&self) -> u128 {
        match (&self.a, &self.b) {
            (Some(a), Some(b)) => u128::from(a.p50.abs_diff(b.p50)) * u128::from(a.count.min(b.count)),
            (Some(side), None) | (None, Some(side)) => side.total.into(),
            (None, None) => 0,
        }
    }
}

/// Returns all operations of both sides, the one with the largest change first. Running spans are left out.
pub(crate) fn compare<'a>(a: impl Iterator<Item = &'a Span>, b: impl Iterator<Item = &'a Span>) -> Vec<Row> {
    #[derive(Default)]
    struct Seen {
        durations: Vec<u64>,
        errors: u64,
    }
    let mut rows: HashMap<(Text, Text), [Seen; 2]> = HashMap::new();
    let spans = a.map(|span| (0, span)).chain(b.map(|span| (1, span)));
    for (side, span) in spans.filter(|(_, span)| span.end != 0) {
        let seen = &mut rows.entry((span.resource.service.clone(), span.name.clone())).or_default()[side];
        seen.durations.push(span.end.saturating_sub(span.start));
        seen.errors += u64::from(matches!(span.status, Status::Error(_)));
    }
    let side = |mut seen: Seen| {
        Some(Side {
            count: seen.durations.len() as u64,
            errors: seen.errors,
            total: seen.durations.iter().fold(0, |total, &duration| total.saturating_add(duration)),
            p50: percentile(&mut seen.durations, 0.5)?,
            p95: percentile(&mut seen.durations, 0.95)?,
        })
    };
    let rows = rows.into_iter().map(|((service, name), [a, b])| Row { service, name, a: side(a), b: side(b) });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by(|one, other| {
        other.weight().cmp(&one.weight()).then_with(|| (&one.service, &one.name).cmp(&(&other.service, &other.name)))
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::super::samples::{With, span};
    use super::*;

    #[test]
    fn the_largest_change_comes_first() {
        let a = [
            span(1, 0, "same", 1, 1001),
            span(2, 0, "slower", 1, 101),
            span(3, 0, "slower", 1, 103).error("no"),
            span(4, 0, "gone", 1, 51),
            span(5, 0, "running", 1, 0),
        ];
        let b = [span(1, 0, "same", 1, 1001), span(2, 0, "slower", 1, 401), span(3, 0, "new", 1, 21)];
        let rows = compare(a.iter(), b.iter());
        let said: Vec<_> = rows.iter().map(|row| (&*row.name, row.change())).collect();
        assert_eq!(said, [("slower", Some(300)), ("gone", None), ("new", None), ("same", Some(0))]);
        assert_eq!(rows[0].a, Some(Side { count: 2, errors: 1, p50: 100, p95: 102, total: 202 }));
        assert_eq!(rows[1].b, None);
    }
}
