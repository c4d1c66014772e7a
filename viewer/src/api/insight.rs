//! `/map.json`, `/findings.json` and `/compare.json`: what an analysis of many traces shows.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::Api;
use super::params::{Params, Refused};
use crate::analysis::{Calls, Cost, Evidence, Finding, Map, PeerKind, Share, Side, compare, findings, map};
use crate::model::{Span, TraceId};
use crate::store::Trace;

/// The maximum number of spans that an analysis of many traces reads. It reads the newest traces, and other requests wait
/// for it.
const MAX_SPANS: usize = 20_000;
/// The maximum number of spans on one side of a comparison.
const MAX_COMPARED: usize = 100_000;
/// The maximum number of rows of a comparison.
const MAX_ROWS: usize = 500;
/// The shortest time between two analyses, in nanoseconds.
const MIN_PAUSE: u64 = 1_000_000_000;
/// The part of the time that an analysis may take: one twentieth.
const REST: u64 = 20;
/// The precision of the length of a range of times that follows the present, in nanoseconds.
const PRECISION: u64 = 5_000_000_000;
/// The maximum number of results that are remembered.
const MAX_RESULTS: usize = 4;

/// The results of the last analyses.
#[derive(Debug, Default)]
pub(super) struct Results {
    maps: Vec<Computed<Window>>,
    findings: Option<Computed<()>>,
}

/// A result, for what it was computed, and when it may be computed again.
#[derive(Clone, Debug)]
struct Computed<K> {
    key: K,
    value: Arc<Json>,
    due: u64,
}

/// A range of times.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Window {
    /// Up to the present, in steps of `PRECISION`.
    Recent(u64),
    Fixed(u64, u64),
}

impl Api {
    pub(super) fn map(&self, params: Params<'_>) -> Result<Arc<Json>, Refused> {
        let now = self.store.now();
        let (from, to) = params.range()?;
        let key = match (from, to) {
            (from, u64::MAX) => Window::Recent(now.saturating_sub(from) / PRECISION),
            (from, to) => Window::Fixed(from / PRECISION, to / PRECISION),
        };
        let known =
            super::lock(&self.results).maps.iter().find(|result| result.key == key && now < result.due).cloned();
        if let Some(result) = known {
            return Ok(result.value);
        }
        let traces = self.traces_between(from, to, MAX_SPANS);
        let first = traces.iter().map(|trace| trace.start).min().unwrap_or(now);
        let last = traces.iter().map(|trace| trace.end).max().unwrap_or(now).min(to);
        // A range that the store covers completely counts as a whole.
        let from = if from == 0 || self.is_beyond(from) { first } else { from };
        let to = if to == u64::MAX { now.max(last) } else { to };
        let seconds = (to.saturating_sub(from) as f64 / 1e9).max(1.0);
        let map = map(traces.iter().map(|trace| &*trace.spans), seconds);
        let hues = self.hues(map.nodes.iter().map(|node| &*node.name));
        let value = Arc::new(picture(&map, &hues));
        let mut results = super::lock(&self.results);
        results.maps.retain(|result| result.key != key);
        if results.maps.len() >= MAX_RESULTS {
            results.maps.remove(0);
        }
        results.maps.push(Computed { key, value: value.clone(), due: self.due(now) });
        Ok(value)
    }

    /// Returns the findings, which are computed at most once a second, and less often if that takes long.
    pub(crate) fn findings(&self) -> Arc<Json> {
        self.findings_within(0)
    }

    /// Returns the findings, as of up to `age` nanoseconds ago.
    pub(super) fn findings_within(&self, age: u64) -> Arc<Json> {
        let now = self.store.now();
        let known = super::lock(&self.results).findings.clone();
        let known = known.filter(|result| now < result.due.saturating_add(age));
        if let Some(result) = known {
            return result.value;
        }
        let traces = self.traces_between(0, u64::MAX, MAX_SPANS);
        let found = self
            .store
            .with_baselines(|baselines| findings(traces.iter().map(|trace| (trace.id, &*trace.spans)), baselines));
        let value = Arc::new(json!({
            "findings": found.findings.iter().map(finding).collect::<Vec<_>>(),
            "cost": cost(&found.cost),
            "traces": traces.len(),
        }));
        super::lock(&self.results).findings = Some(Computed { key: (), value: value.clone(), due: self.due(now) });
        value
    }

    /// Returns when an analysis that began at `began` may be repeated.
    fn due(&self, began: u64) -> u64 {
        let end = self.store.now();
        let cost = end.saturating_sub(began);
        end.saturating_add(cost.saturating_mul(REST).max(MIN_PAUSE))
    }

    pub(super) fn compare(&self, params: Params<'_>) -> Result<Json, Refused> {
        let side = |name: &str| {
            let text =
                params.get(name).ok_or_else(|| Refused::new(400, "a and b are two traces, or two ranges of times"))?;
            self.side(&text)
        };
        let (a, b) = (side("a")?, side("b")?);
        let mut rows = compare(a.spans(), b.spans());
        rows.truncate(MAX_ROWS);
        let hues = self.hues(rows.iter().map(|row| &*row.service));
        let rows = rows.iter().zip(hues).map(|(row, hue)| {
            json!({
                "service": &*row.service,
                "name": &*row.name,
                "hue": hue,
                "a": row.a.as_ref().map(self::side),
                "b": row.b.as_ref().map(self::side),
                "change": row.change(),
            })
        });
        Ok(json!({ "a": a.json(), "b": b.json(), "rows": rows.collect::<Vec<Json>>() }))
    }

    /// Returns a side of a comparison: a trace, or the traces of `from-to` in microseconds.
    fn side(&self, text: &str) -> Result<Compared, Refused> {
        if let Some((from, to)) = text.split_once('-') {
            let time = |text: &str| text.parse::<u64>().ok().map(|micros| micros.saturating_mul(1_000));
            let (Some(from), Some(to)) = (time(from), time(to)) else {
                return Err(Refused::new(400, format!("{text:?} is not a range of times in microseconds")));
            };
            return Ok(Compared {
                label: None,
                traces: self.traces_between(from, to.saturating_add(999), MAX_COMPARED),
            });
        }
        let id: TraceId = text.parse().map_err(|_| Refused::new(400, format!("{text:?} is not a trace id")))?;
        let trace = self.load(id)?.trace;
        let label = trace.root().map(|root| (*root.name).to_owned());
        Ok(Compared { label, traces: vec![trace] })
    }

    /// Returns the newest traces that start in the range, up to a number of spans. Passes over larger traces.
    fn traces_between(&self, from: u64, to: u64, max_spans: usize) -> Vec<Arc<Trace>> {
        self.store.read(|held| {
            let mut spans = 0;
            let traces = held.traces.newest().filter(|trace| (from..=to).contains(&trace.start));
            let mut fitting = Vec::new();
            for trace in traces {
                // A trace that is too large must not hide all others.
                if spans + trace.spans.len() <= max_spans {
                    spans += trace.spans.len();
                    fitting.push(trace.clone());
                }
                if spans >= max_spans - max_spans / 20 {
                    break;
                }
            }
            fitting
        })
    }

    /// Returns the hues of services.
    pub(super) fn hues<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<u8> {
        self.store.read(|held| names.map(|name| held.services.hue(name)).collect())
    }

    /// Returns true if the store has no trace from before the time.
    fn is_beyond(&self, time: u64) -> bool {
        self.store.read(|held| {
            let oldest = held.traces.by_arrival(held.traces.first_arrival());
            oldest.is_none_or(|oldest| oldest.start > time)
        })
    }
}

/// Returns a map, whose nodes have these hues, as the page draws it.
fn picture(map: &Map, hues: &[u8]) -> Json {
    let id = |at: usize| format!("n{at}");
    let nodes = map.nodes.iter().zip(hues).enumerate().map(|(at, (node, hue))| {
        let kind = match node.peer {
            None => "service",
            Some(PeerKind::Database) => "database",
            Some(PeerKind::Queue) => "queue",
            Some(PeerKind::Service) => "peer",
        };
        let mut row = calls(&node.calls);
        if let Some(row) = row.as_object_mut() {
            row.insert("id".to_owned(), id(at).into());
            row.insert("name".to_owned(), node.name.clone().into());
            row.insert("kind".to_owned(), kind.into());
            row.insert("hue".to_owned(), (*hue).into());
        }
        row
    });
    let edges = map.edges.iter().map(|edge| {
        let mut row = calls(&edge.calls);
        if let Some(row) = row.as_object_mut() {
            row.insert("from".to_owned(), id(edge.from as usize).into());
            row.insert("to".to_owned(), id(edge.to as usize).into());
        }
        row
    });
    json!({
        "nodes": nodes.collect::<Vec<_>>(),
        "edges": edges.collect::<Vec<_>>(),
        "omitted": map.omitted,
        "omitted_edges": map.omitted_edges,
    })
}

/// A side of a comparison.
struct Compared {
    label: Option<String>,
    traces: Vec<Arc<Trace>>,
}

impl Compared {
    fn spans(&self) -> impl Iterator<Item = &Span> {
        self.traces.iter().flat_map(|trace| trace.spans.iter().map(|span| &**span))
    }

    fn json(&self) -> Json {
        json!({ "label": self.label, "traces": self.traces.len(), "spans": self.spans().count() })
    }
}

fn side(side: &Side) -> Json {
    json!({ "count": side.count, "errors": side.errors, "p50": side.p50, "p95": side.p95 })
}

fn calls(calls: &Calls) -> Json {
    let errors = if calls.count == 0 { 0.0 } else { calls.errors as f64 / calls.count as f64 };
    json!({ "rate": calls.rate, "errors": errors, "p95": calls.p95, "calls": calls.count })
}

fn finding(finding: &Finding) -> Json {
    let mut evidence = match &finding.evidence {
        Evidence::Repeats { repeats, each, name } => json!({ "repeats": repeats, "each": each, "name": name }),
        Evidence::Attempts { attempts } => json!({ "attempts": attempts }),
        Evidence::Past { median, mad, n, recent } => json!({ "median": median, "mad": mad, "n": n, "recent": recent }),
        Evidence::Nothing {} => json!({}),
    };
    if let Some(evidence) = evidence.as_object_mut() {
        evidence.insert("service".to_owned(), finding.service.clone().into());
        if let Some(lost) = finding.lost {
            evidence.insert("lost_ns".to_owned(), lost.into());
        }
    }
    json!({
        // Stays the same while the finding does.
        "id": format!("{:016x}", crate::store::fnv1a(finding.kind.bytes().chain(finding.title.bytes()).chain(finding.service.bytes()))),
        "kind": finding.kind,
        "severity": finding.severity,
        "service": finding.service,
        "title": finding.title,
        "text": finding.text,
        "count": finding.count,
        "trace": finding.trace,
        "span": finding.span,
        "q": finding.query,
        "evidence": evidence,
    })
}

fn cost(cost: &Cost) -> Json {
    let routes = cost.routes.iter().map(
        |Share { name, spans, bytes, parts }| json!({ "route": name, "spans": spans, "bytes": bytes, "parts": parts }),
    );
    let attributes = cost
        .attributes
        .iter()
        .map(|Share { name, spans, bytes, .. }| json!({ "key": name, "spans": spans, "bytes": bytes }));
    json!({ "routes": routes.collect::<Vec<_>>(), "attributes": attributes.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use telemark_sdk::testing::ManualClock;

    use super::*;
    use crate::store::{Limits, Store};

    #[test]
    fn pages_share_the_result_of_an_analysis() {
        let store = Store::new(Limits::default().with_clock(ManualClock::new().clock()));
        let api = Api::new(store, ([127, 0, 0, 1], 4380).into(), Vec::new(), false, None).unwrap();
        let map = || api.map(Params("from=1")).unwrap();
        assert!(Arc::ptr_eq(&map(), &map()));
        assert!(Arc::ptr_eq(&api.findings(), &api.findings()));
    }
}
