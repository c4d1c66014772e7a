//! The query language of the page, of links and of tools.
//!
//! | term | matches |
//! |---|---|
//! | `service:shop` | spans and log records of this service |
//! | `name:"GET /users"` | spans, events or instruments with exactly this name |
//! | `status:error`, `status:ok` | spans with an error; traces without one |
//! | `kind:server` | spans of this kind |
//! | `>100ms`, `<2s` | traces by their duration |
//! | `severity:warn`, `>=warn` | log records by their severity |
//! | `http.route=/users`, `!=` | items whose attribute, or their resource's, has this value or another one |
//! | `http.route~users` | items whose attribute contains the text, in upper or lower case; also `name~` and `service~` |
//! | `status_code>=500` | items whose attribute is a number, with `>`, `>=`, `<` and `<=` |
//! | `trace:4bf92f`, `span:00f067aa` | by the beginning of the id |
//! | `word`, `"two words"` | text in names, services, messages and bodies |
//!
//! A trace matches if it fulfils the terms about traces, and if one of its spans fulfils all others. Quotes keep spaces and
//! operators; a backslash before a quote keeps the quote.

mod complete;
mod matching;
mod term;
mod word;

pub(crate) use complete::{Cursor, Place, fields, fixed_values, quoted};
pub(crate) use matching::{TraceFacts, contains, text_of};
use term::Term;

/// The maximum length of a query in bytes.
const MAX_LENGTH: usize = 8 << 10;
/// The maximum number of terms.
const MAX_TERMS: usize = 64;

/// The items that a query selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Traces,
    Records,
    Instruments,
}

/// A parsed query. The empty query matches everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query {
    terms: Vec<Term>,
}

/// The error of parsing a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryError {
    pub(crate) message: String,
    /// The position of the fault, in bytes.
    pub(crate) at: usize,
}

impl QueryError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        QueryError { message: message.into(), at }
    }
}

impl Query {
    /// Parses a query for items of one type.
    pub(crate) fn parse(text: &str, target: Target) -> Result<Query, QueryError> {
        if text.len() > MAX_LENGTH {
            return Err(QueryError::new(MAX_LENGTH, "the query is too long"));
        }
        let mut terms = Vec::new();
        for word in word::words(text) {
            let word = word?;
            if terms.len() >= MAX_TERMS {
                return Err(QueryError::new(word.start, "the query has too many terms"));
            }
            let term = Term::parse(&word)?;
            term.check(target).map_err(|message| QueryError::new(word.start, message))?;
            terms.push(term);
        }
        Ok(Query { terms })
    }
}

/// Parses the query for every type of items, and applies it to nothing. For fuzzing.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(text: &str) {
    for target in [Target::Traces, Target::Records, Target::Instruments] {
        if let Err(error) = Query::parse(text, target) {
            assert!(text.is_char_boundary(error.at), "{error:?} lies within a character of {text:?}");
        }
    }
    for at in (0..=text.len()).filter(|&at| text.is_char_boundary(at)).take(100) {
        let cursor = Cursor::new(text, at);
        assert!(cursor.from <= at && at <= cursor.to && text.get(cursor.from..cursor.to).is_some());
    }
    let quoted = format!("name:{}", quoted(text));
    if quoted.len() < MAX_LENGTH {
        let query = Query::parse(&quoted, Target::Traces);
        assert!(query.is_ok_and(|query| query.is_name(text)), "{text:?} changes in quotes");
    }
}

#[cfg(test)]
mod tests;
