//! `/trace/{id}/span/{id}.json`: one span with all its content.

use serde_json::{Value as Json, json};

use super::Api;
use super::json::{attributes, kind, micros};
use super::params::Refused;
use super::trace::record_text;
use crate::analysis::{Times, skew, tree};
use crate::model::{Span, SpanId, Status, TraceId};

/// The maximum number of links whose spans are looked up, which takes time in large traces.
const MAX_NAMED_LINKS: usize = 100;

impl Api {
    pub(crate) fn span(&self, trace_id: TraceId, span_id: SpanId) -> Result<Json, Refused> {
        let loaded = self.load(trace_id)?;
        let spans = loaded.spans();
        let tree = tree(&spans);
        let times = Times::new(&spans, &tree, &skew(&spans, &tree));
        let position =
            tree.order.iter().position(|&index| spans.get(index as usize).is_some_and(|span| span.span_id == span_id));
        let found = position.and_then(|position| Some((position, *spans.get(*tree.order.get(position)? as usize)?)));
        let Some((position, span)) = found else { return Err(Refused::new(404, "the trace has no such span")) };

        let base = times.start.iter().min().map_or(0, |start| micros(*start).saturating_mul(1_000));
        let start = times.start.get(position).copied().unwrap_or(base);
        let shift = i128::from(start) - i128::from(span.start);
        let at = |time: u64| i64::try_from(i128::from(time) + shift - i128::from(base)).unwrap_or(0);
        let duration = times.duration(position);
        let children = (position + 1..tree.end_of(position)).filter(|&child| tree.parent_of(child) == Some(position));
        let children = children.filter_map(|child| Some((*times.start.get(child)?, *times.end.get(child)?)));
        let end = start.saturating_add(duration);
        let own = duration.saturating_sub(covered(children.collect(), start, end));

        let baseline = self.store.with_baselines(|baselines| baselines.of(&span.resource.service, &span.name));
        let baseline = baseline.map(|baseline| {
            let ratio = baseline.ratio(duration);
            json!({ "median": baseline.median, "mad": baseline.mad, "n": baseline.n, "ratio": ratio })
        });
        let status = match &span.status {
            Status::Unset => json!({ "code": "unset", "message": "" }),
            Status::Ok => json!({ "code": "ok", "message": "" }),
            Status::Error(message) => json!({ "code": "error", "message": &**message }),
        };
        let events = span.events.iter().map(|event| {
            json!({
                "at": at(event.time),
                "name": &*event.name,
                "attributes": attributes(&event.attributes),
                "dropped": event.dropped_attributes,
            })
        });
        let records = loaded.records.iter().filter(|(_, record)| record.span_id == span_id);
        let records = records.map(|(id, record)| {
            json!({ "id": id, "at": at(record.time), "severity": record.severity, "body": record_text(record) })
        });
        Ok(json!({
            "name": &*span.name,
            "service": &*span.resource.service,
            "kind": kind(span.kind),
            "start": start.saturating_sub(base),
            "duration": duration,
            "self": own,
            "running": span.end == 0,
            "status": status,
            "trace_state": &*span.trace_state,
            "attributes": attributes(&span.attributes),
            "events": events.collect::<Vec<Json>>(),
            "links": self.links(span),
            "resource": attributes(&span.resource.attributes),
            "scope": {
                "name": &*span.scope.name,
                "version": &*span.scope.version,
                "attributes": attributes(&span.scope.attributes),
            },
            "records": records.collect::<Vec<Json>>(),
            "baseline": baseline,
            "dropped": {
                "attributes": span.dropped.attributes,
                "events": span.dropped.events,
                "links": span.dropped.links,
            },
        }))
    }

    /// Returns the links of a span, with the names of the linked spans that are held.
    fn links(&self, span: &Span) -> Vec<Json> {
        let traces: Vec<_> =
            self.store.read(|held| span.links.iter().map(|link| held.traces.get(link.trace_id).cloned()).collect());
        let links = span.links.iter().zip(traces).enumerate().map(|(at, (link, trace))| {
            let linked = trace
                .as_ref()
                .filter(|_| at < MAX_NAMED_LINKS)
                .and_then(|trace| trace.spans.iter().find(|span| span.span_id == link.span_id));
            json!({
                "trace": link.trace_id,
                "span": link.span_id,
                "held": trace.is_some(),
                "name": linked.map(|span| &*span.name),
                "attributes": attributes(&link.attributes),
            })
        });
        links.collect()
    }
}

/// Returns how much of the time from `start` to `end` at least one interval covers.
fn covered(mut intervals: Vec<(u64, u64)>, start: u64, end: u64) -> u64 {
    intervals.sort_unstable();
    let mut covered = 0;
    let mut until = start;
    for (from, to) in intervals {
        let (from, to) = (from.clamp(until, end.max(until)), to.min(end));
        if to > from {
            covered += to - from;
            until = to;
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_intervals_count_once() {
        assert_eq!(covered(vec![], 0, 10), 0);
        assert_eq!(covered(vec![(2, 4), (3, 6), (8, 20)], 0, 10), 6);
        assert_eq!(covered(vec![(5, 3), (0, 20)], 2, 10), 8);
        assert_eq!(covered(vec![(20, 30)], 0, 10), 0);
    }
}
