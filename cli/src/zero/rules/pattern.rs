//! Patterns of paths: `*` stands for any text within a segment, and `**` for any text.

use std::str::FromStr;

/// A pattern of a function's path, whose segments end at `::`, or of a file's, whose segments end at `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
    /// The pattern, if it has no star: most calls and paths are compared with such ones.
    literal: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Char(char),
    /// `*`
    Segment,
    /// `**`
    Any,
}

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        for char in text.chars() {
            match (char, parts.last()) {
                ('*', Some(Part::Any)) => return Err("expected `*` or `**`"),
                ('*', Some(Part::Segment)) => {
                    parts.pop();
                    parts.push(Part::Any);
                }
                ('*', _) => parts.push(Part::Segment),
                (char, _) if char.is_whitespace() => return Err("expected a pattern without white space"),
                (char, _) => parts.push(Part::Char(char)),
            }
        }
        if parts.is_empty() {
            return Err("expected a pattern such as `shop::cart::*`");
        }
        Ok(Pattern { parts, literal: (!text.contains('*')).then(|| text.to_owned()) })
    }
}

impl Pattern {
    /// Returns true if the pattern describes the whole text. Takes time in proportion to the product of both lengths at most.
    pub(crate) fn matches(&self, text: &str) -> bool {
        if let Some(literal) = &self.literal {
            return literal == text;
        }
        // The positions in the pattern that the text so far can lead to.
        let mut reached = vec![false; self.parts.len() + 1];
        reached[0] = true;
        self.skip_empty(&mut reached);
        for char in text.chars() {
            let mut next = vec![false; self.parts.len() + 1];
            for (at, part) in self.parts.iter().enumerate().filter(|(at, _)| reached[*at]) {
                match part {
                    Part::Char(expected) if *expected == char => next[at + 1] = true,
                    Part::Segment if !matches!(char, ':' | '/') => next[at] = true,
                    Part::Any => next[at] = true,
                    Part::Char(_) | Part::Segment => {}
                }
            }
            self.skip_empty(&mut next);
            reached = next;
        }
        reached.last() == Some(&true)
    }

    /// Lets each star stand for no text.
    fn skip_empty(&self, reached: &mut [bool]) {
        for (at, part) in self.parts.iter().enumerate() {
            if reached[at] && !matches!(part, Part::Char(_)) {
                reached[at + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let pattern: Pattern = pattern.parse().unwrap();
        assert!(matching.iter().all(|text| pattern.matches(text)), "{pattern:?}");
        assert!(!others.iter().any(|text| pattern.matches(text)), "{pattern:?}");
    }

    #[test]
    fn stars_stand_for_text() {
        check("shop::cart", &["shop::cart"], &["shop::carts", "a::shop::cart", ""]);
        check("shop::*", &["shop::cart", "shop::"], &["shop::Cart::add", "shop"]);
        check("shop::**", &["shop::cart", "shop::Cart::add"], &["shop"]);
        check("**::load*", &["a::load", "a::B::load_all"], &["load", "a::load::b"]);
        check("src/*.rs", &["src/a.rs"], &["src/a/b.rs", "src/a.rss"]);
        check("src/**.rs", &["src/a.rs", "src/a/b.rs"], &[]);
        check("*", &["main", ""], &["a::b"]);
    }

    #[test]
    fn texts_that_are_no_patterns_are_refused() {
        for text in ["", "a::***", "a b"] {
            text.parse::<Pattern>().unwrap_err();
        }
    }
}
