//! `/records.json`: the log records that match a query.

use serde_json::{Value as Json, json};

use super::Api;
use super::json::{attributes, micros, rows};
use super::params::{Params, Refused};
use crate::model::Record;
use crate::query::text_of;
use crate::search::{Level, RecordMatch};

/// The maximum number of log records in a response.
const MAX_RECORDS: usize = 2_000;
/// The number of cells of the histogram.
const CELLS: u64 = 60;

impl Api {
    pub(crate) fn records(&self, params: Params<'_>) -> Result<Json, Refused> {
        let (from, to) = params.range()?;
        let limit = params.limit(500, MAX_RECORDS)?;
        let (before, after) = (params.number("before")?, params.number("after")?);
        let query = params.query();

        let mut searches = self.searches();
        let search = searches.records(&self.store, &query).map_err(|error| Refused::query(&query, error))?;
        let within: Vec<RecordMatch> =
            search.matches().filter(|found| (from..=to).contains(&found.time)).copied().collect();
        drop(searches);
        let listed = within.iter().rev().map(|found| found.id);
        let listed =
            listed.filter(|id| before.is_none_or(|before| *id < before) && after.is_none_or(|after| *id > after));
        let listed: Vec<u64> = listed.take(limit).collect();

        let (records, cursor) = self.store.read(|held| {
            let found = listed.iter().filter_map(|&id| {
                let record = held.records.get(id)?.clone();
                let trace_held = held.traces.get(record.trace_id).is_some();
                Some((id, record, trace_held))
            });
            (found.collect::<Vec<_>>(), held.records.next())
        });
        let records = rows(records.iter().map(|(id, record, trace_held)| row(*id, record, *trace_held)));
        Ok(json!({
            "cursor": cursor,
            "matched": within.len(),
            "records": records,
            "histogram": histogram(&within, from, to),
        }))
    }
}

/// Returns a log record as it is listed.
pub(crate) fn row(id: u64, record: &Record, trace_held: bool) -> Json {
    json!({
        "id": id,
        "time": micros(record.time),
        "severity": record.severity,
        "text": &*record.severity_text,
        "service": &*record.resource.service,
        "body": text_of(&record.body),
        "event": &*record.event_name,
        "trace": (!record.trace_id.is_zero()).then_some(record.trace_id),
        "span": (!record.span_id.is_zero()).then_some(record.span_id),
        "trace_held": trace_held,
        "attributes": attributes(&record.attributes),
        "dropped": record.dropped_attributes,
    })
}

/// Returns cells of equal length: their start in microseconds, and the numbers of errors, warnings and other records.
fn histogram(matches: &[RecordMatch], from: u64, to: u64) -> Vec<(u64, u64, u64, u64)> {
    let first = matches.iter().map(|found| found.time).min();
    let last = matches.iter().map(|found| found.time).max();
    let (Some(first), Some(last)) = (first, last) else { return Vec::new() };
    let from = if from == 0 { first } else { from };
    let to = if to == u64::MAX { last } else { to };
    let size = (to.saturating_sub(from) / CELLS + 1).max(1_000);
    let mut cells: Vec<_> = (0..CELLS).map(|cell| (micros(from.saturating_add(cell * size)), 0, 0, 0)).collect();
    for found in matches {
        let cell = usize::try_from(found.time.saturating_sub(from) / size).unwrap_or(usize::MAX);
        let Some((_, errors, warnings, rest)) = cells.get_mut(cell) else { continue };
        *match found.level {
            Level::Error => errors,
            Level::Warning => warnings,
            Level::Rest => rest,
        } += 1;
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_in_a_cell() {
        let found = |time: u64| RecordMatch {
            id: time,
            time: time * 1_000_000,
            level: [Level::Error, Level::Warning, Level::Rest][time as usize % 3],
        };
        let matches: Vec<_> = (1..=300).map(found).collect();
        for (from, to) in [(0, u64::MAX), (1_000_000, 300_000_000)] {
            let cells = histogram(&matches, from, to);
            assert_eq!(cells.len(), 60);
            assert_eq!(cells.iter().map(|cell| cell.1).sum::<u64>(), 100);
            assert_eq!(cells.iter().map(|cell| cell.2).sum::<u64>(), 100);
            assert_eq!(cells.iter().map(|cell| cell.3).sum::<u64>(), 100);
            assert!(cells.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
        assert!(histogram(&[], 0, 9).is_empty());
    }
}
