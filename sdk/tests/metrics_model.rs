//! Compares random measurements and collections with a naive model of the specification.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, StringValue, Value};
use proptest::prelude::*;
use telemark_sdk::metrics::{MetricData, Number, ReaderConfig, TemporalityPreference, View};
use telemark_sdk::testing::TestTelemetry;

const LIMIT: usize = 4;
const BOUNDS: [f64; 3] = [-1.0, 0.0, 10.0];

#[derive(Clone, Debug)]
enum Step {
    /// A value for a series, whose attributes are in one of two orders, and which is recorded with or without a bound
    /// instrument.
    Record {
        series: u8,
        value: i8,
        reversed: bool,
        bound: bool,
    },
    Collect,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0u8..6, any::<i8>(), any::<bool>(), any::<bool>())
        .prop_map(|(series, value, reversed, bound)| Step::Record { series, value, reversed, bound });
    prop::collection::vec(prop_oneof![5 => record, 1 => Just(Step::Collect)], 0..60)
}

/// The measurements of a metric, either since the start or since the last collection, by series.
#[derive(Default)]
struct Model {
    series: BTreeMap<String, Vec<i64>>,
    distinct: Vec<u8>,
}

impl Model {
    fn record(&mut self, series: u8, value: i64) {
        if !self.distinct.contains(&series) && self.distinct.len() < LIMIT {
            self.distinct.push(series);
        }
        let name = match self.distinct.contains(&series) {
            true => format!("{{a={series},b=x}}"),
            false => "{otel.metric.overflow=true}".to_owned(),
        };
        self.series.entry(name).or_default().push(value);
    }

    fn lines(&self, text: impl Fn(&str, &[i64]) -> String) -> Vec<String> {
        self.series.iter().map(|(name, values)| text(name, values)).collect()
    }
}

fn histogram(prefix: &str, name: &str, values: &[i64]) -> String {
    let values: Vec<f64> = values.iter().map(|value| *value as f64).collect();
    let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(min, max), v| (min.min(*v), max.max(*v)));
    let mut text = format!(
        "h{name} {prefix}histogram count={} sum={} min={min} max={max}",
        values.len(),
        values.iter().sum::<f64>()
    );
    let mut below = f64::NEG_INFINITY;
    for bound in BOUNDS.into_iter().chain([f64::INFINITY]) {
        let count = values.iter().filter(|value| **value > below && **value <= bound).count();
        if count > 0 {
            text += &format!(" <={bound}:{count}");
        }
        below = bound;
    }
    text
}

struct Instruments {
    record: Box<dyn Fn(u8, i64, bool)>,
    bound: Vec<Box<dyn Fn(i64)>>,
}

fn attributes(series: u8, reversed: bool) -> [KeyValue; 2] {
    let (a, b) = (KeyValue::new("a", i64::from(series)), KeyValue::new("b", "x"));
    if reversed { [b, a] } else { [a, b] }
}

fn instruments(meter: &Meter) -> Instruments {
    let (counter, updown) = (meter.u64_counter("c").build(), meter.i64_up_down_counter("u").build());
    let histogram = meter.f64_histogram("h").with_boundaries(BOUNDS.to_vec()).build();
    let bound = [0u8, 5].map(|series| -> Box<dyn Fn(i64)> {
        let attributes = attributes(series, false);
        let (c, u, h) = (counter.bind(&attributes), updown.bind(&attributes), histogram.bind(&attributes));
        Box::new(move |value| {
            c.add(value.unsigned_abs());
            u.add(value);
            h.record(value as f64);
        })
    });
    let record = move |series, value: i64, reversed| {
        let attributes = attributes(series, reversed);
        counter.add(value.unsigned_abs(), &attributes);
        updown.add(value, &attributes);
        histogram.record(value as f64, &attributes);
    };
    Instruments { record: Box::new(record), bound: bound.into() }
}

fn check(preference: TemporalityPreference, steps: &[Step], with_bound: bool) {
    let config = ReaderConfig::new().with_temporality(preference);
    let telemetry = TestTelemetry::new()
        .with_metrics(config, |builder| builder.with_view(View::of_all().with_cardinality_limit(LIMIT)));
    let meter = telemetry.meter("test");
    let mut instruments = instruments(&meter);
    if !with_bound {
        // Under cumulative temporality, a series remains even after it has been unbound.
        instruments.bound.clear();
    }
    let is_delta = preference == TemporalityPreference::Delta;
    let (mut model, mut total) = (Model::default(), Model::default());
    // Bound series occupy their slots from the start and keep them.
    let bound: &[u8] = if with_bound || !is_delta { &[0, 5] } else { &[] };
    model.distinct.extend(bound);
    total.distinct.extend([0, 5]);
    for step in steps.iter().chain([&Step::Collect]) {
        match step {
            Step::Record { series, value, reversed, bound } => {
                let value = i64::from(*value);
                match instruments.bound.get(usize::from(*series == 5)) {
                    Some(handle) if *bound && [0, 5].contains(series) => handle(value),
                    _ => (instruments.record)(*series, value, *reversed),
                }
                model.record(*series, value);
                total.record(*series, value);
            }
            Step::Collect => {
                let prefix = if is_delta { "delta " } else { "" };
                let counted = |name: &str, values: &[i64]| {
                    format!("c{name} {prefix}sum {}", values.iter().map(|value| value.unsigned_abs()).sum::<u64>())
                };
                let mut expected = model.lines(counted);
                expected.extend(model.lines(|name, values| histogram(prefix, name, values)));
                // Up-down counters are cumulative under every preference.
                let sum = |name: &str, values: &[i64]| format!("u{name} up-down sum {}", values.iter().sum::<i64>());
                expected.extend(total.lines(sum));
                expected.sort();
                let collected = telemetry.metrics();
                assert_eq!(collected.lines().collect::<Vec<_>>(), expected);
                if is_delta {
                    model = Model::default();
                    model.distinct.extend(bound);
                }
            }
        }
    }
}

/// Generates keys and values that consist of a few letters, in all lengths that are hashed differently, and values
/// that look alike.
fn attribute_set() -> impl Strategy<Value = Vec<KeyValue>> {
    let floats = prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(f64::NAN)];
    let value = prop_oneof![
        "[ab]{0,40}".prop_map(Value::from),
        (-1i64..3).prop_map(Value::from),
        floats.prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop::collection::vec(0i64..2, 0..3).prop_map(|list| Value::Array(list.into())),
        prop::collection::vec("[ab]{0,2}", 0..3)
            .prop_map(|list| Value::Array(list.into_iter().map(StringValue::from).collect::<Vec<_>>().into())),
    ];
    let attribute = ("[ab]{0,1}|[ab]{15,17}|a{31,33}", value).prop_map(|(key, value)| KeyValue::new(key, value));
    prop::collection::vec(attribute, 0..4)
}

/// Returns the canonical form of a set: the last value of each key, without empty keys, and regardless of the order.
/// Zero and negative zero are different values.
fn canonical(set: &[KeyValue]) -> BTreeMap<String, String> {
    let with_key = set.iter().filter(|one| !one.key.as_str().is_empty());
    with_key.map(|one| (one.key.to_string(), format!("{:?}", one.value))).collect()
}

/// Checks that each attribute set has its own series, however often and in whichever order its attributes are
/// recorded.
fn check_sets(sets: &[Vec<KeyValue>], order: &[(prop::sample::Index, bool)]) {
    let telemetry = TestTelemetry::new();
    let counter = telemetry.meter("test").u64_counter("c").build();
    let mut model: BTreeMap<_, u64> = BTreeMap::new();
    for (index, reversed) in order {
        let mut set = index.get(sets).clone();
        // For a duplicate key, the last value counts, so a set with duplicate keys must not be reversed.
        let has_doubles = canonical(&set).len() < set.len();
        if *reversed && !has_doubles {
            set.reverse();
        }
        counter.add(1, &set);
        *model.entry(canonical(&set)).or_default() += 1;
    }
    let mut collected = BTreeMap::new();
    for metric in telemetry.collect().iter().flat_map(|scope| &scope.metrics) {
        let MetricData::Sum { points, .. } = &metric.data else { unreachable!("{metric:?}") };
        for point in points {
            let Number::U64(value) = point.value else { unreachable!("{point:?}") };
            assert!(collected.insert(canonical(&point.attributes), value).is_none(), "twice: {point:?}");
        }
    }
    assert_eq!(collected, model);
}

proptest! {
    #[test]
    fn each_set_of_attributes_is_its_own_series(
        sets in prop::collection::vec(attribute_set(), 1..30),
        order in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..120),
    ) {
        check_sets(&sets, &order);
    }

    #[test]
    fn totals(steps in steps(), with_bound in any::<bool>()) {
        check(TemporalityPreference::Cumulative, &steps, with_bound);
    }

    #[test]
    fn deltas(steps in steps()) {
        check(TemporalityPreference::Delta, &steps, true);
    }
}
