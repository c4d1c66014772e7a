//! Fields of JSON messages: numbers that may be text, enumerations that may be names, hexadecimal ids.

use serde_json::Value as Json;

use crate::model::{SpanId, TraceId};
use crate::receive::Malformed;

/// A JSON object that stands for a message. Absent fields and `null` are the default of their type.
#[derive(Clone, Copy)]
pub(super) struct Fields<'v>(&'v Json);

impl<'v> Fields<'v> {
    /// # Errors
    /// Fails if the value is not an object.
    pub(super) fn new(message: &'v Json) -> Result<Self, Malformed> {
        match message {
            Json::Object(_) => Ok(Fields(message)),
            _ => Err(Malformed("a message is not an object")),
        }
    }

    /// Returns a field, unless it is absent or `null`.
    pub(super) fn get(self, name: &str) -> Option<&'v Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Returns a message.
    pub(super) fn message(self, name: &str) -> Result<Option<Fields<'v>>, Malformed> {
        self.get(name).map(Fields::new).transpose()
    }

    /// Returns the elements of a list.
    pub(super) fn list(self, name: &str) -> Result<&'v [Json], Malformed> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Json::Array(list)) => Ok(list),
            Some(_) => Err(Malformed("a field is not a list")),
        }
    }

    pub(super) fn text(self, name: &str) -> Result<&'v str, Malformed> {
        match self.get(name) {
            None => Ok(""),
            Some(Json::String(text)) => Ok(text),
            Some(_) => Err(Malformed("a field is not a string")),
        }
    }

    pub(super) fn boolean(self, name: &str) -> Result<bool, Malformed> {
        match self.get(name) {
            None => Ok(false),
            Some(Json::Bool(value)) => Ok(*value),
            Some(_) => Err(Malformed("a field is neither true nor false")),
        }
    }

    pub(super) fn unsigned(self, name: &str) -> Result<u64, Malformed> {
        self.get(name).map_or(Ok(0), unsigned)
    }

    pub(super) fn uint32(self, name: &str) -> Result<u32, Malformed> {
        u32::try_from(self.unsigned(name)?).map_err(|_| NUMBER)
    }

    pub(super) fn sint32(self, name: &str) -> Result<i32, Malformed> {
        self.get(name).map_or(Ok(0), |value| i32::try_from(signed(value)?).map_err(|_| NUMBER))
    }

    pub(super) fn double(self, name: &str) -> Result<Option<f64>, Malformed> {
        self.get(name).map(double).transpose()
    }

    /// Returns the number of an enumeration's value, given as a number or by name. `names` are those of the numbers from zero.
    pub(super) fn enumeration(self, name: &str, names: &[&str]) -> Result<u64, Malformed> {
        match self.get(name) {
            Some(Json::String(text)) => match names.iter().position(|known| known == text) {
                Some(index) => Ok(index as u64),
                None => text.parse().map_err(|_| Malformed("an enumeration has no value of this name")),
            },
            Some(number) => Ok(unsigned(number).unwrap_or(0)),
            None => Ok(0),
        }
    }

    /// Returns a trace id. Empty text is none.
    ///
    /// spec: opentelemetry-proto docs/specification.md#json-protobuf-encoding — ids are hexadecimal, in either case
    pub(super) fn trace_id(self, name: &str) -> Result<TraceId, Malformed> {
        id(self.text(name)?, TraceId(0))
    }

    /// Returns a span id. Empty text is none.
    pub(super) fn span_id(self, name: &str) -> Result<SpanId, Malformed> {
        id(self.text(name)?, SpanId(0))
    }
}

const NUMBER: Malformed = Malformed("a field is not a number of its type");

fn id<T: std::str::FromStr>(text: &str, none: T) -> Result<T, Malformed> {
    if text.is_empty() { Ok(none) } else { text.parse().map_err(|_| Malformed("an id is not hexadecimal")) }
}

/// Reads a number of up to 64 bits, which JSON carries as text because its readers may round numbers.
pub(super) fn unsigned(value: &Json) -> Result<u64, Malformed> {
    match value {
        Json::String(text) => text.parse().map_err(|_| NUMBER),
        Json::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)).ok_or(NUMBER),
        _ => Err(NUMBER),
    }
}

/// Like [`unsigned`], for signed numbers.
pub(super) fn signed(value: &Json) -> Result<i64, Malformed> {
    match value {
        Json::String(text) => text.parse().map_err(|_| NUMBER),
        Json::Number(number) => number.as_i64().ok_or(NUMBER),
        _ => Err(NUMBER),
    }
}

/// Reads a float. Text also carries the values that JSON lacks.
pub(super) fn double(value: &Json) -> Result<f64, Malformed> {
    match value {
        Json::String(text) => match &**text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            text => text.parse().map_err(|_| NUMBER),
        },
        value => value.as_f64().ok_or(NUMBER),
    }
}

/// Returns a float such as `1e18` as an integer.
fn whole(number: f64) -> Option<u64> {
    let is_whole = number >= 0.0 && number < u64::MAX as f64 && number.fract() == 0.0;
    is_whole.then_some(number as u64)
}

/// Decodes base64 in the usual or in the URL-safe alphabet, with or without padding.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, Malformed> {
    let (mut out, mut bits, mut count) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for symbol in text.trim_end_matches('=').bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return Err(Malformed("bytes are not in base64")),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_come_as_text_or_as_numbers() {
        assert_eq!(unsigned(&json!("18446744073709551615")), Ok(u64::MAX));
        assert_eq!(unsigned(&json!(u64::MAX)), Ok(u64::MAX));
        assert_eq!(unsigned(&json!(1e18)), Ok(1_000_000_000_000_000_000));
        assert_eq!(signed(&json!("-9223372036854775808")), Ok(i64::MIN));
        for invalid in [json!(-1), json!("-1"), json!(0.5), json!(1e30), json!("x"), json!(true), json!([])] {
            assert_eq!(unsigned(&invalid), Err(NUMBER), "{invalid}");
        }
        assert_eq!(double(&json!("-Infinity")), Ok(f64::NEG_INFINITY));
        assert!(double(&json!("NaN")).is_ok_and(f64::is_nan));
        assert_eq!(double(&json!(0.1)), Ok(0.1));
    }

    #[test]
    fn enumerations_come_as_numbers_or_names() {
        let message = json!({"a": 2, "b": "ONE", "c": "7", "d": "else", "e": null});
        let fields = Fields::new(&message).unwrap();
        let read = |name| fields.enumeration(name, &["ZERO", "ONE"]);
        assert_eq!((read("a"), read("b"), read("c"), read("e"), read("f")), (Ok(2), Ok(1), Ok(7), Ok(0), Ok(0)));
        assert!(read("d").is_err());
    }

    #[test]
    fn ids_are_hexadecimal_or_empty() {
        let message = json!({"a": "00000000000000FF", "b": "", "c": "ff", "d": 5});
        let fields = Fields::new(&message).unwrap();
        assert_eq!((fields.span_id("a"), fields.span_id("b")), (Ok(SpanId(255)), Ok(SpanId(0))));
        assert!(fields.span_id("c").is_err() && fields.span_id("d").is_err());
        assert_eq!(fields.trace_id("absent"), Ok(TraceId(0)));
    }

    #[test]
    fn base64_of_rfc_4648() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba")] {
            assert_eq!(base64(text), Ok(bytes.as_bytes().to_vec()));
        }
        assert_eq!(base64("-_+/"), Ok(vec![0xfb, 0xff, 0xbf]));
        assert!(base64("Zg=a").is_err());
    }
}
