//! Random attributes, scopes and resources, and their official counterparts.

use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use proptest::prelude::*;
use prost::Message;
use telemark_sdk::Resource;

/// Generates one of a few keys, so that they collide with those of call sites.
pub fn key() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z.]{0,12}", 1 => "\\PC{0,20}", 1 => Just("code.line.number".to_owned()), 1 => "k{100,200}"]
}

pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{0,20}", any::<String>(), "x{100,300}"]
}

pub fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -200i64..200, Just(i64::MIN), Just(i64::MAX)]
}

/// The floating-point numbers to generate. In JSON, the official types write non-finite numbers as strings but cannot read
/// them.
#[derive(Clone, Copy, Debug)]
pub enum Floats {
    All,
    Finite,
}

pub fn float(floats: Floats) -> BoxedStrategy<f64> {
    use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    match floats {
        Floats::All => prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)].boxed(),
        Floats::Finite => prop_oneof![NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE, Just(f64::MAX)].boxed(),
    }
}

pub fn value(floats: Floats) -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        integer().prop_map(Value::I64),
        float(floats).prop_map(Value::F64),
        text().prop_map(Value::from),
        prop::collection::vec(any::<bool>(), 0..70).prop_map(|values| Value::Array(Array::Bool(values))),
        prop::collection::vec(integer(), 0..5).prop_map(|values| Value::Array(Array::I64(values))),
        prop::collection::vec(float(floats), 0..5).prop_map(|values| Value::Array(Array::F64(values))),
        prop::collection::vec(text().prop_map(StringValue::from), 0..5)
            .prop_map(|values| Value::Array(Array::String(values))),
    ]
}

pub fn attributes(floats: Floats) -> impl Strategy<Value = Vec<KeyValue>> {
    prop::collection::vec((key(), value(floats)).prop_map(|(key, value)| KeyValue::new(key, value)), 0..6)
}

pub fn scope() -> impl Strategy<Value = InstrumentationScope> {
    let optional = || prop::option::of("[a-z]{0,2}");
    ("[ab]", optional(), optional(), prop::option::of(0i64..3)).prop_map(|(name, version, url, attribute)| {
        let mut scope = InstrumentationScope::builder(name);
        if let Some(version) = version {
            scope = scope.with_version(version);
        }
        if let Some(url) = url {
            scope = scope.with_schema_url(url);
        }
        scope.with_attributes(attribute.map(|value| KeyValue::new("k", value))).build()
    })
}

pub fn resource(floats: Floats) -> impl Strategy<Value = Resource> {
    (attributes(floats), prop::option::of("[a-z:/]{0,200}"))
        .prop_map(|(attributes, url)| Resource::with_schema_url(attributes, url))
}

pub fn expected_attribute(attribute: &KeyValue) -> common::KeyValue {
    let any = |value| common::AnyValue { value: Some(value) };
    let array = |values| Any::ArrayValue(common::ArrayValue { values });
    let value = match attribute.value.clone() {
        Value::Bool(value) => Any::BoolValue(value),
        Value::I64(value) => Any::IntValue(value),
        Value::F64(value) => Any::DoubleValue(value),
        Value::String(value) => Any::StringValue(value.into()),
        Value::Array(Array::Bool(values)) => array(values.into_iter().map(|v| any(Any::BoolValue(v))).collect()),
        Value::Array(Array::I64(values)) => array(values.into_iter().map(|v| any(Any::IntValue(v))).collect()),
        Value::Array(Array::F64(values)) => array(values.into_iter().map(|v| any(Any::DoubleValue(v))).collect()),
        Value::Array(Array::String(values)) => {
            array(values.into_iter().map(|v| any(Any::StringValue(v.into()))).collect())
        }
        other => panic!("{other:?}"),
    };
    common::KeyValue { key: attribute.key.as_str().to_owned(), value: Some(any(value)), ..Default::default() }
}

pub fn expected_scope(scope: &InstrumentationScope) -> common::InstrumentationScope {
    common::InstrumentationScope {
        name: scope.name().to_owned(),
        version: scope.version().unwrap_or_default().to_owned(),
        attributes: scope.attributes().map(expected_attribute).collect(),
        dropped_attributes_count: 0,
    }
}

pub fn expected_resource(resource: &Resource) -> opentelemetry_proto::tonic::resource::v1::Resource {
    opentelemetry_proto::tonic::resource::v1::Resource {
        attributes: resource.iter().map(expected_attribute).collect(),
        ..Default::default()
    }
}

/// Compares bytes instead of messages, because NaN is not equal to itself.
pub fn same<M: Message + std::fmt::Debug>(actual: &M, expected: &M) -> Result<(), TestCaseError> {
    if actual.encode_to_vec() != expected.encode_to_vec() {
        let (actual, expected) = (format!("{actual:#?}"), format!("{expected:#?}"));
        let differing = actual.lines().zip(expected.lines()).position(|(a, b)| a != b).unwrap_or(usize::MAX);
        let around =
            |text: &str| text.lines().skip(differing.saturating_sub(5)).take(10).collect::<Vec<_>>().join("\n");
        prop_assert!(false, "{}\n instead of\n{}", around(&actual), around(&expected));
    }
    Ok(())
}
