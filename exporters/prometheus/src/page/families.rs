//! Families: which metrics share a name on the page, and which cannot have the name they would have.

use std::collections::HashMap;

use telemark_sdk::diag::{self, Level};
use telemark_sdk::metrics::{MetricData, ScopeMetrics, Temporality};

use crate::format::Format;
use crate::names::{Kind, TOTAL, TranslationStrategy, escape};

/// What Prometheus calls the type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Counter,
    Gauge,
    Histogram,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        }
    }

    /// What the names of its samples end with, or might.
    fn suffixes(self, format: Format) -> &'static [&'static str] {
        match self {
            Type::Counter if format.is_open_metrics() => &["", TOTAL, "_created"],
            Type::Histogram if format.is_open_metrics() => &["", "_bucket", "_sum", "_count", "_created"],
            Type::Histogram => &["", "_bucket", "_sum", "_count"],
            Type::Counter | Type::Gauge => &[""],
        }
    }

    /// `None` for what has no place on a page: a page has totals since the start.
    fn of(data: &MetricData) -> Option<Type> {
        match data {
            MetricData::Gauge { .. } => Some(Type::Gauge),
            MetricData::Sum { temporality: Temporality::Cumulative, monotonic: true, .. } => Some(Type::Counter),
            MetricData::Sum { temporality: Temporality::Cumulative, monotonic: false, .. } => Some(Type::Gauge),
            MetricData::Histogram { temporality: Temporality::Cumulative, .. }
            | MetricData::ExponentialHistogram { temporality: Temporality::Cumulative, .. } => Some(Type::Histogram),
            _ => None,
        }
    }
}

/// The metrics of one name.
pub(crate) struct Family<'a> {
    /// The name in the metadata.
    pub(crate) name: String,
    /// The name of its samples but for the suffixes of histograms.
    pub(crate) sample: String,
    pub(crate) kind: Type,
    pub(crate) help: &'a str,
    /// Empty unless the name ends with it.
    pub(crate) unit: String,
    pub(crate) parts: Vec<Part<'a>>,
}

/// One of the metrics, and the position of its scope.
pub(crate) struct Part<'a> {
    pub(crate) scope: usize,
    pub(crate) data: &'a MetricData,
}

/// The names of the metric with the resource's attributes, in the metadata and in the sample.
pub(crate) fn target_names(format: Format) -> (String, String) {
    let sample = escape("target_info", format.escaping(), Kind::Metric).into_owned();
    // Only OpenMetrics has metrics that are information.
    let name = sample.strip_suffix("_info").filter(|_| format.is_open_metrics()).unwrap_or(&sample).to_owned();
    (name, sample)
}

/// The families of a collection, in the order of their first metrics.
pub(crate) fn families<'a>(
    scopes: &'a [ScopeMetrics],
    strategy: TranslationStrategy,
    format: Format,
    target_info: bool,
) -> Vec<Family<'a>> {
    let mut families: Vec<Family<'a>> = Vec::new();
    // Each name that a sample or metadata has or might have, and its family.
    let mut taken: HashMap<String, usize> = HashMap::new();
    if target_info {
        let (name, sample) = target_names(format);
        taken.extend([(name, usize::MAX), (sample, usize::MAX)]);
    }
    for (scope, metrics) in scopes.iter().enumerate() {
        for metric in metrics.metrics.iter().filter(|metric| !metric.data.is_empty()) {
            let Some(kind) = Type::of(&metric.data) else {
                warn("prometheus.temporality", &metric.name, "it is no cumulative total");
                continue;
            };
            let is_counter = kind == Type::Counter;
            let Some((full, unit)) = strategy.metric(&metric.name, &metric.unit, is_counter, format.escaping()) else {
                warn("prometheus.name", &metric.name, "it has no name");
                continue;
            };
            let (name, sample) = names(full, is_counter, format);
            let part = Part { scope, data: &metric.data };
            match taken.get(&name).and_then(|&index| families.get_mut(index)) {
                Some(family) if family.kind == kind && family.name == name => {
                    merge_metadata(family, &metric.description, &metric.name);
                    family.parts.push(part);
                    continue;
                }
                _ => {}
            }
            // spec: conflicting types: the metric must be dropped. A sample of another family's name is as bad.
            let suffixes = kind.suffixes(format);
            if suffixes.iter().any(|suffix| taken.contains_key(&format!("{name}{suffix}"))) {
                warn("prometheus.conflict", &metric.name, "another one of a different type has its name");
                continue;
            }
            for suffix in suffixes {
                taken.insert(format!("{name}{suffix}"), families.len());
            }
            let has_unit = !unit.is_empty() && name.strip_suffix(&*unit).is_some_and(|rest| rest.ends_with('_'));
            let unit = if has_unit { unit } else { String::new() };
            families.push(Family { name, sample, kind, help: &metric.description, unit, parts: vec![part] });
        }
    }
    families
}

/// The names in the metadata and in the samples.
///
/// spec: OpenMetrics.md#counter-1: samples of counters end with `_total`, their families do not.
fn names(full: String, is_counter: bool, format: Format) -> (String, String) {
    if !is_counter || !format.is_open_metrics() {
        return (full.clone(), full);
    }
    let base = full.strip_suffix(TOTAL).filter(|base| !base.is_empty()).unwrap_or(&full).to_owned();
    let sample = format!("{base}{TOTAL}");
    (base, sample)
}

/// spec: conflicting HELP: the points are kept, one comment is written.
fn merge_metadata<'a>(family: &mut Family<'a>, help: &'a str, name: &str) {
    if family.help.is_empty() {
        family.help = help;
    } else if !help.is_empty() && help != family.help {
        diag::log(
            Level::Warn,
            "prometheus.help",
            format_args!("the metric {name:?} has several descriptions, of which the first is shown"),
        );
    }
}

fn warn(topic: &'static str, name: &str, why: &str) {
    diag::log(Level::Warn, topic, format_args!("the metric {name:?} is not shown to Prometheus: {why}"));
}
