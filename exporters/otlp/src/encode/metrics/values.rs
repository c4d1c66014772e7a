//! The metric-related numbers that both encodings write.

use telemark_sdk::metrics::{Number, Temporality};

/// Returns the number for a temporality. Zero would mean "unspecified".
pub(super) fn temporality_number(temporality: Temporality) -> u8 {
    match temporality {
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    }
}

/// A number in one of OTLP's two number types.
pub(super) enum WireNumber {
    Int(i64),
    Double(f64),
}

impl From<Number> for WireNumber {
    fn from(number: Number) -> Self {
        match number {
            Number::I64(value) => WireNumber::Int(value),
            // For values that exceed the signed type, rounding is the lesser evil.
            Number::U64(value) => i64::try_from(value).map_or(WireNumber::Double(value as f64), WireNumber::Int),
            Number::F64(value) => WireNumber::Double(value),
        }
    }
}
