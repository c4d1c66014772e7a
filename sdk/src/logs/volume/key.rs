//! The identity of a call site, and the hash behind it.

use std::fmt::{self, Write};

use opentelemetry::logs::{AnyValue, Severity};

use crate::logs::SdkLogRecord;

/// The place in a program at which a bridge's records originate, such as one macro of `tracing`.
///
/// A bridge that knows the place passes it to [`SdkLogger::begin_at`](crate::logs::SdkLogger::begin_at), so that a record that
/// [the volume rules](crate::logs::LogVolume) suppress is never made.
#[derive(Debug, PartialEq, Eq)]
pub struct LogSite {
    pub(super) key: u64,
    pub(super) file: &'static str,
    pub(super) line: u32,
}

impl LogSite {
    /// Describes a place. The file may be empty, and the line zero, if they are unknown.
    pub fn new(target: &str, name: &str, severity: Severity, file: &'static str, line: u32) -> Self {
        let mut hash = Hash::new();
        hash.part(target).part(name).part(file);
        hash.number(u64::from(line)).number(severity as u64);
        LogSite { key: hash.key(), file, line }
    }
}

/// The body's first bytes count for the identity.
const BODY: usize = 256;

/// Returns the identity of the call site of a record that does not name its place.
pub(super) fn of_record(scope: &str, record: &SdkLogRecord) -> u64 {
    let name = record.event_name().unwrap_or_default();
    let mut hash = of(scope, record.target().unwrap_or_default(), name, record.severity_number());
    let mut has_place = false;
    for key in ["code.file.path", "code.line.number", "exception.type"] {
        if let Some(value) = record.attribute(key) {
            has_place = true;
            hash.value(value);
        }
    }
    if let (false, Some(AnyValue::String(body))) = (has_place, record.body()) {
        let words = start_of(body.as_str(), BODY).split_whitespace();
        words.filter(|word| !word.contains(|c: char| c.is_ascii_digit())).for_each(|word| {
            hash.part(word);
        });
    }
    hash.key()
}

/// Returns the identity of the call site of a record that has not been made, as far as it is known.
pub(super) fn of_request(scope: &str, target: &str, name: Option<&str>, severity: Severity) -> u64 {
    of(scope, target, name.unwrap_or_default(), Some(severity)).key()
}

fn of(scope: &str, target: &str, name: &str, severity: Option<Severity>) -> Hash {
    let mut hash = Hash::new();
    hash.part(scope).part(target).part(name).number(severity.map_or(0, |severity| severity as u64));
    hash
}

/// Returns a number that is the same for the same value in every process, and evenly distributed. A number and its text have the
/// same one.
pub(super) fn of_value(value: &AnyValue) -> u64 {
    let mut hash = Hash::new();
    hash.value(value);
    hash.finish()
}

/// Returns the first bytes of a text, up to the last character that fits.
pub(super) fn start_of(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// FNV-1a with a final mix, chosen because it is short and the same everywhere.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Adds a text that cannot run into the next one.
    fn part(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes());
        self
    }

    fn value(&mut self, value: &AnyValue) {
        // Writing to a hash cannot fail.
        let _ = match value {
            AnyValue::String(text) => self.write_str(text.as_str()),
            AnyValue::Int(number) => write!(self, "{number}"),
            AnyValue::Double(number) => write!(self, "{number}"),
            AnyValue::Boolean(boolean) => write!(self, "{boolean}"),
            other => write!(self, "{other:?}"),
        };
    }

    /// Mixes with the finalizer of MurmurHash3, because FNV leaves the high bits of short texts uneven.
    fn finish(&self) -> u64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 33)
    }

    /// Returns the hash as the key of a table, in which zero marks a free place.
    fn key(&self) -> u64 {
        self.finish().max(1)
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::LogRecord;

    use super::*;

    fn body(text: &str) -> u64 {
        let mut record = SdkLogRecord::default();
        record.set_body(text.to_owned().into());
        of_record("shop", &record)
    }

    #[test]
    fn numbers_in_a_body_do_not_make_a_call_site() {
        assert_eq!(body("order 17 placed in 3ms"), body("order 1845 placed in 21ms"));
        assert_ne!(body("order 17 placed"), body("order 17 cancelled"));
        assert_ne!(body("ab c"), body("a bc"));
    }

    #[test]
    fn a_place_or_the_type_of_an_exception_counts_instead_of_the_body() {
        let record = |key: &'static str, value: &'static str, text: &'static str| {
            let mut record = SdkLogRecord::default();
            record.set_body(text.into());
            record.add_attribute(key, value);
            of_record("shop", &record)
        };
        for key in ["code.file.path", "code.line.number", "exception.type"] {
            assert_eq!(record(key, "a", "one"), record(key, "a", "two"));
            assert_ne!(record(key, "a", "one"), record(key, "b", "one"));
        }
        assert_ne!(record("other", "a", "one"), record("other", "a", "two"));
    }

    #[test]
    fn a_fraction_of_all_values_is_below_that_fraction_of_all_hashes() {
        for ratio in [0.01, 0.1, 0.5, 0.9] {
            let threshold = (ratio * 2_f64.powi(64)) as u64;
            let kept =
                (0..100_000).filter(|number| of_value(&AnyValue::from(format!("req-{number}"))) < threshold).count();
            let share = kept as f64 / 100_000.0;
            assert!((share - ratio).abs() < 0.01, "{ratio}: {share}");
        }
        assert_eq!(of_value(&AnyValue::from(17)), of_value(&AnyValue::from("17")));
        // Fixed, because programs of other versions must decide alike.
        assert_eq!(of_value(&AnyValue::from("request-1")), FIXED);
    }

    const FIXED: u64 = 15_568_773_575_654_238_526;
}
