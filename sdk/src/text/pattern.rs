//! Patterns of names, with `*` and `?`.

use std::fmt;

/// Returns true if `name` matches `pattern`, in which `*` stands for any sequence of characters and `?` for a single one. `is_same`
/// compares two other bytes. The time is bounded by the product of the lengths.
pub(crate) fn matches_pattern(pattern: &str, name: &str, is_same: impl Fn(u8, u8) -> bool) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Position of the last star, and the end of the text it has matched so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, after_character(name, n)),
            Some(c) if is_same(*c, name[n]) => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, swallowed)) = star else { return false };
                let swallowed = after_character(name, swallowed);
                star = Some((at, swallowed));
                (p, n) = (at + 1, swallowed);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Returns the end of the character that begins at `at`.
fn after_character(text: &[u8], at: usize) -> usize {
    let continues = |byte: &&u8| **byte & 0xC0 == 0x80;
    at + 1 + text[at + 1..].iter().take_while(continues).count()
}

/// Names to include and to exclude, in which `*` stands for any sequence of characters and `?` for a single one. Compares case, and
/// an exclusion takes precedence.
///
/// ```
/// use telemark_sdk::text::Patterns;
///
/// let patterns = Patterns::new(Some(["process.*"]), ["process.command*"]);
/// assert!(patterns.matches("process.pid") && !patterns.matches("process.command_line") && !patterns.matches("host.id"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    /// `None` includes every name.
    included: Option<Vec<Pattern>>,
    excluded: Vec<Pattern>,
}

/// A pattern with the length of its beginning without wildcards, which most names that do not match differ from.
#[derive(Clone, PartialEq, Eq)]
struct Pattern {
    text: String,
    literal: usize,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Pattern {
    fn new(text: String) -> Self {
        let literal = text.find(['*', '?']).unwrap_or(text.len());
        Pattern { text, literal }
    }

    #[inline]
    fn matches(&self, name: &str) -> bool {
        let (literal, rest) = self.text.split_at(self.literal);
        name.strip_prefix(literal).is_some_and(|name| match rest {
            "" => name.is_empty(),
            "*" => true,
            rest => matches_pattern(rest, name, |a, b| a == b),
        })
    }
}

impl Patterns {
    /// Includes the names that match one of `included`, or all names, but none that matches one of `excluded`.
    pub fn new<I: Into<String>, E: Into<String>>(
        included: Option<impl IntoIterator<Item = I>>,
        excluded: impl IntoIterator<Item = E>,
    ) -> Self {
        let included = included.map(|patterns| patterns.into_iter().map(|text| Pattern::new(text.into())).collect());
        Patterns { included, excluded: excluded.into_iter().map(|text| Pattern::new(text.into())).collect() }
    }

    /// Returns true if the name is included and not excluded.
    pub fn matches(&self, name: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        self.included.as_deref().is_none_or(any) && !any(&self.excluded)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("a.b", "A.B", true),
            ("a.b", "a.c", false),
            ("http.*", "http.server.duration", true),
            ("http.*", "rpc.http.x", false),
            ("*.duration", "http.duration.x.duration", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "ab_a", false),
            ("", "a", false),
            ("a**", "a", true),
            ("?", "é", true),
            ("??", "é", false),
            ("*?b", "éb", true),
            ("*??b", "xéab", true),
            ("*??b", "éb", false),
        ] {
            let is_same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b);
            assert_eq!(matches_pattern(pattern, name, is_same), expected, "{pattern} {name}");
            // Compares case.
            if pattern != "a.b" {
                assert_eq!(Patterns::new(Some([pattern]), [""; 0]).matches(name), expected, "{pattern} {name}");
            }
        }
        assert!(!matches_pattern("a.b", "A.B", |a, b| a == b));
    }

    #[test]
    fn what_is_excluded_is_not_included() {
        let all: Option<[&str; 0]> = None;
        assert!(Patterns::new(all, ["b"]).matches("a") && !Patterns::new(all, ["b"]).matches("b"));
        assert!(
            Patterns::new(Some(["a*"]), ["ab"]).matches("aa") && !Patterns::new(Some(["a*"]), ["ab"]).matches("ab")
        );
        assert!(!Patterns::new(Some(["a"]), ["c"]).matches("b") && Patterns::default().matches("b"));
    }
}
