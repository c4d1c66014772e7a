//! The types of scalars.
//!
//! spec: YAML 1.2.2, 10.3 core schema

use saphyr_parser::Tag;
use telemark_sdk::config::Data;

/// Returns the value of a scalar after substitution. Only a plain scalar, which has no quotes, can be anything but text.
///
/// # Errors
/// Fails if the tag is not supported or does not fit the text.
pub(crate) fn typed(text: String, is_plain: bool, tag: Option<&Tag>) -> Result<Data, String> {
    let Some(tag) = tag else { return Ok(if is_plain { resolve(text) } else { Data::Text(text) }) };
    let expected = if tag.is_yaml_core_schema() { tag.suffix.as_str() } else { "" };
    let data = if expected == "str" { Data::Text(text) } else { resolve(text) };
    match (expected, &data) {
        ("str", _)
        | ("int", Data::Integer(_))
        | ("float", Data::Number(_))
        | ("bool", Data::Boolean(_))
        | ("null", Data::Null) => Ok(data),
        // `!!float 1` is a number, although `1` alone is an integer.
        ("float", Data::Integer(number)) => {
            number.to_string().parse().map(Data::Number).map_err(|_| "is no number".to_owned())
        }
        ("int" | "float" | "bool" | "null", _) => Err(format!("the tag !!{expected} does not fit the value")),
        _ => Err("a tag of this kind is not supported".to_owned()),
    }
}

fn resolve(text: String) -> Data {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Boolean(true),
        "false" | "False" | "FALSE" => Data::Boolean(false),
        other => number(other).unwrap_or(Data::Text(text)),
    }
}

fn number(text: &str) -> Option<Data> {
    let digits_of = |digits: &str, radix: u32| {
        let are_digits = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        are_digits.then(|| i64::from_str_radix(digits, radix).map_or_else(|_| large(digits, radix), Data::Integer))
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return digits_of(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return digits_of(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            return Some(Data::Number(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
        }
        _ if matches!(text, ".nan" | ".NaN" | ".NAN") => return Some(Data::Number(f64::NAN)),
        _ => {}
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        // A whole number without room in 64 bits stays a number, which no setting accepts as a whole one.
        return text.parse().map(Data::Integer).or_else(|_| text.parse().map(Data::Number)).ok();
    }
    is_decimal(unsigned).then(|| text.parse().map(Data::Number).ok()).flatten()
}

fn large(digits: &str, radix: u32) -> Data {
    let value = digits.chars().filter_map(|digit| digit.to_digit(radix));
    Data::Number(value.fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(digit)))
}

/// Returns true for digits with a point, an exponent or both, such as `1.`, `.5` and `1e3`.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    are_digits(whole)
        && are_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && are_digits(exponent))
}
