//! Pages of random collections follow the grammar and the rules, and nothing is lost that can be shown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use proptest::prelude::*;
use support::random::{format, renderer, resource, scopes};
use support::{checker, page};
use telemark_prometheus::Renderer;
use telemark_sdk::metrics::{Metric, MetricData, ScopeMetrics, Temporality};

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

/// The metrics with names that do not meet, and with what a page can show of them.
fn distinct(scopes: Vec<ScopeMetrics>) -> Vec<Metric> {
    let metrics = scopes.into_iter().flat_map(|scope| scope.metrics).enumerate();
    metrics
        .map(|(index, mut metric)| {
            metric.name = format!("metric{index}x").into();
            metric.unit = "".into();
            // Series are told apart by a key of ours.
            let own = |point: usize| {
                support::attributes(&[])
                    .iter()
                    .cloned()
                    .chain([opentelemetry::KeyValue::new("n", point as i64)])
                    .collect()
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
    fn nothing_is_lost(scopes in scopes()) {
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
