//! `/instruments.json` and `/instrument/{id}.json`: the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::Api;
use super::super::json::{micros, rows};
use super::super::params::{Params, Refused};
use super::heat::heat;
use super::points::{Interval, Value, intervals, rates, sum, usual_gap, values};
use crate::model::{MetricKind, SpanId, TraceId};
use crate::query::{Query, Target, text_of};
use crate::store::{Instrument, MAX_SERIES, Series, kind_name};

/// The number of series that a response contains.
const SHOWN: usize = 5;
/// The maximum number of exemplars in a response.
const MAX_EXEMPLARS: usize = 500;
/// The maximum number of services of an instrument in a response.
const MAX_SERVICES: usize = 32;
/// The number of series that the small line of a list is made of.
const SPARK_SERIES: usize = 20;
/// The number of values of the small line of a list.
const SPARK_VALUES: usize = 24;

impl Api {
    pub(crate) fn instruments(&self, params: Params<'_>) -> Result<Json, Refused> {
        let text = params.query();
        let query = Query::parse(&text, Target::Instruments).map_err(|error| Refused::query(&text, error))?;
        let instruments: Vec<Instrument> = self.store.read(|held| held.metrics.instruments().cloned().collect());
        let matching = instruments.iter().filter_map(|instrument| {
            let services = services(instrument);
            let matches = query.matches_instrument(&instrument.key.name, &instrument.description, &services);
            matches.then_some((instrument, services))
        });
        let matching: Vec<_> = matching.collect();
        let shown = rows(matching.iter().map(|(instrument, services)| row(instrument, services)));
        let omitted = matching.len() - shown.len();
        Ok(json!({ "instruments": shown, "omitted": omitted }))
    }

    pub(crate) fn instrument(&self, id: u64, params: Params<'_>) -> Result<Json, Refused> {
        let (from, to) = params.range()?;
        let by = params.get("by");
        let found = self.store.read(|held| held.metrics.instruments().find(|one| one.key.id() == id).cloned());
        let Some(instrument) = found else { return Err(Refused::new(404, "there is no such instrument")) };
        let is_rate = is_rate(instrument.kind);
        let lines = |series: &[&Arc<Series>]| -> Vec<Vec<Value>> {
            series.iter().map(|series| line(series, is_rate, usize::MAX)).collect()
        };

        // Without a split, values that can be added up are one line.
        let mut groups: BTreeMap<BTreeMap<String, String>, Vec<&Arc<Series>>> = BTreeMap::new();
        for series in &instrument.series {
            let labels = match &by {
                Some(by) => BTreeMap::from([(by.to_string(), label(series, by).unwrap_or_default())]),
                None if instrument.kind == MetricKind::Gauge => labels(series),
                None => BTreeMap::new(),
            };
            groups.entry(labels).or_default().push(series);
        }
        let all: Vec<&Arc<Series>> = instrument.series.iter().collect();
        let gap = usual_gap(&lines(&all));
        let within =
            |line: Vec<Value>| line.into_iter().filter(|(time, _)| (from..=to).contains(time)).collect::<Vec<_>>();
        let mut shown: Vec<(BTreeMap<String, String>, Vec<Value>)> = groups
            .into_iter()
            .map(|(labels, series)| {
                // Gauges are averaged, because the sum of two temperatures is no temperature.
                let count = if instrument.kind == MetricKind::Gauge { series.len().max(1) as f64 } else { 1.0 };
                let line = within(sum(&lines(&series), gap));
                (labels, line.into_iter().map(|(time, value)| (time, value / count)).collect())
            })
            .filter(|(_, line): &(_, Vec<Value>)| !line.is_empty())
            .collect();
        let size = |line: &[Value]| line.iter().map(|(_, value)| value.abs()).sum::<f64>();
        shown.sort_by(|(_, a), (_, b)| size(b).total_cmp(&size(a)));
        let rest = shown.len().saturating_sub(SHOWN);
        shown.truncate(SHOWN);
        let series = shown.into_iter().map(|(labels, line)| {
            let points: Vec<Json> = line.into_iter().map(|(time, value)| json!([micros(time), value])).collect();
            json!({ "labels": labels, "points": points, "rate": is_rate })
        });

        let mut response = row(&instrument, &services(&instrument));
        let histograms = all.iter().flat_map(|series| intervals(series));
        let histograms: Vec<Interval> = histograms.filter(|interval| (from..=to).contains(&interval.to)).collect();
        if let Some(response) = response.as_object_mut() {
            response.insert("labels".to_owned(), json!(splits(&instrument)));
            response.insert("series".to_owned(), series.collect());
            response.insert("rest".to_owned(), rest.into());
            response.insert("refused".to_owned(), instrument.refused.into());
            response.insert("exemplars".to_owned(), self.exemplars(&all, from, to).into());
            if let Some((heat, quantiles)) = heat(&histograms, gap) {
                response.insert("heat".to_owned(), heat);
                response.insert("quantiles".to_owned(), quantiles);
            }
        }
        Ok(response)
    }

    /// Returns the newest exemplars as `[time, value, trace, span, held, error]`.
    fn exemplars(&self, series: &[&Arc<Series>], from: u64, to: u64) -> Vec<Json> {
        let samples = series.iter().flat_map(|series| &series.samples);
        let exemplars = samples.flat_map(|sample| sample.exemplars.iter().map(|exemplar| (sample.time, exemplar)));
        let mut found: Vec<(u64, f64, TraceId, SpanId)> = exemplars
            .map(|(time, exemplar)| (if exemplar.time == 0 { time } else { exemplar.time }, exemplar))
            .filter(|(time, exemplar)| (from..=to).contains(time) && !exemplar.trace_id.is_zero())
            .map(|(time, exemplar)| (time, exemplar.value, exemplar.trace_id, exemplar.span_id))
            .collect();
        found.sort_by_key(|(time, _, trace, span)| (*time, *trace, *span));
        // A cumulative point repeats the exemplars of the one before.
        found.dedup_by_key(|(time, _, trace, span)| (*time, *trace, *span));
        let surplus = found.len().saturating_sub(MAX_EXEMPLARS);
        found.drain(..surplus);
        // Whether each trace is held, and whether it has errors.
        let traces: Vec<(bool, bool)> = self.store.read(|held| {
            let traces = found.iter().map(|(_, _, trace, _)| held.traces.get(*trace));
            traces.map(|trace| (trace.is_some(), trace.is_some_and(|trace| trace.errors > 0))).collect()
        });
        let rows = found.iter().zip(traces).map(|((time, value, trace, span), (is_held, has_errors))| {
            json!([micros(*time), value, trace, span, is_held, u8::from(has_errors)])
        });
        rows.collect()
    }
}

/// Returns an instrument as it is listed.
fn row(instrument: &Instrument, services: &[&str]) -> Json {
    let is_rate = is_rate(instrument.kind);
    let lines: Vec<Vec<Value>> =
        instrument.series.iter().take(SPARK_SERIES).map(|series| line(series, is_rate, SPARK_VALUES + 1)).collect();
    let total = sum(&lines, usual_gap(&lines));
    let spark: Vec<f64> = total.iter().rev().take(SPARK_VALUES).rev().map(|(_, value)| *value).collect();
    let points: usize = instrument.series.iter().map(|series| series.samples.len()).sum();
    json!({
        "id": format!("{:016x}", instrument.key.id()),
        "name": &*instrument.key.name,
        "unit": &*instrument.key.unit,
        "description": &*instrument.description,
        "kind": kind_name(instrument.kind),
        "services": services.iter().take(MAX_SERVICES).collect::<Vec<_>>(),
        "series": instrument.series.len(),
        "limit": MAX_SERIES,
        "points": points,
        "last": spark.last(),
        "spark": spark,
    })
}

fn services(instrument: &Instrument) -> Vec<&str> {
    let services: BTreeSet<&str> = instrument.series.iter().map(|series| &*series.key.resource.service).collect();
    services.into_iter().collect()
}

/// Returns true if the instrument is shown as a rate a second.
fn is_rate(kind: MetricKind) -> bool {
    !matches!(kind, MetricKind::Gauge | MetricKind::Sum { monotonic: false })
}

fn line(series: &Series, is_rate: bool, last: usize) -> Vec<Value> {
    if is_rate { rates(series, last) } else { values(series, last) }
}

/// Returns the value of an attribute of the series. `service` means the service.
fn label(series: &Series, key: &str) -> Option<String> {
    let attribute = series.key.attributes.iter().find(|attribute| &*attribute.key == key);
    match attribute {
        Some(attribute) => Some(text_of(&attribute.value).into_owned()),
        None if key == "service" => Some((*series.key.resource.service).to_owned()),
        None => None,
    }
}

fn labels(series: &Series) -> BTreeMap<String, String> {
    let attributes = series.key.attributes.iter();
    let labels = attributes.map(|attribute| ((*attribute.key).to_owned(), text_of(&attribute.value).into_owned()));
    labels.chain([("service".to_owned(), (*series.key.resource.service).to_owned())]).collect()
}

/// Returns the keys that tell series apart, those with the fewest values first.
fn splits(instrument: &Instrument) -> Vec<String> {
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for series in instrument.series.iter().take(200) {
        for (key, value) in labels(series) {
            values.entry(key).or_default().insert(value);
        }
    }
    let mut splits: Vec<_> = values.into_iter().filter(|(_, values)| values.len() > 1).collect();
    splits.sort_by_key(|(_, values)| values.len());
    splits.into_iter().map(|(key, _)| key).collect()
}
