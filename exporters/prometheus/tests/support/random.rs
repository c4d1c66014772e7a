//! Generates random collections.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use proptest::prelude::*;
use telemark_prometheus::{Escaping, Format, Protocol, Renderer, TranslationStrategy};
use telemark_sdk::Resource;
use telemark_sdk::metrics::{
    Attributes, Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint,
    ScopeMetrics, Temporality,
};
use telemark_sdk::time::Timestamp;

/// Generates a small set of names, so that they collide.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab](\\.|_)[ab]",
        2 => "[a-c](_total|_count|_bucket|\\.sum|_created|_info)?",
        1 => "target(_info)?|otel\\.scope\\.name|le|__name__|trace\\.id|[0-9]x",
        1 => "\\PC{0,8}",
        1 => any::<String>(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z]{0,5}", 1 => "[\\\\\"\n,={}# ]{0,6}", 1 => any::<String>(), 1 => "x{60,130}"]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::I64),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<f64>().prop_map(Value::F64),
        1 => prop::collection::vec(text().prop_map(StringValue::from), 0..3).prop_map(|v| Value::Array(Array::String(v))),
        1 => prop::collection::vec(any::<f64>(), 0..3).prop_map(|v| Value::Array(Array::F64(v))),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::vec((name(), value()).prop_map(|(key, value)| KeyValue::new(key, value)), 0..4)
        .prop_map(Attributes::new)
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::I64),
        any::<u64>().prop_map(Number::U64),
        prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), 0.0..100.0].prop_map(Number::F64),
    ]
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let exemplar = (number(), any::<u64>(), attributes(), prop::option::of((1u128.., 1u64..))).prop_map(
        |(value, time, attributes, span)| {
            let exemplar = Exemplar::new(value, Timestamp::from_nanos(time)).with_filtered_attributes(attributes);
            match span {
                Some((trace, span)) => exemplar.in_span(TraceId::from(trace), SpanId::from(span)),
                None => exemplar,
            }
        },
    );
    prop::collection::vec(exemplar, 0..4)
}

fn number_points() -> impl Strategy<Value = Vec<NumberPoint>> {
    let point = (attributes(), number(), exemplars()).prop_map(|(attributes, value, exemplars)| {
        let mut point = NumberPoint::new(attributes, value);
        point.exemplars = exemplars.into();
        point
    });
    prop::collection::vec(point, 0..4).prop_map(|mut points| {
        retain_distinct(&mut points, |point| &point.attributes);
        points
    })
}

/// Keeps only points with distinct attributes.
fn retain_distinct<T>(points: &mut Vec<T>, attributes: impl Fn(&T) -> &Attributes) {
    let mut seen = std::collections::HashSet::new();
    points.retain(|point| seen.insert(format!("{:?}", attributes(point))));
}

fn bounds() -> impl Strategy<Value = Vec<f64>> {
    let bound = prop_oneof![-2i32..100, Just(1_000_000)].prop_map(|bound| f64::from(bound) / 8.0);
    prop_oneof![4 => prop::collection::vec(bound, 0..6), 1 => prop::collection::vec(any::<f64>(), 0..6)].prop_map(
        |mut bounds| {
            bounds.sort_by(f64::total_cmp);
            bounds.dedup();
            bounds
        },
    )
}

fn histograms() -> impl Strategy<Value = Vec<HistogramPoint>> {
    let content = (bounds(), prop::collection::vec(0u64..9, 7), prop::option::of(any::<f64>()));
    let point = (attributes(), content, exemplars()).prop_map(|(attributes, (bounds, mut counts, sum), exemplars)| {
        counts.truncate(bounds.len() + 1);
        let mut point = HistogramPoint::new(attributes, bounds, counts);
        (point.sum, point.exemplars) = (sum, exemplars.into());
        point
    });
    prop::collection::vec(point, 0..3).prop_map(|mut points| {
        retain_distinct(&mut points, |point| &point.attributes);
        points
    })
}

fn exponential() -> impl Strategy<Value = Vec<ExponentialHistogramPoint>> {
    let buckets =
        || (-2000i32..2000, prop::collection::vec(0u64..4, 0..30)).prop_map(|(at, counts)| Buckets::new(at, counts));
    let point = (attributes(), -4i32..10, 0u64..3, buckets(), buckets(), prop::option::of(0.0..9.0), exemplars())
        .prop_map(|(attributes, scale, zeros, positive, negative, sum, exemplars)| {
            let mut point = ExponentialHistogramPoint::new(attributes, scale, zeros, positive, negative);
            (point.sum, point.exemplars) = (sum, exemplars.into());
            point
        });
    prop::collection::vec(point, 0..3).prop_map(|mut points| {
        retain_distinct(&mut points, |point| &point.attributes);
        points
    })
}

fn data() -> impl Strategy<Value = MetricData> {
    let temporality = || prop_oneof![9 => Just(Temporality::Cumulative), 1 => Just(Temporality::Delta)];
    prop_oneof![
        number_points().prop_map(|points| MetricData::Gauge { points }),
        (number_points(), temporality(), any::<bool>()).prop_map(|(points, temporality, monotonic)| MetricData::Sum {
            points,
            temporality,
            monotonic
        }),
        (histograms(), temporality()).prop_map(|(points, temporality)| MetricData::Histogram { points, temporality }),
        (exponential(), temporality())
            .prop_map(|(points, temporality)| MetricData::ExponentialHistogram { points, temporality }),
    ]
}

pub fn scopes() -> impl Strategy<Value = Vec<ScopeMetrics>> {
    let unit = prop_oneof![Just(String::new()), "s|By|1|m/s|\\{x\\}|total|count", "\\PC{0,4}"];
    let metric = (name(), text(), unit, data()).prop_map(|(name, description, unit, data)| {
        Metric::new(name, data).with_description(description).with_unit(unit)
    });
    let scope = (text(), prop::option::of(text()), attributes()).prop_map(|(name, version, attributes)| {
        let scope = InstrumentationScope::builder(name).with_attributes(attributes.iter().cloned());
        match version {
            Some(version) => scope.with_version(version).build(),
            None => scope.build(),
        }
    });
    let scope =
        (scope, prop::collection::vec(metric, 0..6)).prop_map(|(scope, metrics)| ScopeMetrics::new(scope, metrics));
    prop::collection::vec(scope, 0..4)
}

pub fn resource() -> impl Strategy<Value = Resource> {
    attributes().prop_map(|attributes| Resource::new(attributes.iter().cloned()))
}

pub fn renderer() -> impl Strategy<Value = Renderer> {
    let strategy = prop::sample::select(vec![
        TranslationStrategy::UnderscoreEscapingWithSuffixes,
        TranslationStrategy::UnderscoreEscapingWithoutSuffixes,
        TranslationStrategy::NoUtf8EscapingWithSuffixes,
        TranslationStrategy::NoTranslation,
    ]);
    (strategy, any::<[bool; 3]>()).prop_map(|(strategy, [scopes, target, constant])| {
        let mut renderer = Renderer::new().with_translation(strategy);
        if !scopes {
            renderer = renderer.without_scope_labels();
        }
        if !target {
            renderer = renderer.without_target_info();
        }
        if constant { renderer.with_resource_labels(["a.a", "le", "a_b", "a.b"]) } else { renderer }
    })
}

pub fn format() -> impl Strategy<Value = Format> {
    let protocol = prop::sample::select(vec![
        Protocol::Text0_0_4,
        Protocol::Text1_0_0,
        Protocol::OpenMetrics0_0_1,
        Protocol::OpenMetrics1_0_0,
    ]);
    let escaping =
        prop::sample::select(vec![Escaping::Underscores, Escaping::Dots, Escaping::Values, Escaping::AllowUtf8]);
    (protocol, escaping).prop_map(|(protocol, escaping)| Format::new(protocol, escaping))
}
