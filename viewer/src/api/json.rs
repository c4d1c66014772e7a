//! Values, attributes and times as JSON.

use serde_json::{Map, Value as Json, json};

use crate::model::cut::is_cut;
use crate::model::{Attribute, Kind, Value};
use crate::query::text_of;

/// The largest integer that JavaScript represents exactly.
const MAX_EXACT: u64 = 1 << 53;

/// The maximum size of the rows of a response in bytes. With all else, a response has less than 4 MiB.
const MAX_ROWS: usize = 3 << 20;

/// Returns the first rows of a list, as many as fit into a response, but at least one. Pages ask for the others when they are needed.
pub(crate) fn rows(rows: impl Iterator<Item = Json>) -> Vec<Json> {
    let mut room = MAX_ROWS;
    let mut fitting = Vec::new();
    for row in rows {
        let size = length(&row);
        if size > room && !fitting.is_empty() {
            break;
        }
        room = room.saturating_sub(size);
        fitting.push(row);
    }
    fitting
}

/// Returns the number of bytes of JSON text.
fn length(json: &Json) -> usize {
    struct Counter(usize);

    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    // The comma counts.
    let mut counter = Counter(1);
    match serde_json::to_writer(&mut counter, json) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

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
