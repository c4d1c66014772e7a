//! Trace and span ids. Zero means that there is no id.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The id of a trace.
///
/// ```
/// use telemark_viewer::model::TraceId;
///
/// let id: TraceId = "0af7651916cd43dd8448eb211c80319c".parse()?;
/// assert_eq!(id.to_string(), "0af7651916cd43dd8448eb211c80319c");
/// # Ok::<(), telemark_viewer::model::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub u128);

/// The id of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub u64);

impl TraceId {
    /// Returns true if the id is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl SpanId {
    /// Returns true if the id is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The error of parsing an id: the text does not consist of exactly 32 or 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a trace id has 32 hexadecimal digits, and a span id has 16")
    }
}

impl std::error::Error for InvalidId {}

/// Returns true if the text has exactly `count` hexadecimal digits. The standard library also accepts a sign.
fn is_hex(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl FromStr for TraceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let id = if is_hex(text, 32) { u128::from_str_radix(text, 16).ok() } else { None };
        id.map(TraceId).ok_or(InvalidId)
    }
}

impl FromStr for SpanId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let id = if is_hex(text, 16) { u64::from_str_radix(text, 16).ok() } else { None };
        id.map(SpanId).ok_or(InvalidId)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_exactly_as_many_digits_as_it_needs() {
        assert_eq!("00000000000000000000000000000a1F".parse(), Ok(TraceId(0xa1f)));
        assert_eq!("000000000000001f".parse(), Ok(SpanId(0x1f)));
        for text in ["", "1f", "+0000000000001ff", "00000000000001fg", "0000000000000001f", "000000000000001\u{661}"] {
            assert_eq!(text.parse::<SpanId>(), Err(InvalidId), "{text}");
        }
        for text in ["", "1f", "+0000000000000000000000000000001", "0000000000000000000000000000000g"] {
            assert_eq!(text.parse::<TraceId>(), Err(InvalidId), "{text}");
        }
    }
}
