//! The escaping of names requested by the scraper.
//!
//! spec: prometheus docs/instrumenting/escaping_schemes.md

use std::borrow::Cow;

use crate::format::Escaping;

/// Distinguishes metric names from label names, which must not contain colons.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameKind {
    Metric,
    Label,
}

impl NameKind {
    fn allows(self, c: char, first: bool) -> bool {
        c.is_ascii_alphabetic() || c == '_' || c == ':' && self == NameKind::Metric || c.is_ascii_digit() && !first
    }

    /// Returns true if the name consists only of classic characters and therefore needs neither escaping nor
    /// quotes.
    pub(crate) fn is_classic(self, name: &str) -> bool {
        !name.is_empty() && name.chars().enumerate().all(|(index, c)| self.allows(c, index == 0))
    }
}

/// Returns the name escaped as the scraper requested.
pub(crate) fn escape(name: &str, escaping: Escaping, kind: NameKind) -> Cow<'_, str> {
    match escaping {
        Escaping::AllowUtf8 => Cow::Borrowed(name),
        Escaping::Underscores | Escaping::Values if kind.is_classic(name) => Cow::Borrowed(name),
        _ => Cow::Owned(escaped(name, escaping, kind)),
    }
}

fn escaped(name: &str, escaping: Escaping, kind: NameKind) -> String {
    let mut escaped = String::with_capacity(name.len() + 16);
    if escaping == Escaping::Values {
        escaped.push_str("U__");
    }
    for (index, c) in name.chars().enumerate() {
        match (escaping, c) {
            (Escaping::Dots | Escaping::Values, '_') => escaped.push_str("__"),
            (Escaping::Dots, '.') => escaped.push_str("_dot_"),
            // A digit is invalid only as the first character. With `values`, the first character is always `U`.
            _ if kind.allows(c, index == 0 && escaping != Escaping::Values) => escaped.push(c),
            (Escaping::Values, c) => escaped.push_str(&format!("_{:X}_", u32::from(c))),
            _ => escaped.push('_'),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_escaping_schemes() {
        let check = |escaping, name, expected| assert_eq!(escape(name, escaping, NameKind::Metric), expected);
        check(Escaping::Underscores, "metric.name/with/slashes", "metric_name_with_slashes");
        check(Escaping::Dots, "metric.name.with.dots", "metric_dot_name_dot_with_dot_dots");
        check(Escaping::Values, "metric.name", "U__metric_2E_name");
        check(Escaping::AllowUtf8, "metric.name", "metric.name");
    }
}
