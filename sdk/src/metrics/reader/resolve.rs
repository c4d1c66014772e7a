//! Combines an instrument, a view and a reader into a stream configuration, and describes conflicts between
//! streams.

use std::sync::Arc;

use opentelemetry::InstrumentationScope;

use super::config::{DEFAULT_CARDINALITY_LIMIT, ReaderConfig, SELF_METRICS_SCOPE};
use crate::metrics::config::{
    Aggregation, DEFAULT_BOUNDARIES, ExponentialConfig, HistogramConfig, Instrument, InstrumentKind, ReservoirFactory,
    Shape, StreamConfig, View,
};
use crate::metrics::data::{NumberType, Secrets, Temporality};
use crate::metrics::exemplar::{AfterDecision, Places, Sifted};
use crate::time::Clock;

/// Returns the configuration of an instrument's stream, or `None` if the view drops the instrument.
pub(crate) fn config(
    reader: &ReaderConfig,
    view: &View,
    scope: &InstrumentationScope,
    instrument: &Instrument,
    clock: &Clock,
) -> Option<StreamConfig> {
    let kind = instrument.kind;
    let shape = shape(reader, view, instrument)?;
    let drops_stale_values = view.drops_stale_values && shape == Shape::LastValue;
    let temporality = if drops_stale_values { Temporality::Delta } else { reader.temporality.of(kind) };
    Some(StreamConfig {
        name: view.name.clone().unwrap_or_else(|| instrument.name.clone()),
        description: view.description.clone().unwrap_or_else(|| instrument.description.clone()),
        unit: instrument.unit.clone(),
        kind,
        number: instrument.number,
        temporality,
        attributes: view.attributes.clone(),
        // spec: metrics/sdk.md#cardinality-limits — the view takes precedence over the reader, whose default is
        // 2000.
        limit: view.limit.unwrap_or_else(|| reader.limit.of(kind).max(minimum_limit(scope))),
        expiry: view.expiry.or(reader.expiry),
        reservoir: reservoir(reader, view, &shape),
        clock: clock.clone(),
        resets_sums: shape == Shape::Sum && temporality == Temporality::Delta && instrument.number == NumberType::F64,
        secrets: Secrets::of_process(),
        redaction: reader.redaction.clone(),
        shape,
    })
}

/// Returns the minimum of a reader's limit. The metrics that show which metrics have too many series must not overflow themselves.
fn minimum_limit(scope: &InstrumentationScope) -> usize {
    if scope.name() == SELF_METRICS_SCOPE { DEFAULT_CARDINALITY_LIMIT } else { 0 }
}

/// Returns what makes the reservoirs of the stream's series. Without tail sampling, it is that of the view, if it has one.
fn reservoir(reader: &ReaderConfig, view: &View, shape: &Shape) -> Option<ReservoirFactory> {
    let of_view = view.reservoir.clone();
    let Some(decided) = reader.decided.clone() else { return of_view };
    if let Some(make) = of_view {
        return Some(Arc::new(move || Box::new(Sifted::new(decided.clone(), make()))));
    }
    let places = match shape {
        Shape::Histogram(config) if !config.bounds.is_empty() => Places::Buckets(config.bounds.clone()),
        Shape::Exponential(config) => Places::Any(config.exemplars()),
        Shape::Sum | Shape::LastValue | Shape::Histogram(_) => Places::Any(1),
    };
    Some(Arc::new(move || Box::new(AfterDecision::new(decided.clone(), places.clone()))))
}

fn shape(reader: &ReaderConfig, view: &View, instrument: &Instrument) -> Option<Shape> {
    let kind = instrument.kind;
    let of_reader = || reader.aggregation.of(kind);
    let wanted = match view.aggregation.clone() {
        None | Some(Aggregation::Default) => of_reader(),
        Some(aggregation) => aggregation,
    };
    let wanted = match wanted.problem() {
        Some(problem) => {
            crate::__warn!("metrics.aggregation", "the aggregation for {} is ignored: {problem}", instrument.name);
            Aggregation::Default
        }
        None if wanted == Aggregation::Sum && kind.is_gauge() => {
            crate::__warn!("metrics.aggregation", "the sum of the gauge {} has no meaning", instrument.name);
            Aggregation::Default
        }
        None => wanted,
    };
    // spec: metrics/sdk.md#histogram-aggregations — no sum if measurements may be negative.
    let record_sum = !kind.may_be_negative();
    match wanted {
        Aggregation::Drop => None,
        Aggregation::Sum => Some(Shape::Sum),
        Aggregation::LastValue => Some(Shape::LastValue),
        Aggregation::ExplicitBucketHistogram { boundaries, record_min_max } => {
            Some(Shape::Histogram(HistogramConfig { bounds: boundaries.into(), record_min_max, record_sum }))
        }
        Aggregation::Base2ExponentialHistogram { max_size, max_scale, record_min_max } => {
            Some(Shape::Exponential(ExponentialConfig {
                max_size: max_size as usize,
                max_scale: max_scale.into(),
                record_min_max,
                record_sum,
            }))
        }
        // spec: metrics/sdk.md#default-aggregation
        Aggregation::Default => Some(match kind {
            InstrumentKind::Gauge | InstrumentKind::ObservableGauge => Shape::LastValue,
            InstrumentKind::Histogram => {
                let bounds = instrument.boundaries.as_deref().unwrap_or(&DEFAULT_BOUNDARIES);
                Shape::Histogram(HistogramConfig { bounds: bounds.into(), record_min_max: true, record_sum })
            }
            _ => Shape::Sum,
        }),
    }
}

/// Describes how two streams with the same name differ, and suggests a view that resolves the conflict.
///
/// spec: metrics/sdk.md#duplicate-instrument-registration
pub(crate) fn conflict(first: &StreamConfig, second: &StreamConfig, meter: &str) -> String {
    let name = &second.name;
    let (differs, recipe) = if first.kind != second.kind || first.number != second.number {
        let kinds = (first.kind, first.number, second.kind, second.number);
        (format!("a {:?} of {:?} and a {:?} of {:?}", kinds.0, kinds.1, kinds.2, kinds.3), rename(second))
    } else if first.unit != second.unit {
        (format!("in {:?} and in {:?}", first.unit, second.unit), rename(second))
    } else if first.description != second.description {
        let recipe = format!("View::of({name:?}).with_description({:?})", first.description);
        (format!("described as {:?} and as {:?}", first.description, second.description), recipe)
    } else {
        ("aggregated in two ways".to_owned(), rename(second))
    };
    format!(
        "the meter {meter:?} has two metrics with the name {name:?}, {differs}; both are exported. To tell them apart: \
         {recipe}"
    )
}

fn rename(stream: &StreamConfig) -> String {
    format!(
        "View::of({:?}).of_kind(InstrumentKind::{:?}).of_unit({:?}).with_name(..)",
        stream.name, stream.kind, stream.unit
    )
}
