//! Families: metrics that share a name on the page. Conflicts of names or types exclude a metric.

use std::collections::HashMap;

use telemark_sdk::diag::{self, Level};
use telemark_sdk::metrics::{MetricData, ScopeMetrics, Temporality};

use crate::format::Format;
use crate::names::{NameKind, TOTAL, TranslationStrategy, escape};

/// A Prometheus metric type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricType {
    Counter,
    Gauge,
    Histogram,
}

impl MetricType {
    pub(super) fn name(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
        }
    }

    /// Returns the suffixes that sample names of this type may have.
    fn suffixes(self, format: Format) -> &'static [&'static str] {
        match self {
            MetricType::Counter if format.is_open_metrics() => &["", TOTAL, "_created"],
            MetricType::Histogram if format.is_open_metrics() => &["", "_bucket", "_sum", "_count", "_created"],
            MetricType::Histogram => &["", "_bucket", "_sum", "_count"],
            MetricType::Counter | MetricType::Gauge => &[""],
        }
    }

    /// Returns `None` for deltas, because the totals on a page are cumulative.
    fn for_data(data: &MetricData) -> Option<MetricType> {
        match data {
            MetricData::Gauge { .. } => Some(MetricType::Gauge),
            MetricData::Sum { temporality: Temporality::Cumulative, monotonic: true, .. } => Some(MetricType::Counter),
            MetricData::Sum { temporality: Temporality::Cumulative, monotonic: false, .. } => Some(MetricType::Gauge),
            MetricData::Histogram { temporality: Temporality::Cumulative, .. }
            | MetricData::ExponentialHistogram { temporality: Temporality::Cumulative, .. } => {
                Some(MetricType::Histogram)
            }
            _ => None,
        }
    }
}

/// Metrics that share a name on the page.
pub(super) struct Family<'a> {
    /// The name in the metadata.
    pub(super) name: String,
    /// The name of the samples, without a histogram's suffixes.
    pub(super) sample: String,
    pub(super) metric_type: MetricType,
    pub(super) help: &'a str,
    /// The unit, or empty if the name does not end with it.
    pub(super) unit: String,
    pub(super) parts: Vec<Part<'a>>,
}

/// A metric of a family, with the index of its scope.
pub(super) struct Part<'a> {
    pub(super) scope: usize,
    pub(super) data: &'a MetricData,
}

/// Returns the two names of the metric that carries the resource attributes: its name in the metadata and its sample
/// name.
pub(super) fn target_names(format: Format) -> (String, String) {
    let sample = escape("target_info", format.escaping(), NameKind::Metric).into_owned();
    // Only OpenMetrics has the type `info`. Its metadata omits the suffix.
    let name = sample.strip_suffix("_info").filter(|_| format.is_open_metrics()).unwrap_or(&sample).to_owned();
    (name, sample)
}

/// Returns the families of a collection, in the order of their first metrics.
pub(super) fn families<'a>(
    scopes: &'a [ScopeMetrics],
    strategy: TranslationStrategy,
    format: Format,
    target_info: bool,
) -> Vec<Family<'a>> {
    let mut families: Vec<Family<'a>> = Vec::new();
    // All names that metadata or samples use or may use, each with the index of its family.
    let mut taken: HashMap<String, usize> = HashMap::new();
    if target_info {
        let (name, sample) = target_names(format);
        taken.extend([(name, usize::MAX), (sample, usize::MAX)]);
    }
    for (scope, metrics) in scopes.iter().enumerate() {
        for metric in metrics.metrics.iter().filter(|metric| !metric.data.is_empty()) {
            let Some(metric_type) = MetricType::for_data(&metric.data) else {
                warn("prometheus.temporality", &metric.name, "its temporality is not cumulative");
                continue;
            };
            let is_counter = metric_type == MetricType::Counter;
            let Some((full, unit)) = strategy.metric(&metric.name, &metric.unit, is_counter, format.escaping()) else {
                warn("prometheus.name", &metric.name, "it has no name");
                continue;
            };
            let (name, sample) = names(full, is_counter, format);
            let part = Part { scope, data: &metric.data };
            match taken.get(&name).and_then(|&index| families.get_mut(index)) {
                Some(family) if family.metric_type == metric_type && family.name == name => {
                    merge_metadata(family, &metric.description, &metric.name);
                    family.parts.push(part);
                    continue;
                }
                _ => {}
            }
            // spec: conflicting types: the metric must be dropped. The same applies if its samples would have
            // another family's name.
            let suffixes = metric_type.suffixes(format);
            if suffixes.iter().any(|suffix| taken.contains_key(&format!("{name}{suffix}"))) {
                warn("prometheus.conflict", &metric.name, "a metric of another type has its name");
                continue;
            }
            for suffix in suffixes {
                taken.insert(format!("{name}{suffix}"), families.len());
            }
            let has_unit = !unit.is_empty() && name.strip_suffix(&*unit).is_some_and(|rest| rest.ends_with('_'));
            let unit = if has_unit { unit } else { String::new() };
            families.push(Family { name, sample, metric_type, help: &metric.description, unit, parts: vec![part] });
        }
    }
    families
}

/// Returns the two names of a family: its name in the metadata and its sample name.
///
/// spec: OpenMetrics.md#counter-1: counter samples end with `_total`, but their families do not.
fn names(full: String, is_counter: bool, format: Format) -> (String, String) {
    if !is_counter || !format.is_open_metrics() {
        return (full.clone(), full);
    }
    let base = full.strip_suffix(TOTAL).filter(|base| !base.is_empty()).unwrap_or(&full).to_owned();
    let sample = format!("{base}{TOTAL}");
    (base, sample)
}

/// spec: conflicting HELP: keep the points and write one comment
fn merge_metadata<'a>(family: &mut Family<'a>, help: &'a str, name: &str) {
    if family.help.is_empty() {
        family.help = help;
    } else if !help.is_empty() && help != family.help {
        diag::log(
            Level::Warn,
            "prometheus.help",
            format_args!("the metric {name:?} has several descriptions; the page shows the first"),
        );
    }
}

fn warn(topic: &'static str, name: &str, why: &str) {
    diag::log(Level::Warn, topic, format_args!("the metric {name:?} is not shown to Prometheus: {why}"));
}
