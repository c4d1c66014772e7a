//! The numbers of metrics that both encodings write.

use telemark_sdk::metrics::{Number, Temporality};

/// Returns the number of a temporality; zero would be "unspecified".
pub(super) fn temporality_number(temporality: Temporality) -> u8 {
    match temporality {
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    }
}

/// A number in one of the two types that OTLP has.
pub(super) enum WireNumber {
    Int(i64),
    Double(f64),
}

impl From<Number> for WireNumber {
    fn from(number: Number) -> Self {
        match number {
            Number::I64(value) => WireNumber::Int(value),
            // Beyond the signed type, rounding is the lesser evil.
            Number::U64(value) => i64::try_from(value).map_or(WireNumber::Double(value as f64), WireNumber::Int),
            Number::F64(value) => WireNumber::Double(value),
        }
    }
}
