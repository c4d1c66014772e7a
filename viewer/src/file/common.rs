//! The JSON of values, attributes, resources and scopes.

use serde_json::{Map, Value as Json, json};

use crate::model::{Attribute, Resource, Scope, SpanId, TraceId, Value};

/// A JSON object whose fields are left out if they have the default of their type.
#[derive(Default)]
pub(super) struct Object(pub(super) Map<String, Json>);

impl Object {
    pub(super) fn put(&mut self, name: &str, value: Json) {
        self.0.insert(name.to_owned(), value);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.put(name, text.into());
        }
    }

    /// Puts a 64-bit number as text, because readers of JSON may round numbers.
    pub(super) fn large(&mut self, name: &str, number: u64) {
        if number != 0 {
            self.put(name, number.to_string().into());
        }
    }

    pub(super) fn small(&mut self, name: &str, number: u32) {
        if number != 0 {
            self.put(name, number.into());
        }
    }

    pub(super) fn trace_id(&mut self, name: &str, id: TraceId) {
        if id.0 != 0 {
            self.put(name, id.to_string().into());
        }
    }

    pub(super) fn span_id(&mut self, name: &str, id: SpanId) {
        if id.0 != 0 {
            self.put(name, id.to_string().into());
        }
    }

    pub(super) fn list(&mut self, name: &str, list: impl Iterator<Item = Json>) {
        let list: Vec<_> = list.collect();
        if !list.is_empty() {
            self.put(name, Json::Array(list));
        }
    }

    pub(super) fn attributes(&mut self, name: &str, attributes: &[Attribute]) {
        self.list(name, attributes.iter().map(attribute));
    }

    pub(super) fn into_json(self) -> Json {
        Json::Object(self.0)
    }
}

fn attribute(attribute: &Attribute) -> Json {
    json!({"key": &*attribute.key, "value": value(&attribute.value)})
}

/// Returns an `AnyValue`.
pub(super) fn value(value: &Value) -> Json {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({"boolValue": value}),
        Value::Int(value) => json!({"intValue": value.to_string()}),
        Value::Double(value) => json!({"doubleValue": double(*value)}),
        Value::String(text) => json!({"stringValue": &**text}),
        Value::Bytes(bytes) => json!({"bytesValue": base64(bytes)}),
        Value::Array(values) => {
            json!({"arrayValue": {"values": values.iter().map(self::value).collect::<Vec<_>>()}})
        }
        Value::Map(entries) => {
            json!({"kvlistValue": {"values": entries.iter().map(attribute).collect::<Vec<_>>()}})
        }
    }
}

/// Returns a float, as text if JSON lacks its value.
pub(super) fn double(value: f64) -> Json {
    match value {
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        value if value.is_nan() => "NaN".into(),
        value => value.into(),
    }
}

pub(super) fn resource(resource: &Resource) -> Json {
    let mut object = Object::default();
    object.attributes("attributes", &resource.attributes);
    object.into_json()
}

pub(super) fn scope(scope: &Scope) -> Json {
    let mut object = Object::default();
    object.text("name", &scope.name);
    object.text("version", &scope.version);
    object.attributes("attributes", &scope.attributes);
    object.into_json()
}

fn base64(bytes: &[u8]) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let symbol = SYMBOLS.get((bits >> (18 - 6 * position) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if position > chunk.len() { '=' } else { symbol.into() });
        }
    }
    out
}
