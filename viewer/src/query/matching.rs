//! Applies a query to traces, log records and instruments.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use super::Query;
use super::term::{AttributeMatch, Literal, Match, Term};
use crate::model::{Attribute, Record, Resource, Span, Status, TraceId, Value};

/// Facts about a trace as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceFacts {
    pub(crate) id: TraceId,
    pub(crate) duration: u64,
    pub(crate) has_errors: bool,
}

impl Query {
    /// Returns true if the trace fulfils the terms about traces, and one of its spans fulfils all others.
    pub(crate) fn matches_trace(&self, trace: TraceFacts, spans: &[Arc<Span>]) -> bool {
        let mut has_span_terms = false;
        for term in &self.terms {
            let holds = match term {
                Term::Duration(comparison, limit) => comparison.holds(Some(trace.duration.cmp(limit))),
                Term::Trace(bits, others) => has_prefix(trace.id, *bits, *others),
                // A trace with an error has one in a span, which must fulfil the other terms, too.
                Term::IsError(true) if !trace.has_errors => false,
                Term::IsError(false) => !trace.has_errors,
                _ => {
                    has_span_terms = true;
                    continue;
                }
            };
            if !holds {
                return false;
            }
        }
        !has_span_terms || spans.iter().any(|span| self.terms.iter().all(|term| term.matches_span(span)))
    }

    /// Returns true if the log record fulfils all terms.
    pub(crate) fn matches_record(&self, record: &Record) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Service(service) => service.matches(&record.resource.service),
            Term::Name(name) | Term::Event(name) => name.matches(&record.event_name),
            Term::Severity(low, high) => (*low..=*high).contains(&record.severity),
            Term::Trace(bits, others) => has_prefix(record.trace_id, *bits, *others),
            Term::Span(bits, others) => record.span_id.0 >> others == *bits && !record.span_id.is_zero(),
            Term::Attribute(key, value) => matches_attribute(&record.attributes, &record.resource, key, value),
            Term::Word(word) => {
                contains(&text_of(&record.body), word)
                    || contains(&record.event_name, word)
                    || contains(&record.resource.service, word)
            }
            Term::IsError(_) | Term::Kind(_) | Term::Duration(..) => false,
        })
    }

    /// Returns true if an instrument with this name and description, used by these services, fulfils all terms.
    pub(crate) fn matches_instrument(&self, name: &str, description: &str, services: &[&str]) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Service(service) => services.iter().any(|name| service.matches(name)),
            Term::Name(expected) => expected.matches(name),
            Term::Word(word) => contains(name, word) || contains(description, word),
            _ => false,
        })
    }

    /// Returns true if the query consists of this exact name.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(&*self.terms, [Term::Name(Match::Is(expected))] if expected == name)
    }
}

impl Term {
    /// Returns true if the term is about the whole trace, or holds for the span.
    fn matches_span(&self, span: &Span) -> bool {
        match self {
            Term::Service(service) => service.matches(&span.resource.service),
            Term::Name(name) => name.matches(&span.name),
            Term::Event(name) => span.events.iter().any(|event| name.matches(&event.name)),
            Term::Kind(kind) => span.kind == *kind,
            Term::IsError(true) => matches!(span.status, Status::Error(_)),
            Term::Span(bits, others) => span.span_id.0 >> others == *bits,
            Term::Attribute(key, value) => matches_attribute(&span.attributes, &span.resource, key, value),
            Term::Word(word) => {
                contains(&span.name, word)
                    || contains(&span.resource.service, word)
                    || matches!(&span.status, Status::Error(message) if contains(message, word))
            }
            Term::IsError(false) | Term::Duration(..) | Term::Trace(..) => true,
            Term::Severity(..) => false,
        }
    }
}

impl Match {
    fn matches(&self, text: &str) -> bool {
        match self {
            Match::Is(expected) => text == expected,
            Match::Contains(part) => contains(text, part),
        }
    }
}

fn has_prefix(id: TraceId, bits: u128, others: u32) -> bool {
    id.0 >> others == bits && !id.is_zero()
}

fn matches_attribute(attributes: &[Attribute], resource: &Resource, key: &str, expected: &AttributeMatch) -> bool {
    let of_item = attributes.iter().find(|attribute| &*attribute.key == key);
    let attribute = of_item.or_else(|| resource.attributes.iter().find(|attribute| &*attribute.key == key));
    attribute.is_some_and(|attribute| expected.matches(&attribute.value))
}

impl AttributeMatch {
    fn matches(&self, value: &Value) -> bool {
        match self {
            AttributeMatch::Is(literal) => literal.is(value),
            AttributeMatch::IsNot(literal) => !literal.is(value),
            AttributeMatch::Contains(part) => contains(&text_of(value), part),
            AttributeMatch::Compares(comparison, limit) => {
                let number = match value {
                    Value::Int(number) => Some(*number as f64),
                    Value::Double(number) => Some(*number),
                    _ => None,
                };
                comparison.holds(number.and_then(|number| number.partial_cmp(limit)))
            }
        }
    }
}

impl Literal {
    /// Compares with a value of any type, and with each element of a list.
    fn is(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => **text == *self.text,
            Value::Int(number) => self.int == Some(*number),
            Value::Double(number) => self.double == Some(*number),
            Value::Bool(value) => self.bool == Some(*value),
            Value::Array(values) => values.iter().any(|value| self.is(value)),
            Value::Null | Value::Bytes(_) | Value::Map(_) => *text_of(value) == *self.text,
        }
    }
}

/// Returns true if a text contains another one, which is in lower case, regardless of case.
pub(crate) fn contains(text: &str, lower: &str) -> bool {
    if lower.is_empty() {
        return true;
    }
    if text.is_ascii() {
        let (text, lower) = (text.as_bytes(), lower.as_bytes());
        return text.windows(lower.len()).any(|window| window.eq_ignore_ascii_case(lower));
    }
    text.to_lowercase().contains(lower)
}

/// Returns a value as readable text: text as it is, other types as in JSON.
pub(crate) fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => {
            let mut text = String::new();
            write_value(&mut text, other);
            Cow::Owned(text)
        }
    }
}

/// Writes a value. The store bounds its depth. Writing to a `String` cannot fail.
fn write_value(text: &mut String, value: &Value) {
    let _ = match value {
        Value::Null => text.write_str("null"),
        Value::Bool(value) => write!(text, "{value}"),
        Value::Int(value) => write!(text, "{value}"),
        Value::Double(value) => write!(text, "{value}"),
        Value::String(value) => write!(text, "{value:?}"),
        Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}")),
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                write_value(text, value);
            }
            text.write_char(']')
        }
        Value::Map(entries) => {
            text.push('{');
            for (index, entry) in entries.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                let _ = write!(text, "{:?}: ", entry.key);
                write_value(text, &entry.value);
            }
            text.write_char('}')
        }
    };
}
