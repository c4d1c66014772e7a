//! `/traces.json`: the traces that match a query.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::Api;
use super::json::{kind, micros, rows};
use super::params::{Params, Refused};
use crate::model::{Span, Text, TraceId};
use crate::query::TraceFacts;
use crate::search::{Searches, TraceMatch};
use crate::store::Trace;

/// The maximum number of points.
const MAX_POINTS: usize = 2_000;
/// The durations of which the slower traces are counted, in nanoseconds.
const OVER: [u64; 3] = [100_000_000, 500_000_000, 1_000_000_000];
/// The maximum number of traces whose services and roots are counted.
const FACET_TRACES: usize = 5_000;
/// The maximum number of services, or of roots, that are counted.
const FACETS: usize = 12;
/// The maximum number of traces in a response.
const MAX_TRACES: usize = 1_000;

impl Api {
    pub(crate) fn traces(&self, params: Params<'_>) -> Result<Json, Refused> {
        let (from, to) = params.range()?;
        let limit = params.limit(200, MAX_TRACES)?;
        let before = match params.get("before") {
            Some(id) if id.len() == 32 => {
                let id = id.parse().map_err(|_| Refused::new(400, "before is not a trace id"))?;
                self.store.read(|held| held.traces.get(id).map(|trace| trace.start))
            }
            _ => params.time("before")?.map(|time| time.saturating_add(999)),
        };
        let query = params.query();

        let mut searches = self.searches();
        let facets = if before.is_none() { self.facets(&mut searches, from, to) } else { Json::Null };
        let search = searches.traces(&self.store, &query).map_err(|error| Refused::query(&query, error))?;
        let matches = search.between(from, to);
        let listed = matches.iter().rev().filter(|found| before.is_none_or(|before| found.start <= before));
        let listed: Vec<u64> = listed.take(limit).map(|found| found.arrival).collect();
        let points = points(matches);
        let matched = matches.len();
        let mut durations: Vec<u64> = matches.iter().map(|found| found.duration).collect();
        let running = if before.is_none() {
            self.running(|facts, spans| search.query().matches_trace(facts, spans))
        } else {
            HashMap::new()
        };
        drop(searches);

        // Traces may have left the store since the search.
        let (traces, ids, cursor, held) = self.store.read(|held| {
            let traces = listed.iter().filter_map(|&arrival| held.traces.by_arrival(arrival).cloned());
            let ids = points.iter().map(|point| held.traces.id(point.arrival));
            (traces.collect::<Vec<Arc<Trace>>>(), ids.collect::<Vec<_>>(), held.traces.version(), held.traces.len())
        });
        let only_running = running.iter().filter(|(_, found)| found.matches && !found.is_held);
        let mut only_running: Vec<Arc<Trace>> = only_running
            .filter(|(_, found)| (from..=to).contains(&found.trace.start))
            .map(|(_, found)| found.trace.clone())
            .collect();
        only_running.sort_by_key(|trace| std::cmp::Reverse(trace.start));
        let listed = || only_running.iter().chain(&traces);
        let rows = rows(listed().map(|trace| {
            let running = running.get(&trace.id).map_or(0, |found| found.trace.spans.len());
            row(trace, running)
        }));
        // Points refer to rows by their index.
        let index = listed().take(rows.len()).enumerate();
        let index: HashMap<TraceId, usize> = index.map(|(at, trace)| (trace.id, at)).collect();
        let points = points.iter().zip(ids).filter_map(|(point, id)| {
            let id = id?;
            let at = index.get(&id).and_then(|&at| i64::try_from(at).ok()).unwrap_or(-1);
            Some(json!([micros(point.start), point.duration, u8::from(point.has_errors), at, id]))
        });
        Ok(json!({
            "cursor": cursor,
            "held": held,
            "matched": matched + only_running.len(),
            "p50": percentile(&mut durations, 50),
            "p95": percentile(&mut durations, 95),
            "facets": facets,
            "traces": rows,
            "points": points.collect::<Vec<Json>>(),
        }))
    }

    /// Counts all traces of a range by status and duration, and the newest of them by service and root.
    fn facets(&self, searches: &mut Searches, from: u64, to: u64) -> Json {
        let Ok(search) = searches.traces(&self.store, "") else { return Json::Null };
        let all = search.between(from, to);
        let errors = all.iter().filter(|found| found.has_errors).count();
        let over = OVER.map(|limit| json!([limit, all.iter().filter(|found| found.duration > limit).count()]));
        let newest: Vec<Arc<Trace>> = self.store.read(|held| {
            let newest = all.iter().rev().take(FACET_TRACES);
            newest.filter_map(|found| held.traces.by_arrival(found.arrival).cloned()).collect()
        });
        let (mut services, mut roots) = (HashMap::new(), HashMap::new());
        for trace in &newest {
            trace.services.iter().for_each(|service| *services.entry(service).or_insert(0usize) += 1);
            trace.root().into_iter().for_each(|root| *roots.entry(&root.name).or_insert(0usize) += 1);
        }
        // The numbers of a part would contradict those of the whole.
        let with_counts = all.len() <= FACET_TRACES;
        json!({
            "error": errors,
            "ok": all.len() - errors,
            "over": over,
            "services": most_frequent(services, with_counts),
            "roots": most_frequent(roots, with_counts),
        })
    }

    /// Returns the slowest traces that match, without points.
    pub(crate) fn slowest(&self, params: Params<'_>, limit: usize) -> Result<Json, Refused> {
        let (from, to) = params.range()?;
        let query = params.query();
        let mut searches = self.searches();
        let search = searches.traces(&self.store, &query).map_err(|error| Refused::query(&query, error))?;
        let mut matches = search.between(from, to).to_vec();
        drop(searches);
        matches.sort_by_key(|found| std::cmp::Reverse(found.duration));
        matches.truncate(limit);
        let traces: Vec<Arc<Trace>> = self
            .store
            .read(|held| matches.iter().filter_map(|found| held.traces.by_arrival(found.arrival).cloned()).collect());
        Ok(json!({ "traces": traces.iter().map(|trace| row(trace, 0)).collect::<Vec<Json>>() }))
    }

    /// Returns the traces with running spans, and keeps them wanted. `matches` decides about those that are not held.
    fn running(&self, matches: impl Fn(TraceFacts, &[Arc<Span>]) -> bool) -> HashMap<TraceId, RunningTrace> {
        let now = self.store.now();
        let mut by_trace: HashMap<TraceId, Vec<Arc<Span>>> = HashMap::new();
        for span in self.store.running().spans() {
            by_trace.entry(span.trace_id).or_default().push(span);
        }
        let traces = by_trace.into_iter().map(|(id, spans)| {
            let trace = Arc::new(Trace::of_running(id, spans, now));
            let facts = TraceFacts { id, duration: trace.duration(), has_errors: false };
            let is_held = self.store.read(|held| held.traces.get(id).is_some());
            let matches = !is_held && matches(facts, &trace.spans);
            (id, RunningTrace { trace, is_held, matches })
        });
        traces.collect()
    }
}

/// Returns the most frequent names, as `[name, count]` or `[name]`.
fn most_frequent(counts: HashMap<&Text, usize>, with_counts: bool) -> Vec<Json> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
    let names = counts.into_iter().take(FACETS);
    names.map(|(name, count)| if with_counts { json!([&**name, count]) } else { json!([&**name]) }).collect()
}

/// The running spans of a trace.
struct RunningTrace {
    trace: Arc<Trace>,
    is_held: bool,
    matches: bool,
}

/// Returns a trace as it is listed.
pub(crate) fn row(trace: &Trace, running: usize) -> Json {
    let root = trace.root();
    let status = if trace.errors > 0 {
        "error"
    } else {
        let is_ok = root.is_some_and(|root| matches!(root.status, crate::model::Status::Ok));
        if is_ok { "ok" } else { "unset" }
    };
    let mut row = json!({
        "id": trace.id,
        "name": root.map_or("", |root| &root.name),
        "service": root.map_or("", |root| &root.resource.service),
        "kind": root.map(|root| kind(root.kind)),
        "start": micros(trace.start),
        "duration": trace.duration(),
        "spans": trace.spans.len(),
        "services": trace.services.iter().map(|service| &**service).collect::<Vec<&str>>(),
        "errors": trace.errors,
        "status": status,
        "partial": trace.is_partial(),
        "running": running,
    });
    if let (Some(root), Some(row)) = (root, row.as_object_mut()) {
        let method = attribute(root, &["http.request.method", "http.method"]);
        let code = attribute(root, &["http.response.status_code", "http.status_code"]);
        if method.is_some() || code.is_some() {
            row.insert("http".to_owned(), json!({ "method": method, "status": code }));
        }
    }
    row
}

fn attribute(span: &Span, keys: &[&str]) -> Option<Json> {
    let found = span.attributes.iter().find(|attribute| keys.contains(&&*attribute.key));
    found.map(|attribute| super::json::value(&attribute.value))
}

/// Returns the matches that a chart shows: all of them, or a sample that stays the same while matches come and go. Half of
/// it is for errors.
fn points(matches: &[TraceMatch]) -> Vec<TraceMatch> {
    if matches.len() <= MAX_POINTS {
        return matches.to_vec();
    }
    let errors = matches.iter().filter(|found| found.has_errors).count();
    let others = matches.len() - errors;
    let for_errors = errors.min((MAX_POINTS / 2).max(MAX_POINTS.saturating_sub(others)));
    let share = |wanted: usize, all: usize| if all == 0 { 0.0 } else { wanted as f64 / all as f64 };
    let shares = [share(MAX_POINTS - for_errors, others), share(for_errors, errors)];
    let sampled = matches.iter().filter(|found| {
        // The golden ratio spreads consecutive numbers evenly.
        let spread = found.arrival.wrapping_mul(0x9e37_79b9_7f4a_7c15) as f64 / u64::MAX as f64;
        shares.get(usize::from(found.has_errors)).is_some_and(|share| spread < *share)
    });
    sampled.take(MAX_POINTS).copied().collect()
}

/// Returns a percentile, or `None` for an empty list.
pub(crate) fn percentile(durations: &mut [u64], percent: usize) -> Option<u64> {
    if durations.is_empty() {
        return None;
    }
    let rank = (durations.len() * percent).div_ceil(100).saturating_sub(1).min(durations.len() - 1);
    Some(*durations.select_nth_unstable(rank).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_bounded_and_stable_and_keeps_errors() {
        let found = |arrival| TraceMatch { start: arrival, arrival, duration: 1, has_errors: arrival % 100 == 0 };
        let matches: Vec<_> = (0..100_000).map(found).collect();
        let sample = points(&matches);
        assert!((1_900..=MAX_POINTS).contains(&sample.len()), "{}", sample.len());
        let errors = sample.iter().filter(|found| found.has_errors).count();
        assert!((900..=1_100).contains(&errors), "{errors}");
        assert_eq!(points(&matches[..2_000]).len(), 2_000);
        // A few more matches leave nearly all points in place.
        let more: Vec<_> = (0..100_100).map(found).collect();
        let arrivals: std::collections::HashSet<_> = points(&more).iter().map(|found| found.arrival).collect();
        let kept = sample.iter().filter(|found| arrivals.contains(&found.arrival)).count();
        assert!(kept * 100 >= sample.len() * 98, "{kept} of {}", sample.len());
    }

    #[test]
    fn percentiles_are_values() {
        assert_eq!(percentile(&mut [], 50), None);
        assert_eq!(percentile(&mut [5], 95), Some(5));
        assert_eq!(percentile(&mut [4, 1, 3, 2], 50), Some(2));
        assert_eq!(percentile(&mut (1..=100).rev().collect::<Vec<_>>(), 95), Some(95));
    }
}
