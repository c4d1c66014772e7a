//! Values, attributes and times as JSON.

use serde_json::{Map, Value as Json, json};

use crate::model::cut::is_cut;
use crate::model::{Attribute, Kind, Value};
use crate::query::text_of;

/// The largest integer that JavaScript represents exactly.
const MAX_EXACT: u64 = 1 << 53;

/// Returns a time in microseconds, as lists have it.
pub(crate) fn micros(nanos: u64) -> u64 {
    nanos / 1_000
}

/// Returns a value as JSON. Numbers that JavaScript or JSON cannot represent become text.
pub(crate) fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) if number.unsigned_abs() <= MAX_EXACT => (*number).into(),
        Value::Int(number) => number.to_string().into(),
        Value::Double(number) if number.is_finite() => (*number).into(),
        Value::Double(number) => number.to_string().into(),
        Value::String(text) => (**text).into(),
        Value::Bytes(_) => text_of(value).into_owned().into(),
        Value::Array(values) => values.iter().map(self::value).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| ((*entry.key).to_owned(), self::value(&entry.value)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// Returns attributes as `[key, value, type]`. The type of a value that the store cut ends with `, cut`.
pub(crate) fn attributes(attributes: &[Attribute]) -> Vec<Json> {
    let triples = attributes.iter().map(|attribute| {
        let name = match attribute.value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::Array(_) => "array",
            Value::Map(_) => "map",
        };
        let cut = if is_cut(&attribute.value) { ", cut" } else { "" };
        json!([&*attribute.key, value(&attribute.value), format!("{name}{cut}")])
    });
    triples.collect()
}

/// Returns the name of a span kind.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Internal => "internal",
        Kind::Server => "server",
        Kind::Client => "client",
        Kind::Producer => "producer",
        Kind::Consumer => "consumer",
    }
}
