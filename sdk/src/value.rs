//! Conversions to attribute values, which take values by reference and preserve their types.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use opentelemetry::{Array, StringValue, Value};

/// A type that can be converted to an attribute value.
///
/// Called on the thread that sets the attribute, and only if the span is recorded. Integers remain integers if they fit in an
/// `i64`, and are otherwise converted to text. `None` sets no attribute.
///
/// spec: common/README.md#attribute
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an attribute",
    label = "not a bool, number, string, or a list of one of these",
    note = "in `#[traced]`, `%` before the value records it with `Display`, `?` with `Debug`, and `ret(Debug)` does so for \
            what is returned; elsewhere, pass `value.to_string()`"
)]
pub trait ToValue {
    /// Returns the value, or `None` if no attribute should be set.
    fn to_value(&self) -> Option<Value>;
}

/// A type whose values can be the elements of a list attribute. All elements of a list have the same type.
#[diagnostic::on_unimplemented(
    message = "a list of `{Self}` cannot be the value of an attribute",
    label = "not a bool, number or string",
    note = "in `#[traced]`, write `key = ?list` to record it with `Debug`"
)]
pub trait Element: Sized {
    /// Converts the list to an attribute array.
    fn to_array(items: &[Self]) -> Array;
}

// `do_not_recommend` is used throughout, because a compiler error that lists all types would hide the note that
// contains the solution.

macro_rules! small_integers {
    ($($type:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl ToValue for $type {
            #[inline]
            fn to_value(&self) -> Option<Value> {
                Some(Value::I64(i64::from(*self)))
            }
        }

        #[diagnostic::do_not_recommend]
        impl Element for $type {
            fn to_array(items: &[Self]) -> Array {
                Array::I64(items.iter().map(|item| i64::from(*item)).collect())
            }
        }
    )*};
}

macro_rules! large_integers {
    ($($type:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl ToValue for $type {
            #[inline]
            fn to_value(&self) -> Option<Value> {
                Some(i64::try_from(*self).map_or_else(|_| self.to_string().into(), Value::I64))
            }
        }

        #[diagnostic::do_not_recommend]
        impl Element for $type {
            fn to_array(items: &[Self]) -> Array {
                let integers: Result<Vec<i64>, _> = items.iter().map(|item| i64::try_from(*item)).collect();
                integers.map_or_else(|_| strings(items, |item| item.to_string().into()), Array::I64)
            }
        }
    )*};
}

macro_rules! floats {
    ($($type:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl ToValue for $type {
            #[inline]
            fn to_value(&self) -> Option<Value> {
                Some(Value::F64(f64::from(*self)))
            }
        }

        #[diagnostic::do_not_recommend]
        impl Element for $type {
            fn to_array(items: &[Self]) -> Array {
                Array::F64(items.iter().map(|item| f64::from(*item)).collect())
            }
        }
    )*};
}

macro_rules! pointers {
    ($($type:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: ToValue + ?Sized> ToValue for $type {
            #[inline]
            fn to_value(&self) -> Option<Value> {
                (**self).to_value()
            }
        }
    )*};
}

small_integers!(i8 i16 i32 i64 u8 u16 u32);
large_integers!(isize usize u64 i128 u128);
floats!(f32 f64);
pointers!(&T &mut T Box<T> Rc<T> Arc<T>);

#[diagnostic::do_not_recommend]
impl ToValue for bool {
    #[inline]
    fn to_value(&self) -> Option<Value> {
        Some(Value::Bool(*self))
    }
}

#[diagnostic::do_not_recommend]
impl Element for bool {
    fn to_array(items: &[Self]) -> Array {
        Array::Bool(items.to_vec())
    }
}

#[diagnostic::do_not_recommend]
impl ToValue for str {
    #[inline]
    fn to_value(&self) -> Option<Value> {
        Some(self.to_owned().into())
    }
}

#[diagnostic::do_not_recommend]
impl Element for &str {
    fn to_array(items: &[Self]) -> Array {
        strings(items, |item| (*item).to_owned().into())
    }
}

#[diagnostic::do_not_recommend]
impl ToValue for String {
    #[inline]
    fn to_value(&self) -> Option<Value> {
        self.as_str().to_value()
    }
}

#[diagnostic::do_not_recommend]
impl Element for String {
    fn to_array(items: &[Self]) -> Array {
        strings(items, |item| item.clone().into())
    }
}

#[diagnostic::do_not_recommend]
impl ToValue for Cow<'_, str> {
    #[inline]
    fn to_value(&self) -> Option<Value> {
        (**self).to_value()
    }
}

#[diagnostic::do_not_recommend]
impl Element for Cow<'_, str> {
    fn to_array(items: &[Self]) -> Array {
        strings(items, |item| item.clone().into_owned().into())
    }
}

#[diagnostic::do_not_recommend]
impl ToValue for char {
    #[inline]
    fn to_value(&self) -> Option<Value> {
        Some(self.to_string().into())
    }
}

#[diagnostic::do_not_recommend]
impl ToValue for StringValue {
    #[inline]
    fn to_value(&self) -> Option<Value> {
        Some(Value::String(self.clone()))
    }
}

#[diagnostic::do_not_recommend]
impl Element for StringValue {
    fn to_array(items: &[Self]) -> Array {
        Array::String(items.to_vec())
    }
}

#[diagnostic::do_not_recommend]
impl ToValue for Value {
    #[inline]
    fn to_value(&self) -> Option<Value> {
        Some(self.clone())
    }
}

#[diagnostic::do_not_recommend]
impl<T: ToValue> ToValue for Option<T> {
    #[inline]
    fn to_value(&self) -> Option<Value> {
        self.as_ref()?.to_value()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Element> ToValue for [T] {
    fn to_value(&self) -> Option<Value> {
        Some(Value::Array(T::to_array(self)))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Element> ToValue for Vec<T> {
    fn to_value(&self) -> Option<Value> {
        self.as_slice().to_value()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Element, const N: usize> ToValue for [T; N] {
    fn to_value(&self) -> Option<Value> {
        self.as_slice().to_value()
    }
}

fn strings<T>(items: &[T], convert: impl Fn(&T) -> StringValue) -> Array {
    Array::String(items.iter().map(convert).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: impl ToValue, expected: &str) {
        assert_eq!(format!("{:?}", value.to_value()), expected);
    }

    #[test]
    fn numbers_and_booleans_stay_typed() {
        check(true, "Some(Bool(true))");
        check(-8i8, "Some(I64(-8))");
        check(u32::MAX, "Some(I64(4294967295))");
        check(7usize, "Some(I64(7))");
        check(0.5f32, "Some(F64(0.5))");
        check(f64::MAX, "Some(F64(1.7976931348623157e308))");
    }

    #[test]
    fn an_integer_beyond_i64_becomes_text() {
        check(i64::MAX as u64, "Some(I64(9223372036854775807))");
        check(u64::MAX, r#"Some(String(Owned("18446744073709551615")))"#);
        check(i128::MIN, r#"Some(String(Owned("-170141183460469231731687303715884105728")))"#);
        check([1, u64::MAX], r#"Some(Array(String([Owned("1"), Owned("18446744073709551615")])))"#);
    }

    #[test]
    fn strings_of_every_kind_are_strings() {
        let expected = r#"Some(String(Owned("ab")))"#;
        let mut owned = String::from("ab");
        check("ab", expected);
        check(&mut owned, expected);
        check(&owned, expected);
        check(String::from("ab"), expected);
        check(Cow::Borrowed("ab"), expected);
        check(Box::<str>::from("ab"), expected);
        check(Arc::<str>::from("ab"), expected);
        check('a', r#"Some(String(Owned("a")))"#);
        check(Value::from("ab"), r#"Some(String(Static("ab")))"#);
    }

    #[test]
    fn none_is_no_attribute() {
        check(None::<i32>, "None");
        check(Some("x"), r#"Some(String(Owned("x")))"#);
        check(Some(None::<bool>), "None");
    }

    #[test]
    fn lists_are_arrays_of_one_type() {
        check(vec![true], "Some(Array(Bool([true])))");
        check(&[1u8, 2][..], "Some(Array(I64([1, 2])))");
        check([1usize], "Some(Array(I64([1])))");
        check([0.5f32], "Some(Array(F64([0.5])))");
        check(["a"], r#"Some(Array(String([Owned("a")])))"#);
        check(vec![String::from("a")], r#"Some(Array(String([Owned("a")])))"#);
        check(Vec::<String>::new(), "Some(Array(String([])))");
    }
}
