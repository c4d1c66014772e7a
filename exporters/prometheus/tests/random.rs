//! Pages of random collections must follow the grammar and the rules, and must contain everything that can be
//! shown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, TraceId};
use proptest::prelude::*;
use support::random::{format, renderer, resource, scopes};
use support::{checker, page};
use telemark_prometheus::Renderer;
use telemark_sdk::metrics::{
    Attributes, Exemplar, HistogramPoint, Metric, MetricData, Number, ScopeMetrics, Temporality,
};
use telemark_sdk::time::Timestamp;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_page_can_be_read(
        renderer in renderer(), format in format(), resource in resource(), scopes in scopes()
    ) {
        let page = page(&renderer, format, &resource, &scopes);
        if let Err(problem) = checker::check(format, &page) {
            prop_assert!(false, "{problem}\n{page}");
        }
    }
}

/// Returns the metrics with distinct names, reduced to what a page can show.
fn distinct(scopes: Vec<ScopeMetrics>) -> Vec<Metric> {
    let metrics = scopes.into_iter().flat_map(|scope| scope.metrics).enumerate();
    metrics
        .map(|(index, mut metric)| {
            metric.name = format!("metric{index}x").into();
            metric.unit = "".into();
            // The added key keeps the series distinct.
            let own = |point: usize| {
                support::attributes(&[]).iter().cloned().chain([KeyValue::new("n", point as i64)]).collect()
            };
            match &mut metric.data {
                MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
                    points.iter_mut().enumerate().for_each(|(n, p)| p.attributes = own(n))
                }
                MetricData::Histogram { points, temporality } => {
                    *temporality = Temporality::Cumulative;
                    points.iter_mut().enumerate().for_each(|(n, p)| p.attributes = own(n));
                    points.retain(|point| point.bounds.iter().all(|bound| bound.is_finite()));
                }
                MetricData::ExponentialHistogram { points, temporality } => {
                    *temporality = Temporality::Cumulative;
                    points.iter_mut().enumerate().for_each(|(n, p)| p.attributes = own(n));
                }
                _ => {}
            }
            if let MetricData::Sum { temporality, .. } = &mut metric.data {
                *temporality = Temporality::Cumulative;
            }
            metric
        })
        .filter(|metric| !metric.data.is_empty())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_is_on_the_page(scopes in scopes()) {
        let metrics = distinct(scopes);
        let scope = support::scope("s", metrics.clone());
        let renderer = Renderer::new().without_scope_labels();
        let page = page(&renderer, support::TEXT, &telemark_sdk::Resource::empty(), &[scope]);
        let families = checker::check(support::TEXT, &page).unwrap();
        prop_assert_eq!(families.len(), metrics.len());
        for (metric, family) in metrics.iter().zip(&families) {
            prop_assert_eq!(&family.help, &*metric.description);
            let counts = |family: &checker::Family| family.samples.iter().filter(|s| s.name.ends_with("_count")).map(|s| s.value).collect::<Vec<_>>();
            match &metric.data {
                MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
                    for (point, sample) in points.iter().zip(&family.samples) {
                        let (expected, actual) = (point.value.as_f64(), sample.value);
                        prop_assert!(actual == expected || actual.is_nan() && expected.is_nan(), "{actual} {expected}");
                    }
                    prop_assert_eq!(points.len(), family.samples.len());
                }
                MetricData::Histogram { points, .. } => {
                    prop_assert_eq!(counts(family), points.iter().map(|p| p.count as f64).collect::<Vec<_>>());
                }
                MetricData::ExponentialHistogram { points, .. } => {
                    prop_assert_eq!(counts(family), points.iter().map(|p| p.count as f64).collect::<Vec<_>>());
                }
                _ => {}
            }
        }
    }
}

/// Returns a histogram's lines, formatting each line separately.
fn written_plainly(point: &HistogramPoint) -> String {
    let labels: String = point.attributes.iter().map(|label| format!("{}=\"{}\",", label.key, label.value)).collect();
    let mut page = "# TYPE h histogram\n".to_owned();
    let (mut total, mut below) = (0, f64::NEG_INFINITY);
    for (bucket, &count) in point.bucket_counts.iter().enumerate() {
        let bound = point.bounds.get(bucket).copied().unwrap_or(f64::INFINITY);
        total += count;
        page += &format!("h_bucket{{{labels}le=\"{}\"}} {total}", checker::canonical(bound));
        let in_bucket = |exemplar: &&Exemplar| (below..=bound).contains(&exemplar.value.as_f64());
        let not_below = |exemplar: &&Exemplar| exemplar.value.as_f64() != below;
        if let Some(latest) = point.exemplars.iter().filter(in_bucket).filter(not_below).max_by_key(|e| e.time) {
            let filtered = latest.filtered_attributes.iter().map(|label| format!("{}=\"{}\"", label.key, label.value));
            let span = [format!("trace_id=\"{}\"", latest.trace_id), format!("span_id=\"{}\"", latest.span_id)];
            let span = span.into_iter().filter(|_| latest.span_id != SpanId::INVALID);
            let labels = span.chain(filtered).collect::<Vec<_>>().join(",");
            let nanos = latest.time.as_nanos();
            let time = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            let time = time.trim_end_matches('0').trim_end_matches('.');
            page += &format!(" # {{{labels}}} {} {time}", plain_number(latest.value));
        }
        page += "\n";
        below = bound;
    }
    let labels = labels.trim_end_matches(',');
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    if let Some(sum) = point.sum {
        page += &format!("h_sum{labels} {}\nh_count{labels} {total}\n", plain_number(Number::F64(sum)));
    }
    page + "# EOF\n"
}

fn plain_number(number: Number) -> String {
    match number {
        Number::F64(value) if value != 0.0 && !(1e-5..1e16).contains(&value) => format!("{value:e}"),
        Number::F64(value) if value.fract() == 0.0 => format!("{value}.0"),
        number => number.to_string(),
    }
}

/// Generates durations, usually one per bucket, some with spans.
fn durations() -> impl Strategy<Value = HistogramPoint> {
    let bounds = prop::collection::btree_set(0u32..100_000, 0..20)
        .prop_map(|bounds| bounds.into_iter().map(|milliseconds| f64::from(milliseconds) / 1e3).collect::<Vec<_>>());
    let value = (0u64..1_000_000_000_000, 0u32..30, 0u64..5).prop_map(|(nanos, shift, kind)| match kind {
        0 => Number::U64(nanos >> shift),
        1 => Number::F64((nanos >> shift) as f64),
        _ => Number::F64((nanos >> shift) as f64 / 1e9),
    });
    let time = (any::<u64>(), prop_oneof![Just(1), Just(1_000_000), Just(1_000_000_000)], 0u32..64)
        .prop_map(|(nanos, unit, shift)| (nanos >> shift) / unit * unit);
    let span = prop::option::weighted(0.9, (1u128.., 1u64..));
    let exemplar = (value, time, span, any::<bool>()).prop_map(|(value, time, span, filtered)| {
        let exemplar = Exemplar::new(value, Timestamp::from_nanos(time));
        let exemplar = match span {
            Some((trace, span)) => exemplar.in_span(TraceId::from(trace), SpanId::from(span)),
            None => exemplar,
        };
        if !filtered { exemplar } else { exemplar.with_filtered_attributes(support::attributes(&[("user", "7")])) }
    });
    let route = prop::option::of("[a-z/]{1,300}");
    let counts = prop::collection::vec((any::<u64>(), 5u32..64).prop_map(|(count, shift)| count >> shift), 21);
    let sum = prop::option::of(0.0..1e9);
    (bounds, counts, prop::collection::vec(exemplar, 0..25), any::<bool>(), route, sum).prop_map(
        |(bounds, mut counts, mut exemplars, sorted, route, sum)| {
            counts.truncate(bounds.len() + 1);
            if sorted {
                exemplars.sort_by(|one, other| one.value.as_f64().total_cmp(&other.value.as_f64()));
            }
            let route = route.map(|route| KeyValue::new("route", route));
            let mut point = HistogramPoint::new(Attributes::new(route), bounds, counts);
            (point.exemplars, point.sum) = (exemplars.into(), sum);
            point
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Text that is rendered once and reused must be the same as if each line had been formatted separately.
    #[test]
    fn lines_are_as_if_written_one_by_one(point in durations()) {
        let expected = written_plainly(&point);
        let data = MetricData::Histogram { points: vec![point], temporality: Temporality::Cumulative };
        let scope = support::scope("s", vec![Metric::new("h", data)]);
        let renderer = Renderer::new().without_scope_labels();
        let page = page(&renderer, support::OPEN_METRICS, &telemark_sdk::Resource::empty(), &[scope]);
        prop_assert_eq!(page, expected);
    }
}
