//! Reads views.

use super::shared::patterns;
use crate::config::Settings;
use crate::metrics::{Aggregation, DEFAULT_BOUNDARIES, InstrumentKind, View};

/// The names of the instrument kinds.
pub(super) const KINDS: [(&str, InstrumentKind); 7] = [
    ("counter", InstrumentKind::Counter),
    ("gauge", InstrumentKind::Gauge),
    ("histogram", InstrumentKind::Histogram),
    ("observable_counter", InstrumentKind::ObservableCounter),
    ("observable_gauge", InstrumentKind::ObservableGauge),
    ("observable_up_down_counter", InstrumentKind::ObservableUpDownCounter),
    ("up_down_counter", InstrumentKind::UpDownCounter),
];

/// Returns the view, or reports why it cannot be used.
pub(super) fn view(settings: Settings<'_>) -> Option<View> {
    let (selector, stream) = (settings.object("selector")?, settings.object("stream")?);
    let mut view = View::of(selector.text("instrument_name").unwrap_or("*"));
    if let Some(kind) = selector.one_of("instrument_type", &KINDS) {
        view = view.of_kind(kind);
    }
    if let Some(unit) = selector.text("unit") {
        view = view.of_unit(unit);
    }
    if let Some(name) = selector.text("meter_name") {
        view = view.of_meter(name);
    }
    if let Some(version) = selector.text("meter_version") {
        view = view.of_meter_version(version);
    }
    if let Some(url) = selector.text("meter_schema_url") {
        view = view.of_meter_schema_url(url);
    }
    if let Some(name) = stream.text("name") {
        view = view.with_name(name);
    }
    if let Some(description) = stream.text("description") {
        view = view.with_description(description);
    }
    if let Some(limit) = stream.size("aggregation_cardinality_limit", 1) {
        view = view.with_cardinality_limit(limit);
    }
    if let Some(keys) = stream.object("attribute_keys") {
        view = view.with_attribute_patterns(patterns(keys));
    }
    if let Some(aggregation) = stream.object("aggregation").and_then(aggregation) {
        view = view.with_aggregation(aggregation);
    }
    match view.problem() {
        Some(problem) => {
            stream.problem(&format!("cannot be used, because {problem}"));
            None
        }
        None => Some(view),
    }
}

fn aggregation(settings: Settings<'_>) -> Option<Aggregation> {
    let (name, settings) = settings.component()?;
    let record_min_max = || settings.boolean("record_min_max").unwrap_or(true);
    Some(match name {
        "default" => Aggregation::Default,
        "drop" => Aggregation::Drop,
        "sum" => Aggregation::Sum,
        "last_value" => Aggregation::LastValue,
        "explicit_bucket_histogram" => {
            let has_own = settings.get("boundaries").is_some_and(|boundaries| !boundaries.item().is_null());
            let own = settings.list("boundaries").filter_map(Settings::as_number).collect();
            Aggregation::ExplicitBucketHistogram {
                boundaries: if has_own { own } else { DEFAULT_BOUNDARIES.to_vec() },
                record_min_max: record_min_max(),
            }
        }
        "base2_exponential_bucket_histogram" => Aggregation::Base2ExponentialHistogram {
            max_size: settings
                .integer("max_size", 2..=i64::from(u32::MAX))
                .and_then(|size| size.try_into().ok())
                .unwrap_or(160),
            max_scale: settings.integer("max_scale", -10..=20).and_then(|scale| scale.try_into().ok()).unwrap_or(20),
            record_min_max: record_min_max(),
        },
        _ => return None,
    })
}
