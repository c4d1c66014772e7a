//! The place of a cursor in a query, for completion.

use super::term::{FIELDS, KINDS, Operator, SEVERITIES, split};
use super::word::lenient_words;
use super::{Target, Term};

/// The word at a cursor, which a completion replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The position of the word's first byte.
    pub(crate) from: usize,
    /// The position after its last byte.
    pub(crate) to: usize,
    pub(crate) place: Place,
}

/// The part of a term that is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The name of a field or of an attribute, as far as it has been typed.
    Key(String),
    /// The value of a field, as far as it has been typed.
    Field { field: &'static str, value: String },
    /// The value of an attribute: the key with its operator, and what has been typed.
    Attribute { key: String, operator: &'static str, value: String },
}

impl Cursor {
    /// Returns the place of a cursor at a position in bytes.
    pub(crate) fn new(text: &str, at: usize) -> Cursor {
        let word = lenient_words(text).find(|word| word.start <= at && at <= word.end);
        let Some(word) = word else { return Cursor { from: at, to: at, place: Place::Key(String::new()) } };
        let place = match split(&word) {
            None => Place::Key(word.content.clone()),
            Some((key, operator, value)) => {
                let value = word.content.get(value..).unwrap_or_default().to_owned();
                let field = FIELDS.iter().find(|(field, _)| *field == key);
                match (operator, field) {
                    (Operator::Field, Some(&(field, _))) => Place::Field { field, value },
                    (Operator::Is, _) => Place::Attribute { key: key.to_owned(), operator: "=", value },
                    (Operator::IsNot, _) => Place::Attribute { key: key.to_owned(), operator: "!=", value },
                    _ => Place::Key(word.content.clone()),
                }
            }
        };
        Cursor { from: word.start, to: word.end, place }
    }
}

/// Returns the fields that apply to items of the type, with their explanations.
pub(crate) fn fields(target: Target) -> impl Iterator<Item = (&'static str, &'static str)> {
    FIELDS.into_iter().filter(move |(field, _)| {
        let example = match *field {
            "status" => Term::IsError(true),
            "kind" => Term::Kind(crate::model::Kind::Server),
            "severity" => Term::Severity(1, 24),
            "trace" => Term::Trace(0, 0),
            "span" => Term::Span(0, 0),
            "event" => Term::Event(super::term::Match::Is(String::new())),
            _ => return true,
        };
        example.check(target).is_ok()
    })
}

/// Returns the values of a field that has a fixed list of them.
pub(crate) fn fixed_values(field: &str) -> Vec<&'static str> {
    match field {
        "status" => vec!["error", "ok"],
        "kind" => KINDS.iter().map(|&(name, _)| name).collect(),
        "severity" => SEVERITIES.iter().map(|&(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// Returns a value as it is written in a query, in quotes if it needs them.
pub(crate) fn quoted(value: &str) -> String {
    let is_plain =
        !value.is_empty() && !value.contains(|character: char| character.is_whitespace() || character == '"');
    if is_plain { value.to_owned() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
}
