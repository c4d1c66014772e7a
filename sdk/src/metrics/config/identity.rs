//! An instrument's identity, and validation of its name, unit and boundaries.

use std::borrow::Cow;
use std::sync::Arc;

use super::kind::{InstrumentKind, are_boundaries};
use crate::metrics::data::NumberType;

/// An instrument as requested from a meter.
pub(crate) struct Instrument {
    pub(crate) name: Arc<str>,
    pub(crate) description: Arc<str>,
    pub(crate) unit: Arc<str>,
    pub(crate) kind: InstrumentKind,
    pub(crate) number: NumberType,
    /// Histogram boundaries recommended by the instrument's author.
    pub(crate) boundaries: Option<Vec<f64>>,
}

impl Instrument {
    /// Returns `None` and logs a warning if the name or the boundaries are invalid.
    pub(crate) fn new(
        name: Cow<'static, str>,
        description: Option<Cow<'static, str>>,
        unit: Option<Cow<'static, str>>,
        boundaries: Option<Vec<f64>>,
        (kind, number): (InstrumentKind, NumberType),
    ) -> Option<Self> {
        if !is_name(&name) {
            crate::__warn!(
                "metrics.name",
                "the instrument {name:?} does not record: a name begins with a letter and has at most 255 letters, \
                 digits, _, ., - and /"
            );
            return None;
        }
        if boundaries.as_deref().is_some_and(|bounds| !are_boundaries(bounds)) {
            crate::__warn!(
                "metrics.boundaries",
                "the histogram {name:?} does not record: its boundaries are not finite and strictly increasing"
            );
            return None;
        }
        let unit = unit.unwrap_or_default();
        if !is_unit(&unit) {
            crate::__warn!("metrics.unit", "the unit {unit:?} of {name:?} is longer than 63 characters or not ASCII");
        }
        Some(Instrument {
            name: name.into(),
            description: description.unwrap_or_default().into(),
            unit: unit.into(),
            kind,
            number,
            boundaries,
        })
    }
}

/// spec: metrics/api.md#instrument-name-syntax
fn is_name(name: &str) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/');
    match name.as_bytes() {
        [first, rest @ ..] => first.is_ascii_alphabetic() && rest.len() <= 254 && rest.iter().all(is_inner),
        [] => false,
    }
}

/// spec: metrics/api.md#instrument-unit
fn is_unit(unit: &str) -> bool {
    unit.is_ascii() && unit.len() <= 63
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "A1_.-/z", &"x".repeat(255)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "1a", "_a", "a b", "ä", "a\\b", &"x".repeat(256)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn units() {
        assert!(is_unit("") && is_unit("{request}/s") && is_unit(&"x".repeat(63)));
        assert!(!is_unit("µs") && !is_unit(&"x".repeat(64)));
    }
}
