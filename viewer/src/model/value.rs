//! Attribute values, and the shared text of which names and values consist.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Shared text. Names and keys come from the [`Interner`](super::Interner), so each is held once.
pub type Text = Arc<str>;

/// The value of an attribute, or the body of a log record.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    String(Text),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A list of values.
    Array(Box<[Value]>),
    /// A list of named values.
    Map(Box<[Attribute]>),
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// The name.
    pub key: Text,
    /// The value.
    pub value: Value,
}

/// Compares numbers by their bits, so that a value that contains NaN equals itself, and a set finds it again.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Value::Null => {}
            Value::Bool(value) => value.hash(state),
            Value::Int(value) => value.hash(state),
            Value::Double(value) => value.to_bits().hash(state),
            Value::String(value) => value.hash(state),
            Value::Bytes(value) => value.hash(state),
            Value::Array(value) => value.hash(state),
            Value::Map(value) => value.hash(state),
        }
    }
}
