//! Field values, as JSON and as text.

use std::error::Error;
use std::fmt::{self, Write};

use opentelemetry::Value as ApiValue;

use crate::line::{Escape, Line};

/// The maximum number of an error's causes to write.
const MAX_CAUSES: usize = 16;

/// A field value that is being recorded.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Integer(i64),
    /// An integer outside of the range of `i64`.
    Wide(&'a dyn fmt::Display),
    Float(f64),
    Boolean(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
    Formatted(&'a dyn fmt::Debug),
    Error(&'a (dyn Error + 'static)),
}

impl Value<'_> {
    /// Appends the value as JSON. Integers beyond `i64` and floats that are not finite become strings, as in OTLP.
    pub(crate) fn write_json(self, line: &mut Line) {
        match self {
            Value::Integer(number) => line.raw(itoa::Buffer::new().format(number)),
            Value::Boolean(value) => line.raw(if value { "true" } else { "false" }),
            Value::Float(number) if number.is_finite() => line.raw(zmij::Buffer::new().format_finite(number)),
            _ => self.write_json_string(line),
        }
    }

    /// Appends the value as a JSON string.
    pub(crate) fn write_json_string(self, line: &mut Line) {
        line.raw("\"");
        self.write_content(line, Escape::Json);
        line.raw("\"");
    }

    /// Appends the value as text on a single line. Quotes a string that would be hard to distinguish from the surrounding
    /// text.
    pub(crate) fn write_text(self, line: &mut Line) {
        match self {
            Value::Text(text) if text.is_empty() || text.contains([' ', '"', '=', '\\']) => self.write_json(line),
            Value::Integer(_) | Value::Boolean(_) => self.write_json(line),
            Value::Float(number) if number.is_finite() => self.write_json(line),
            _ => self.write_content(line, Escape::Text),
        }
    }

    fn write_content(self, line: &mut Line, escape: Escape) {
        match self {
            Value::Text(text) => {
                line.text(text, escape);
            }
            other => line.written(escape, |to| other.write_plain(to)),
        }
    }

    /// Writes the value as unescaped text. Runs the program's code, which may panic.
    pub(crate) fn write_plain(self, to: &mut impl Write) -> fmt::Result {
        match self {
            Value::Text(text) => to.write_str(text),
            Value::Formatted(value) => write!(to, "{value:?}"),
            Value::Error(error) => write_chain(to, error),
            Value::Bytes(bytes) => write_base64(to, bytes),
            Value::Float(number) if number.is_finite() => write!(to, "{number}"),
            Value::Float(number) => to.write_str(not_finite(number)),
            Value::Wide(number) => write!(to, "{number}"),
            Value::Integer(number) => write!(to, "{number}"),
            Value::Boolean(value) => write!(to, "{value}"),
        }
    }
}

impl<'a> From<&'a ApiValue> for Value<'a> {
    fn from(value: &'a ApiValue) -> Self {
        match value {
            ApiValue::Bool(value) => Value::Boolean(*value),
            ApiValue::I64(number) => Value::Integer(*number),
            ApiValue::F64(number) => Value::Float(*number),
            ApiValue::String(text) => Value::Text(text.as_str()),
            other => Value::Wide(other),
        }
    }
}

/// Returns the name that protobuf's JSON mapping uses for a non-finite number.
fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// Writes the messages of an error and its causes. Leaves out a cause if the preceding message ends with the cause's
/// message.
fn write_chain(to: &mut impl Write, error: &(dyn Error + 'static)) -> fmt::Result {
    write!(to, "{error}")?;
    let mut error = error;
    for _ in 0..MAX_CAUSES {
        let Some(cause) = error.source() else { break };
        if !ends_with(error, cause) {
            write!(to, ": {cause}")?;
        }
        error = cause;
    }
    Ok(())
}

/// Returns true if the message of `error` ends with the message of `cause`. Compares only the first bytes of long
/// messages.
fn ends_with(error: &dyn Error, cause: &dyn Error) -> bool {
    let (mut error_text, mut cause_text) = (Start::default(), Start::default());
    // An error means that the message is longer.
    let _ = write!(error_text, "{error}");
    let _ = write!(cause_text, "{cause}");
    !error_text.is_longer && !cause_text.is_longer && error_text.text.ends_with(&cause_text.text)
}

/// The beginning of a message.
#[derive(Default)]
struct Start {
    text: String,
    is_longer: bool,
}

impl Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const MAX: usize = 4096;
        self.is_longer = self.is_longer || self.text.len() + text.len() > MAX;
        if self.is_longer {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// Writes bytes as the specification encodes them in JSON.
///
/// spec: common/README.md#anyvalue-representation-for-non-otlp-protocols
fn write_base64(to: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0, |group, &byte| group << 8 | usize::from(byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[group >> (18 - 6 * place) & 0x3f];
            to.write_char(if place <= three.len() { char::from(digit) } else { '=' })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Failure(&'static str, Option<Box<Failure>>);

    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Failure {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    fn check(value: Value<'_>, json: &str, text: &str) {
        let mut line = Line::default();
        line.begin(1000);
        value.write_json(&mut line);
        assert_eq!(std::str::from_utf8(line.bytes()), Ok(json));
        line.begin(1000);
        value.write_text(&mut line);
        assert_eq!(std::str::from_utf8(line.bytes()), Ok(text));
    }

    #[test]
    fn every_type_as_json_and_as_text() {
        check(Value::Integer(-7), "-7", "-7");
        check(Value::Wide(&u64::MAX), "\"18446744073709551615\"", "18446744073709551615");
        check(Value::Float(0.5), "0.5", "0.5");
        check(Value::Float(1e300), "1e+300", "1e+300");
        check(Value::Float(f64::NAN), "\"NaN\"", "NaN");
        check(Value::Float(f64::NEG_INFINITY), "\"-Infinity\"", "-Infinity");
        check(Value::Boolean(true), "true", "true");
        check(Value::Text("ab"), "\"ab\"", "ab");
        check(Value::Text("a b"), "\"a b\"", "\"a b\"");
        check(Value::Text(""), "\"\"", "\"\"");
        check(Value::Text("a\nb"), "\"a\\nb\"", "a\\nb");
        check(Value::Formatted(&"a"), "\"\\\"a\\\"\"", "\"a\"");
        for (bytes, expected) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob\xff", "Zm9vYv8=")]
        {
            check(Value::Bytes(bytes), &format!("\"{expected}\""), expected);
        }
    }

    #[test]
    fn an_error_is_written_with_its_causes_and_none_twice() {
        let cause = Failure("refused", Some(Box::new(Failure("no route", None))));
        let error = Failure("cannot connect: refused", Some(Box::new(cause)));
        check(Value::Error(&error), "\"cannot connect: refused: no route\"", "cannot connect: refused: no route");
    }

    #[test]
    fn a_panic_costs_only_the_value() {
        struct Bomb;
        impl fmt::Debug for Bomb {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                panic!("planted")
            }
        }
        check(Value::Formatted(&Bomb), "\"<panicked>\"", "<panicked>");
    }
}
