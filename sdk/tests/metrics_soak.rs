//! Threads record while two readers collect. No measurement is lost or counted twice, and no histogram is torn.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test of several threads")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use telemark_sdk::metrics::{
    Aggregation, MetricData, Number, PullReader, ReaderConfig, ScopeMetrics, SdkMeterProvider, TemporalityPreference,
    View,
};
use telemark_sdk::time::Deadline;

/// More threads than a series has cells on a small machine, so that some threads share cells.
const THREADS: u64 = 9;
const ROUNDS: u64 = 7_000;
const SERIES: u64 = 7;

/// Creates enough series to use up those that have one cell per thread; in all later series, threads share a cell.
/// Returns the number of series created.
fn fill(meter: &Meter) -> usize {
    let (counter, float) = (meter.u64_counter("counter").build(), meter.f64_counter("float").build());
    let (updown, histogram) = (meter.i64_up_down_counter("updown").build(), meter.f64_histogram("histogram").build());
    let exponential = meter.f64_histogram("exponential").build();
    for filler in 0..1024 {
        let attributes = [KeyValue::new("filler", filler)];
        counter.add(1, &attributes);
        float.add(1.0, &attributes);
        updown.add(1, &attributes);
        histogram.record(1.0, &attributes);
        exponential.record(1.0, &attributes);
    }
    5 * 1024
}

fn record(meter: &Meter, thread: u64) {
    let (counter, float) = (meter.u64_counter("counter").build(), meter.f64_counter("float").build());
    let (updown, histogram) = (meter.i64_up_down_counter("updown").build(), meter.f64_histogram("histogram").build());
    let exponential = meter.f64_histogram("exponential").build();
    let bound = counter.bind(&[KeyValue::new("bound", true)]);
    let bound_histogram = histogram.bind(&[KeyValue::new("bound", true)]);
    for round in 0..ROUNDS {
        let attributes = [KeyValue::new("series", (round % SERIES) as i64), KeyValue::new("x", "y")];
        counter.add(1, &attributes);
        float.add(1.0, &attributes);
        updown.add(if round % 2 == 0 { 3 } else { -2 }, &attributes);
        // All measurements of a series are equal, so the sum can be checked against the count.
        histogram.record((round % SERIES) as f64 + 1.0, &attributes);
        exponential.record((round % SERIES) as f64 + 1.0, &attributes);
        bound.add(1);
        bound_histogram.record(1.0);
        if round % 1000 == thread {
            std::thread::yield_now();
        }
    }
}

/// For each series, by name: the sum of its deltas, or its latest total.
#[derive(Default)]
struct Seen {
    totals: HashMap<String, f64>,
    is_delta: bool,
}

impl Seen {
    fn add(&mut self, name: &str, attributes: &[KeyValue], value: f64, always_total: bool) {
        let total = self.totals.entry(format!("{name}{attributes:?}")).or_default();
        if self.is_delta && !always_total {
            *total += value;
        } else {
            assert!(always_total || *total <= value, "a total fell");
            *total = value;
        }
    }

    fn take(&mut self, scopes: &[ScopeMetrics]) {
        for metric in scopes.iter().flat_map(|scope| &scope.metrics) {
            match &metric.data {
                MetricData::Sum { points, monotonic, .. } => {
                    for point in points {
                        let value = match point.value {
                            Number::I64(value) => value as f64,
                            Number::U64(value) => value as f64,
                            Number::F64(value) => value,
                        };
                        self.add(&metric.name, &point.attributes, value, !monotonic);
                    }
                }
                MetricData::Histogram { points, .. } => {
                    for point in points {
                        let each = point.max.unwrap();
                        assert_eq!(point.min, Some(each));
                        assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
                        assert_eq!(point.sum, Some(each * point.count as f64), "a torn histogram");
                        self.add(&metric.name, &point.attributes, point.count as f64, false);
                    }
                }
                MetricData::ExponentialHistogram { points, .. } => {
                    for point in points {
                        assert_eq!(point.count, point.positive.total());
                        assert_eq!(point.sum, Some(point.max.unwrap() * point.count as f64), "a torn histogram");
                        self.add(&metric.name, &point.attributes, point.count as f64, false);
                    }
                }
                other => unreachable!("{other:?}"),
            }
        }
    }
}

#[test]
fn nothing_is_lost_and_nothing_counted_twice() {
    soak(|_| 0);
}

#[test]
fn nor_where_threads_share_the_cells_of_many_series() {
    soak(fill);
}

fn soak(fill: impl Fn(&Meter) -> usize) {
    let readers = [TemporalityPreference::Cumulative, TemporalityPreference::Delta]
        .map(|preference| (preference, PullReader::new(ReaderConfig::new().with_temporality(preference))));
    let provider = readers
        .iter()
        .fold(SdkMeterProvider::builder(), |builder, (_, reader)| builder.with_reader(reader.clone()))
        .with_view(View::of("exponential").with_aggregation(Aggregation::exponential()))
        .build();
    let fillers = fill(&provider.meter("soak"));
    let done = AtomicBool::new(false);
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let collectors: Vec<_> = readers
            .iter()
            .map(|(preference, reader)| {
                let done = &done;
                scope.spawn(move || {
                    let is_delta = *preference == TemporalityPreference::Delta;
                    let mut seen = Seen { is_delta, ..Seen::default() };
                    loop {
                        let last = done.load(Ordering::Acquire);
                        seen.take(&reader.collect(Deadline::NEVER).unwrap());
                        if last {
                            return seen;
                        }
                    }
                })
            })
            .collect();
        let recorders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let meter = provider.meter("soak");
                scope.spawn(move || record(&meter, thread))
            })
            .collect();
        recorders.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Release);
        collectors.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let all = (THREADS * ROUNDS) as f64;
    for seen in seen {
        let total = |name: &str, bound: bool| -> f64 {
            let of = |key: &&String| {
                key.starts_with(&format!("{name}[")) && key.contains("bound") == bound && !key.contains("filler")
            };
            seen.totals.iter().filter(|(key, _)| of(key)).map(|(_, value)| value).sum()
        };
        for name in ["counter", "float", "histogram", "exponential"] {
            assert_eq!(total(name, false), all, "{name}");
        }
        assert_eq!(total("counter", true), all);
        assert_eq!(total("histogram", true), all);
        assert_eq!(total("updown", false), all / 2.0);
        assert_eq!(seen.totals.len(), fillers + 5 * SERIES as usize + 2);
    }
}
