//! Changes of a text by ranges of bytes.

use std::ops::Range;

/// The text that replaces a range, which is empty for an insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

impl Edit {
    pub(crate) fn insert(at: usize, text: impl Into<String>) -> Edit {
        Edit { range: at..at, text: text.into() }
    }
}

/// Returns the new text. An edit that overlaps an earlier one is left out.
pub(crate) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    // The order among edits at the same place stays.
    edits.sort_by_key(|edit| edit.range.start);
    let (mut new, mut at) = (String::with_capacity(text.len()), 0);
    for edit in edits {
        if edit.range.start < at {
            continue;
        }
        new.push_str(&text[at..edit.range.start]);
        new.push_str(&edit.text);
        at = edit.range.end;
    }
    new.push_str(&text[at..]);
    new
}

/// Returns the line break of a text.
pub(crate) fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Returns the white space before an offset if nothing else is before it on its line.
pub(crate) fn indent(text: &str, at: usize) -> Option<&str> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[start..at];
    before.chars().all(char::is_whitespace).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_in_order() {
        let edits = vec![
            Edit { range: 4..7, text: "two".to_owned() },
            Edit::insert(0, "zero "),
            Edit { range: 5..6, text: "-".to_owned() },
            Edit::insert(7, " three"),
            Edit::insert(7, " four"),
        ];
        assert_eq!(apply("one 222", edits), "zero one two three four");
    }

    #[test]
    fn an_indent_is_alone_on_its_line() {
        assert_eq!(indent("a\n  b", 4), Some("  "));
        assert_eq!(indent("a\n  b", 5), None);
        assert_eq!(indent("b", 0), Some(""));
    }
}
