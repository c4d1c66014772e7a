//! One term of a query.

use std::cmp::Ordering;

use super::word::Word;
use super::{QueryError, Target};
use crate::model::Kind;

/// The fields, with the text that the page shows beside each.
pub(super) static FIELDS: [(&str, &str); 8] = [
    ("service", "the service"),
    ("name", "the exact name"),
    ("status", "error or ok"),
    ("kind", "the span kind"),
    ("severity", "the severity"),
    ("trace", "the beginning of a trace id"),
    ("span", "the beginning of a span id"),
    ("event", "the event name"),
];
/// The kinds of spans.
pub(super) static KINDS: [(&str, Kind); 5] = [
    ("internal", Kind::Internal),
    ("server", Kind::Server),
    ("client", Kind::Client),
    ("producer", Kind::Producer),
    ("consumer", Kind::Consumer),
];
/// The severities, with their lowest number. Each has four.
pub(super) static SEVERITIES: [(&str, u8); 6] =
    [("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("error", 17), ("fatal", 21)];

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Service(Match),
    Name(Match),
    Event(Match),
    IsError(bool),
    Kind(Kind),
    Duration(Comparison, u64),
    /// The lowest and the highest severity number.
    Severity(u8, u8),
    /// The leading bits of the id, shifted to the right, and the number of the other bits.
    Trace(u128, u32),
    Span(u64, u32),
    Attribute(String, AttributeMatch),
    /// In lower case.
    Word(String),
}

/// A condition for a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Match {
    Is(String),
    /// In lower case.
    Contains(String),
}

/// A condition for an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AttributeMatch {
    Is(Literal),
    IsNot(Literal),
    /// In lower case.
    Contains(String),
    Compares(Comparison, f64),
}

/// A value in a query, in each type that it can have.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Literal {
    pub(super) text: String,
    pub(super) int: Option<i64>,
    pub(super) double: Option<f64>,
    pub(super) bool: Option<bool>,
}

/// An operator for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    AtLeast,
    Less,
    AtMost,
}

impl Comparison {
    pub(super) fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Comparison::Greater => ordering == Some(Ordering::Greater),
            Comparison::AtLeast => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
            Comparison::Less => ordering == Some(Ordering::Less),
            Comparison::AtMost => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        }
    }
}

/// An operator, at its position in the content of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Field,
    Is,
    IsNot,
    Contains,
    Compares(Comparison),
}

/// Splits the unquoted start of a word at its first operator: `(key, operator, position of the value)`.
pub(super) fn split(word: &Word) -> Option<(&str, Operator, usize)> {
    let bare = word.content.get(..word.bare)?;
    let mut found = None;
    for (at, character) in bare.char_indices() {
        let rest = bare.get(at..).unwrap_or_default();
        let operator = match character {
            ':' if FIELDS.iter().any(|(field, _)| bare.get(..at) == Some(*field)) => (Operator::Field, 1),
            '=' => (Operator::Is, 1),
            '~' => (Operator::Contains, 1),
            '!' if rest.starts_with("!=") => (Operator::IsNot, 2),
            '>' | '<' => comparison(rest)?,
            _ => continue,
        };
        found = Some((at, operator));
        break;
    }
    let (at, (operator, length)) = found?;
    Some((bare.get(..at)?, operator, at + length))
}

fn comparison(text: &str) -> Option<(Operator, usize)> {
    let (comparison, length) =
        [(">=", Comparison::AtLeast), ("<=", Comparison::AtMost), (">", Comparison::Greater), ("<", Comparison::Less)]
            .into_iter()
            .find_map(|(sign, comparison)| text.starts_with(sign).then_some((comparison, sign.len())))?;
    Some((Operator::Compares(comparison), length))
}

impl Term {
    pub(super) fn parse(word: &Word) -> Result<Term, QueryError> {
        let error = |message: String| QueryError::new(word.start, message);
        let Some((key, operator, at)) = split(word) else {
            return match unknown_field(word) {
                Some(field) => {
                    Err(error(format!("there is no field {field:?}; put quotes around the word to search for it")))
                }
                None => Ok(Term::Word(word.content.to_lowercase())),
            };
        };
        let value = word.content.get(at..).unwrap_or_default();
        if value.is_empty() && word.bare == word.content.len() && word.end == word.start + at {
            return Err(QueryError::new(word.end, "the value is missing"));
        }
        match (key, operator) {
            (_, Operator::Field) => field(key, value).map_err(error),
            ("", Operator::Compares(comparison)) => {
                // `>5` is a duration.
                let is_name = value.starts_with(|first: char| first.is_ascii_alphabetic());
                let severity = if is_name { severity_range(comparison, value) } else { None };
                severity.or_else(|| duration(comparison, value)).ok_or_else(|| {
                    error(format!("{value:?} is neither a duration, such as 100ms or 2s, nor a severity, such as warn"))
                })
            }
            ("", _) => Err(error("the name of an attribute is missing".to_owned())),
            ("service", Operator::Contains) => Ok(Term::Service(Match::Contains(value.to_lowercase()))),
            ("name", Operator::Contains) => Ok(Term::Name(Match::Contains(value.to_lowercase()))),
            (key, Operator::Is) => Ok(Term::Attribute(key.to_owned(), AttributeMatch::Is(Literal::new(value)))),
            (key, Operator::IsNot) => Ok(Term::Attribute(key.to_owned(), AttributeMatch::IsNot(Literal::new(value)))),
            (key, Operator::Contains) => {
                Ok(Term::Attribute(key.to_owned(), AttributeMatch::Contains(value.to_lowercase())))
            }
            (key, Operator::Compares(comparison)) => {
                let number = value.parse::<f64>().map_err(|_| error(format!("{value:?} is not a number")))?;
                Ok(Term::Attribute(key.to_owned(), AttributeMatch::Compares(comparison, number)))
            }
        }
    }

    /// Checks that items of the type have what the term is about.
    pub(super) fn check(&self, target: Target) -> Result<(), String> {
        let (subject, fits) = match self {
            Term::Service(_) | Term::Word(_) | Term::Name(_) => return Ok(()),
            Term::Attribute(..) | Term::Trace(..) | Term::Span(..) => ("this term", target != Target::Instruments),
            Term::IsError(_) => ("a status", target == Target::Traces),
            Term::Kind(_) => ("a kind", target == Target::Traces),
            Term::Duration(..) => ("a duration", target == Target::Traces),
            Term::Event(_) => ("an event name", target != Target::Instruments),
            Term::Severity(..) => ("a severity", target == Target::Records),
        };
        let items = match target {
            Target::Traces => "traces",
            Target::Records => "log records",
            Target::Instruments => "instruments",
        };
        if fits { Ok(()) } else { Err(format!("{subject} does not apply to {items}")) }
    }
}

/// Returns the part before a colon, if it looks like the name of a field.
fn unknown_field(word: &Word) -> Option<&str> {
    let (field, rest) = word.content.get(..word.bare)?.split_once(':')?;
    let looks_like_one = !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (looks_like_one && !rest.starts_with(['/', ':'])).then_some(field)
}

fn field(key: &str, value: &str) -> Result<Term, String> {
    match key {
        "service" => Ok(Term::Service(Match::Is(value.to_owned()))),
        "name" => Ok(Term::Name(Match::Is(value.to_owned()))),
        "event" => Ok(Term::Event(Match::Is(value.to_owned()))),
        "status" => match value {
            "error" => Ok(Term::IsError(true)),
            "ok" => Ok(Term::IsError(false)),
            _ => Err("the status is either error or ok".to_owned()),
        },
        "kind" => {
            let kind = KINDS.iter().find(|(name, _)| *name == value).map(|&(_, kind)| Term::Kind(kind));
            kind.ok_or_else(|| "the kind is internal, server, client, producer or consumer".to_owned())
        }
        "severity" => {
            let (comparison, name) = match comparison(value) {
                Some((Operator::Compares(comparison), length)) => (Some(comparison), value.get(length..)),
                _ => (None, Some(value)),
            };
            let name = name.unwrap_or_default();
            let term = match comparison {
                Some(comparison) => severity_range(comparison, name),
                None => severity(name).map(|(low, high)| Term::Severity(low, high)),
            };
            term.ok_or_else(|| {
                "the severity is trace, debug, info, warn, error or fatal, or a number up to 24".to_owned()
            })
        }
        "trace" => id_prefix(value, 32)
            .map(|(bits, others)| Term::Trace(bits, others))
            .ok_or_else(|| "a trace id has up to 32 hexadecimal digits".to_owned()),
        "span" => id_prefix(value, 16)
            .and_then(|(bits, others)| Some(Term::Span(u64::try_from(bits).ok()?, others)))
            .ok_or_else(|| "a span id has up to 16 hexadecimal digits".to_owned()),
        // `split` knows the names of fields from the same list.
        _ => Err(format!("there is no field {key:?}")),
    }
}

/// Parses the first digits of an id with `digits` digits. Returns them with the number of bits after them.
fn id_prefix(text: &str, digits: usize) -> Option<(u128, u32)> {
    let is_valid = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = if is_valid { u128::from_str_radix(text, 16).ok()? } else { return None };
    Some((bits, 4 * u32::try_from(digits - text.len()).ok()?))
}

/// Returns the lowest and highest number of a severity.
fn severity(text: &str) -> Option<(u8, u8)> {
    let lower = text.to_ascii_lowercase();
    if let Some((_, low)) = SEVERITIES.iter().find(|(name, _)| *name == lower) {
        return Some((*low, low + 3));
    }
    let number = text.parse().ok().filter(|number| *number <= 24)?;
    Some((number, number))
}

fn severity_range(comparison: Comparison, text: &str) -> Option<Term> {
    let (low, high) = severity(text)?;
    Some(match comparison {
        Comparison::AtLeast => Term::Severity(low, 24),
        Comparison::Greater => Term::Severity(high + 1, 24),
        Comparison::AtMost => Term::Severity(1, high),
        Comparison::Less => Term::Severity(1, low.saturating_sub(1)),
    })
}

/// Parses a duration. Milliseconds need no unit.
fn duration(comparison: Comparison, text: &str) -> Option<Term> {
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    let nanos = match unit {
        "ns" => 1.0,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
        "ms" | "" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    // The cast saturates.
    Some(Term::Duration(comparison, (number * nanos).round() as u64))
}

impl Literal {
    fn new(text: &str) -> Self {
        let bool = match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        Literal { text: text.to_owned(), int: text.parse().ok(), double: text.parse().ok(), bool }
    }
}
