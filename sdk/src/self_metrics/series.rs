//! The `telemark.sdk.metric.*` metrics: how many series each metric has, and which attributes make them many.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::{Key, KeyValue};

use super::words::signed;
use crate::metrics::{MetricSeries, Observable, Observer, SELF_METRICS_SCOPE, SdkMeter, SeriesSource};

/// Numbers of distinct values below this are not shown.
const FEW: u64 = 32;

/// The series of all metrics, reader by reader.
pub(super) struct SeriesInstruments {
    readers: Vec<(SeriesSource, [KeyValue; 2])>,
    series: Observable<i64>,
    limit: Observable<i64>,
    expired: Observable<u64>,
    values: Observable<u64>,
}

/// The series of the metrics with one name, of all scopes.
#[derive(Default)]
struct OfName {
    series: usize,
    limit: usize,
    expired: u64,
    values: BTreeMap<Key, u64>,
}

impl SeriesInstruments {
    pub(super) fn new(meter: &SdkMeter, readers: Vec<(SeriesSource, [KeyValue; 2])>) -> Self {
        let current = |name, description| {
            let counter = meter.observable_up_down_counter(name).with_unit("{series}");
            counter.with_description(description).build()
        };
        let expired = meter.observable_counter("telemark.sdk.metric.series.expired").with_unit("{series}");
        let values = meter.observable_gauge("telemark.sdk.metric.attribute.values").with_unit("{value}");
        SeriesInstruments {
            readers,
            series: current("telemark.sdk.metric.series", "The number of series of a metric."),
            limit: current("telemark.sdk.metric.series.limit", "The maximum number of series of a metric."),
            expired: expired
                .with_description("The number of series that expired because nothing was recorded.")
                .build(),
            values: values.with_description("The estimated number of distinct values of an attribute.").build(),
        }
    }

    pub(super) fn observe(&self, observer: &Observer) {
        for (source, reader) in &self.readers {
            let mut names: BTreeMap<Arc<str>, OfName> = BTreeMap::new();
            for MetricSeries { scope, name, cardinality, limit, expired } in source.all() {
                // The series of these metrics follow from those of the others.
                if &*scope == SELF_METRICS_SCOPE || (cardinality.series == 0 && expired == 0) {
                    continue;
                }
                let of_name = names.entry(name).or_default();
                of_name.series += cardinality.series;
                of_name.limit += limit;
                of_name.expired += expired;
                for (key, count) in cardinality.values.into_iter().filter(|(_, count)| *count >= FEW) {
                    let most = of_name.values.entry(key).or_default();
                    *most = count.max(*most);
                }
            }
            for (name, of_name) in names {
                self.observe_metric(observer, reader, name, of_name);
            }
        }
    }

    fn observe_metric(&self, observer: &Observer, reader: &[KeyValue; 2], name: Arc<str>, of_name: OfName) {
        let [component, kind] = reader;
        let mut attributes = vec![component.clone(), kind.clone(), KeyValue::new("telemark.metric.name", name)];
        observer.observe(&self.series, signed(of_name.series as u64), &attributes);
        observer.observe(&self.limit, signed(of_name.limit as u64), &attributes);
        if of_name.expired > 0 {
            observer.observe(&self.expired, of_name.expired, &attributes);
        }
        for (key, count) in of_name.values {
            attributes.truncate(3);
            attributes.push(KeyValue::new("telemark.attribute.key", key.as_str().to_owned()));
            observer.observe(&self.values, count, &attributes);
        }
    }
}
