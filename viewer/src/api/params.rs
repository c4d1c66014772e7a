//! The parameters of a request.

use std::borrow::Cow;

use crate::query::QueryError;

/// The reason for refusing a request, with its status code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// The position of the fault in the query, in characters.
    pub(crate) at: Option<usize>,
    /// When the item left the store, in microseconds.
    pub(crate) evicted_at: Option<u64>,
}

impl Refused {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Refused { status, message: message.into(), at: None, evicted_at: None }
    }

    /// Refuses a query.
    pub(crate) fn query(query: &str, error: QueryError) -> Self {
        let at = query.get(..error.at).map(|before| before.chars().count());
        Refused { at, ..Refused::new(400, error.message) }
    }
}

/// The parameters after the question mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params<'a>(pub(crate) &'a str);

impl<'a> Params<'a> {
    /// Returns the first parameter with this name, decoded. Empty parameters count as missing.
    pub(crate) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        let mut pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(key, value)| decoded(key) == name && !value.is_empty())?;
        Some(decoded(value))
    }

    /// Returns the query, or an empty one.
    pub(crate) fn query(self) -> Cow<'a, str> {
        self.get("q").unwrap_or_default()
    }

    /// Returns a number, or an error that names the parameter.
    pub(crate) fn number(self, name: &str) -> Result<Option<u64>, Refused> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| Refused::new(400, format!("{name} is not a whole number")))?;
        Ok(Some(number))
    }

    /// Returns a time in nanoseconds. Parameters have microseconds.
    pub(crate) fn time(self, name: &str) -> Result<Option<u64>, Refused> {
        Ok(self.number(name)?.map(|micros| micros.saturating_mul(1_000)))
    }

    /// Returns the range of times in nanoseconds, which is open by default.
    pub(crate) fn range(self) -> Result<(u64, u64), Refused> {
        // The last microsecond belongs to the range.
        let to = self.time("to")?.map_or(u64::MAX, |to| to.saturating_add(999));
        Ok((self.time("from")?.unwrap_or(0), to))
    }

    /// Returns the limit of a list.
    pub(crate) fn limit(self, default: usize, max: usize) -> Result<usize, Refused> {
        let limit = self.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
        Ok(limit.unwrap_or(default).min(max))
    }
}

/// Decodes a parameter. Bytes that are not UTF-8 become U+FFFD.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the value of a hexadecimal digit.
fn digit(digit: u8) -> u8 {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let params = Params("q=status%3Aerror+%3E100ms&from=12&empty=&bad=%zz%4&utf=%ff&limit=x");
        assert_eq!(params.query(), "status:error >100ms");
        assert_eq!(params.time("from"), Ok(Some(12_000)));
        assert_eq!(params.get("empty"), None);
        assert_eq!(params.get("bad").as_deref(), Some("%zz%4"));
        assert_eq!(params.get("utf").as_deref(), Some("\u{fffd}"));
        assert_eq!(params.limit(1, 2), Err(Refused::new(400, "limit is not a whole number")));
        assert_eq!(params.range(), Ok((12_000, u64::MAX)));
    }
}
