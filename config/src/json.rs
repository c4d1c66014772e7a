//! The one thing in JSON that YAML does not have: pairs of escapes for characters beyond 16 bits, such as `\ud83d\ude00`.

use std::borrow::Cow;

/// Replaces the pairs in the strings of a JSON document with the escape of YAML. Leaves any other document as it is, because there a
/// backslash may stand for itself.
pub(crate) fn without_pairs(text: &str) -> Cow<'_, str> {
    let is_json = text.trim_start().starts_with(['{', '[']);
    if !is_json || !(text.contains("\\ud") || text.contains("\\uD")) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        match pair(rest) {
            Some(character) => {
                result.push_str(&format!("\\U{:08x}", u32::from(character)));
                rest = &rest[12..];
            }
            None => {
                // A backslash and the character that it escapes, which may be another backslash.
                let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
                result.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    result.push_str(rest);
    Cow::Owned(result)
}

/// Returns the character of the pair with which the text starts.
fn pair(text: &str) -> Option<char> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let units = [unit(text)?, unit(text.get(6..)?)?];
    let is_pair = matches!(units, [0xD800..=0xDBFF, 0xDC00..=0xDFFF]);
    char::decode_utf16(units).next().filter(|_| is_pair)?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pairs_in_json_are_replaced() {
        for (text, expected) in [
            (r#"{"a": "\ud83d\ude00 \uD83D\uDE00"}"#, r#"{"a": "\U0001f600 \U0001f600"}"#),
            (r#"{"a": "\\ud83d\\ude00"}"#, r#"{"a": "\\ud83d\\ude00"}"#),
            (r#"{"a": "\\\ud83d\ude00"}"#, r#"{"a": "\\\U0001f600"}"#),
            (r#"["\ud83d", "\ude00\ud83d", "\ud8"#, r#"["\ud83d", "\ude00\ud83d", "\ud8"#),
            (r"a: '\ud83d\ude00'", r"a: '\ud83d\ude00'"),
            (r"[\ud83dé\", r"[\ud83dé\"),
        ] {
            assert_eq!(without_pairs(text), expected, "{text}");
        }
    }
}
