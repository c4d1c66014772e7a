//! The patterns of values: regular expressions within bounds, matched in time proportional to the length of the text.

use std::ops::Range;

use regex::{Regex, RegexBuilder};
use telemark_sdk::ConfigError;

/// Maximum number of bytes of a pattern.
const MAX_PATTERN: usize = 1024;
/// Maximum number of bytes of a compiled pattern, and of its cache on each thread that uses it.
const MAX_COMPILED: usize = 256 << 10;
/// Maximum nesting of groups.
const MAX_NESTING: u32 = 32;
/// Maximum number of matches of one pattern in one text. Each search may look at the whole rest of the text, so that a text with more
/// matches counts as one match from there on.
const MAX_MATCHES: usize = 256;

/// A pattern of values.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Maximum number of patterns of a rule.
    pub(crate) const MAX_COUNT: usize = 64;

    pub(crate) fn new(pattern: &str) -> Result<Self, ConfigError> {
        let refuse = |accepted: &str| ConfigError::invalid("values", pattern, accepted.to_owned());
        if pattern.len() > MAX_PATTERN {
            return Err(refuse(&format!("a pattern of at most {MAX_PATTERN} bytes")));
        }
        let regex = RegexBuilder::new(pattern)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| refuse(&reason(&error)))?;
        if regex.is_match("") {
            return Err(refuse("a pattern that does not match the empty text"));
        }
        Ok(Pattern(regex))
    }

    /// Calls `found` with each match.
    pub(crate) fn each(&self, text: &str, mut found: impl FnMut(Range<usize>)) {
        let mut from = 0;
        for _ in 0..MAX_MATCHES {
            let Some(next) = self.0.find_at(text, from) else { return };
            // Patterns with assertions may match an empty text within another one.
            if next.is_empty() {
                from = next.end() + text[next.end()..].chars().next().map_or(1, char::len_utf8);
                if from > text.len() {
                    return;
                }
                continue;
            }
            from = next.end();
            found(next.range());
        }
        // An empty match may be followed by another one.
        if let Some(next) = self.0.find_at(text, from).filter(|next| next.start() < text.len()) {
            found(next.start()..text.len());
        }
    }
}

/// Describes what is accepted instead.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => format!("a pattern that takes at most {} KiB", MAX_COMPILED >> 10),
        other => {
            // The message quotes the pattern over several lines and ends with the problem.
            let text = other.to_string();
            let problem = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("a regular expression; {problem}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        Pattern::new(pattern).unwrap().each(text, |range| found.push(&text[range]));
        assert_eq!(found, expected, "{pattern}");
    }

    #[test]
    fn matches_are_found_from_left_to_right() {
        check(r"\d+", "a1b22c", &["1", "22"]);
        check(r"(?i)ACME-\w+", "acme-7, Acme-8", &["acme-7", "Acme-8"]);
        check(r"\b|é", "aé", &["é"]);
    }

    #[test]
    fn many_matches_count_as_one_to_the_end() {
        let text = "ab".repeat(1000);
        let (mut count, mut last) = (0, 0..0);
        Pattern::new("a").unwrap().each(&text, |range| (count, last) = (count + 1, range));
        assert_eq!((count, last.end), (MAX_MATCHES + 1, text.len()));
        // Also behind many empty ones.
        let text = format!("{}secret", "a ".repeat(1000));
        let mut found = Vec::new();
        Pattern::new(r"secret|\b").unwrap().each(&text, |range| found.push(range));
        assert!(matches!(&found[..], [last] if last.end == text.len()), "{found:?}");
    }

    #[test]
    fn hostile_patterns_are_refused_with_the_reason() {
        let refused = |pattern: &str| Pattern::new(pattern).unwrap_err().to_string();
        assert_eq!(
            refused("a{1000}{1000}"),
            "values=\"a{1000}{1000}\" cannot be used: expected a pattern that takes at most 256 KiB"
        );
        assert_eq!(refused("(a"), "values=\"(a\" cannot be used: expected a regular expression; unclosed group");
        assert!(refused("a*").ends_with("expected a pattern that does not match the empty text"));
        assert!(refused(r"(a)\1").contains("backreferences are not supported"));
        assert!(refused("(?=a)").contains("look-around"));
        assert!(refused(&"a".repeat(MAX_PATTERN + 1)).ends_with("expected a pattern of at most 1024 bytes"));
        assert!(refused(&format!("{}a{}", "(".repeat(100), ")".repeat(100))).contains("nest"));
    }
}
