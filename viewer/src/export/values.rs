//! Names, values, attributes, resources and scopes, copied from a batch.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::logs::AnyValue;
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue};

use crate::model::{Attribute, Resource, Scope, Text, Value};
use crate::store::Store;

/// The maximum number of names that are remembered within a batch.
const MAX_NAMES: usize = 1024;

/// Copies parts of a batch. Remembers the names of the batch, so that the store is asked for each of them once.
pub(super) struct Copier<'a> {
    pub(super) store: &'a Store,
    names: HashMap<&'a str, Text>,
    /// Scopes by their address, which is fixed while the batch is borrowed.
    scopes: HashMap<usize, Arc<Scope>>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Copier { store, names: HashMap::new(), scopes: HashMap::new() }
    }

    /// Returns a name, which the store shares.
    pub(super) fn name(&mut self, name: &'a str) -> Text {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let text = self.store.interner().text(name);
        if self.names.len() < MAX_NAMES {
            self.names.insert(name, text.clone());
        }
        text
    }

    pub(super) fn attributes(&mut self, attributes: impl IntoIterator<Item = &'a KeyValue>) -> Box<[Attribute]> {
        let copy = |KeyValue { key, value, .. }: &'a KeyValue| Attribute {
            key: self.name(key.as_str()),
            value: self::value(value),
        };
        attributes.into_iter().map(copy).collect()
    }

    /// Copies the attributes of a log record.
    pub(super) fn entries(&mut self, entries: impl IntoIterator<Item = (&'a Key, &'a AnyValue)>) -> Box<[Attribute]> {
        let entries = entries.into_iter();
        entries.map(|(key, value)| Attribute { key: self.name(key.as_str()), value: self.any(value) }).collect()
    }

    /// Copies a value of a log record. The SDK's limits bound the depth.
    pub(super) fn any(&mut self, value: &'a AnyValue) -> Value {
        match value {
            AnyValue::Int(value) => Value::Int(*value),
            AnyValue::Double(value) => Value::Double(*value),
            AnyValue::String(text) => Value::String(text.as_str().into()),
            AnyValue::Boolean(value) => Value::Bool(*value),
            AnyValue::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
            AnyValue::ListAny(list) => Value::Array(list.iter().map(|element| self.any(element)).collect()),
            AnyValue::Map(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                // The API keeps maps in no order.
                entries.sort_by_key(|(key, _)| key.as_str());
                Value::Map(self.entries(entries))
            }
            // The enum is non-exhaustive. Unknown values are shown as text.
            other => Value::String(format!("{other:?}").into()),
        }
    }

    /// Returns the shared copy of a scope.
    pub(super) fn scope(&mut self, scope: &'a InstrumentationScope) -> Arc<Scope> {
        let address = std::ptr::from_ref(scope) as usize;
        if let Some(known) = self.scopes.get(&address) {
            return known.clone();
        }
        let copy = Scope {
            name: self.name(scope.name()),
            version: self.name(scope.version().unwrap_or_default()),
            attributes: self.attributes(scope.attributes()),
        };
        let copy = self.store.interner().scope(copy);
        self.scopes.insert(address, copy.clone());
        copy
    }

    /// Returns the shared copy of a scope that only has a name.
    pub(super) fn scope_named(&mut self, name: &'a str) -> Arc<Scope> {
        let (name, version) = (self.name(name), self.name(""));
        self.store.interner().scope(Scope { name, version, attributes: Box::default() })
    }
}

/// Returns the shared copy of a resource.
pub(super) fn resource(resource: &telemark_sdk::Resource, store: &Store) -> Arc<Resource> {
    let attributes = Copier::new(store).attributes(resource.iter());
    store.interner().resource(Resource::new(attributes))
}

fn value(value: &opentelemetry::Value) -> Value {
    match value {
        opentelemetry::Value::Bool(value) => Value::Bool(*value),
        opentelemetry::Value::I64(value) => Value::Int(*value),
        opentelemetry::Value::F64(value) => Value::Double(*value),
        opentelemetry::Value::String(text) => Value::String(text.as_str().into()),
        opentelemetry::Value::Array(Array::Bool(list)) => list.iter().map(|value| Value::Bool(*value)).collect(),
        opentelemetry::Value::Array(Array::I64(list)) => list.iter().map(|value| Value::Int(*value)).collect(),
        opentelemetry::Value::Array(Array::F64(list)) => list.iter().map(|value| Value::Double(*value)).collect(),
        opentelemetry::Value::Array(Array::String(list)) => {
            list.iter().map(|text| Value::String(text.as_str().into())).collect()
        }
        // The enums are non-exhaustive. Unknown values are shown as text.
        other => Value::String(other.as_str().into_owned().into()),
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<T: IntoIterator<Item = Value>>(values: T) -> Self {
        Value::Array(values.into_iter().collect())
    }
}
