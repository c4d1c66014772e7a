//! The attributes of a measurement: pairs of a key and a typed value, collected without allocating.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::{KeyValue, StringValue, Value};

use crate::value::ToValue;

/// The attributes of a measurement: nothing, a pair, a tuple of up to eight pairs, an array of pairs, or [`KeyValue`]s.
///
/// ```
/// # use telemark_sdk::instrument::statics::Counter;
/// # use opentelemetry::KeyValue;
/// static ORDERS: Counter<u64> = Counter::new("orders");
///
/// ORDERS.add(1, ());
/// ORDERS.add(1, ("kind", "web"));
/// ORDERS.add(1, (("kind", "web"), ("items", 3), ("voucher", None::<String>)));
/// ORDERS.add(1, [("kind", "web"), ("country", "no")]);
/// ORDERS.add(1, &[KeyValue::new("kind", "web")]);
/// ```
///
/// Each combination of values creates a series, so keep their number small.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the attributes of a measurement",
    label = "neither `()`, a pair, a tuple or array of pairs, nor `&[KeyValue]`",
    note = "write `(\"key\", value)` or `((\"key\", value), (\"other.key\", value))`; a value is a bool, a number, a \
            `&'static str`, a `String`, an `Arc<str>` or an `Option` of one of these"
)]
pub trait Attributes {
    /// Passes the attributes to `record`. Called on the thread that records, and only if there is an instrument to
    /// record to.
    fn show(self, record: impl FnOnce(&[KeyValue]));
}

/// The value of a measurement's attribute.
///
/// A `&'static str` is not copied. Pass text created at run time as a `String`, which makes the allocation explicit,
/// or as an `Arc<str>`, which avoids it. Implement this trait for your own enums:
///
/// ```
/// use opentelemetry::Value;
/// use telemark_sdk::instrument::statics::AttributeValue;
///
/// enum Kind { Web, App }
///
/// impl AttributeValue for Kind {
///     fn into_value(self) -> Option<Value> {
///         Some(match self { Kind::Web => "web", Kind::App => "app" }.into())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an attribute of a measurement",
    label = "not a bool, a number, a `&'static str`, a `String`, an `Arc<str>` or an `Option` of one of these"
)]
pub trait AttributeValue {
    /// Returns the value, or `None` to omit the attribute.
    fn into_value(self) -> Option<Value>;
}

macro_rules! as_on_spans {
    ($($type:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl AttributeValue for $type {
            #[inline]
            fn into_value(self) -> Option<Value> {
                self.to_value()
            }
        }
    )*};
}

macro_rules! text {
    ($($type:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl AttributeValue for $type {
            #[inline]
            fn into_value(self) -> Option<Value> {
                Some(Value::String(StringValue::from(self)))
            }
        }
    )*};
}

as_on_spans!(bool i8 i16 i32 i64 u8 u16 u32 isize usize u64 f32 f64);
text!(&'static str String Cow<'static, str> Arc<str>);

#[diagnostic::do_not_recommend]
impl AttributeValue for Value {
    fn into_value(self) -> Option<Value> {
        Some(self)
    }
}

#[diagnostic::do_not_recommend]
impl<V: AttributeValue> AttributeValue for Option<V> {
    #[inline]
    fn into_value(self) -> Option<Value> {
        self.and_then(V::into_value)
    }
}

#[diagnostic::do_not_recommend]
impl Attributes for () {
    #[inline]
    fn show(self, record: impl FnOnce(&[KeyValue])) {
        record(&[]);
    }
}

#[diagnostic::do_not_recommend]
impl Attributes for &[KeyValue] {
    #[inline]
    fn show(self, record: impl FnOnce(&[KeyValue])) {
        record(self);
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize> Attributes for &[KeyValue; N] {
    #[inline]
    fn show(self, record: impl FnOnce(&[KeyValue])) {
        record(self);
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize> Attributes for [KeyValue; N] {
    #[inline]
    fn show(self, record: impl FnOnce(&[KeyValue])) {
        record(&self);
    }
}

#[diagnostic::do_not_recommend]
impl<V: AttributeValue, const N: usize> Attributes for [(&'static str, V); N] {
    #[inline]
    fn show(self, record: impl FnOnce(&[KeyValue])) {
        let mut list = List::<N>::new();
        for (key, value) in self {
            list.push(key, value);
        }
        record(list.as_slice());
    }
}

#[diagnostic::do_not_recommend]
impl<V: AttributeValue> Attributes for (&'static str, V) {
    #[inline]
    fn show(self, record: impl FnOnce(&[KeyValue])) {
        [self].show(record);
    }
}

macro_rules! tuples {
    ($($count:literal: $($value:ident)*;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($value: AttributeValue),*> Attributes for ($((&'static str, $value),)*) {
            #[inline]
            #[allow(non_snake_case, reason = "a variable for each type")]
            fn show(self, record: impl FnOnce(&[KeyValue])) {
                let ($($value,)*) = self;
                let mut list = List::<$count>::new();
                $(list.push($value.0, $value.1);)*
                record(list.as_slice());
            }
        }
    )*};
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
}

/// Attributes stored on the stack.
struct List<const N: usize> {
    attributes: [KeyValue; N],
    len: usize,
}

impl<const N: usize> List<N> {
    #[inline]
    fn new() -> Self {
        List { attributes: std::array::from_fn(|_| KeyValue::new("", false)), len: 0 }
    }

    /// Adds an attribute. Must not be called more than `N` times.
    #[inline]
    fn push(&mut self, key: &'static str, value: impl AttributeValue) {
        if let (Some(value), Some(place)) = (value.into_value(), self.attributes.get_mut(self.len)) {
            *place = KeyValue::new(key, value);
            self.len += 1;
        }
    }

    #[inline]
    fn as_slice(&self) -> &[KeyValue] {
        &self.attributes[..self.len]
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attributes: impl Attributes, expected: &str) {
        let mut text = None;
        attributes.show(|list| {
            let list: Vec<_> = list.iter().map(|one| format!("{}={:?}", one.key, one.value)).collect();
            text = Some(list.join(" "));
        });
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn attributes_can_be_written_in_every_form() {
        check((), "");
        check(("a", 1), "a=I64(1)");
        check((("a", true),), "a=Bool(true)");
        check((("a", "x"), ("b", 0.5)), r#"a=String(Static("x")) b=F64(0.5)"#);
        check([("a", 1), ("b", 2)], "a=I64(1) b=I64(2)");
        check([KeyValue::new("a", 1)], "a=I64(1)");
        check(&[KeyValue::new("a", 1)], "a=I64(1)");
        check(&vec![KeyValue::new("a", 1)][..], "a=I64(1)");
        check(
            (("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("f", 6), ("g", 7), ("h", 8)),
            "a=I64(1) b=I64(2) c=I64(3) d=I64(4) e=I64(5) f=I64(6) g=I64(7) h=I64(8)",
        );
    }

    #[test]
    fn values_keep_their_types_and_none_is_no_attribute() {
        check(("a", String::from("x")), r#"a=String(Owned("x"))"#);
        check(("a", Arc::<str>::from("x")), r#"a=String(RefCounted("x"))"#);
        check(("a", Cow::Borrowed("x")), r#"a=String(Static("x"))"#);
        check(("a", u64::MAX), r#"a=String(Owned("18446744073709551615"))"#);
        check((("a", None::<bool>), ("b", Some(7u8))), "b=I64(7)");
        check(("a", Value::F64(1.0)), "a=F64(1.0)");
    }
}
