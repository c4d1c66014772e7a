//! Splits a query into words, with the rules for quotes.

use super::QueryError;

/// A word of a query, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The position of the first byte.
    pub(super) start: usize,
    /// The position after the last byte.
    pub(super) end: usize,
    pub(super) content: String,
    /// The length of the content before the first quote. Operators after it are text.
    pub(super) bare: usize,
    /// The position of a quote that is not closed.
    pub(super) open_quote: Option<usize>,
}

/// Returns the words of a query. A quote that is not closed is an error.
pub(super) fn words(text: &str) -> impl Iterator<Item = Result<Word, QueryError>> {
    lenient_words(text).map(|word| match word.open_quote {
        Some(at) => Err(QueryError::new(at, "the quote is not closed")),
        None => Ok(word),
    })
}

/// Returns the words of a query. A quote that is not closed ends with the query.
pub(super) fn lenient_words(text: &str) -> impl Iterator<Item = Word> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let skipped = rest.find(|character: char| !character.is_whitespace())?;
        let word = word(text, at + skipped);
        at = word.end;
        Some(word)
    })
}

/// Reads the word that starts at `start`.
fn word(text: &str, start: usize) -> Word {
    let mut content = String::new();
    let mut bare = None;
    let mut open_quote = None;
    let mut characters = text.get(start..).unwrap_or_default().char_indices().peekable();
    let mut end = text.len();
    while let Some((offset, character)) = characters.next() {
        match character {
            '"' if open_quote.is_some() => open_quote = None,
            '"' => {
                open_quote = Some(start + offset);
                bare = bare.or(Some(content.len()));
            }
            '\\' if open_quote.is_some() => match characters.peek() {
                Some(&(_, escaped @ ('"' | '\\'))) => {
                    content.push(escaped);
                    characters.next();
                }
                _ => content.push('\\'),
            },
            character if character.is_whitespace() && open_quote.is_none() => {
                end = start + offset;
                break;
            }
            character => content.push(character),
        }
    }
    Word { start, end, bare: bare.unwrap_or(content.len()), content, open_quote }
}
