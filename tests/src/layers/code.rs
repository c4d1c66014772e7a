//! Strips comments, the contents of literals, and test modules from Rust code.

/// Returns the code with comments and with string and character literals blanked out. Lines keep their numbers.
pub(super) fn without_comments_and_texts(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_token(&chars, at);
        if end == at + 1 {
            code.push(chars[at]);
        } else {
            // Keep line breaks, so that line numbers stay the same.
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
        }
        at = end;
    }
    code
}

/// Returns the end of the comment or literal that starts at `at`, or the next index for anything else.
fn end_of_token(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied();
    let find = |from: usize, pattern: &[char]| {
        (from..chars.len()).find(|&i| chars[i..].starts_with(pattern)).map_or(chars.len(), |i| i + pattern.len())
    };
    match chars[at] {
        '/' if next(1) == Some('/') => (at..chars.len()).find(|&i| chars[i] == '\n').unwrap_or(chars.len()),
        '/' if next(1) == Some('*') => {
            let (mut depth, mut i) = (1, at + 2);
            while i < chars.len() && depth > 0 {
                match (chars[i], chars.get(i + 1)) {
                    ('/', Some('*')) => (depth, i) = (depth + 1, i + 1),
                    ('*', Some('/')) => (depth, i) = (depth - 1, i + 1),
                    _ => {}
                }
                i += 1;
            }
            i
        }
        'r' if matches!(next(1), Some('"' | '#')) && !is_word(at.checked_sub(1).map(|i| chars[i])) => {
            let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
            if chars.get(at + 1 + hashes) != Some(&'"') {
                return at + 1;
            }
            let mut close = vec!['"'];
            close.extend(std::iter::repeat_n('#', hashes));
            find(at + 2 + hashes, &close)
        }
        '"' => end_of_quoted(chars, at, '"'),
        // A lifetime has no closing quote after one character.
        '\'' if next(1) == Some('\\') || next(2) == Some('\'') => end_of_quoted(chars, at, '\''),
        _ => at + 1,
    }
}

fn end_of_quoted(chars: &[char], at: usize, quote: char) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

fn is_word(character: Option<char>) -> bool {
    character.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// Returns the code without modules under `#[cfg(test)]` and similar conditions. Expects code without comments and
/// literals.
pub(super) fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut production = String::with_capacity(code.len());
    while let Some(start) = rest.find("#[cfg(") {
        let (before, attribute) = rest.split_at(start);
        production.push_str(before);
        let line = attribute.find(']').map_or(attribute.len(), |end| end + 1);
        let item = &attribute[line..];
        let is_module = ["mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod "]
            .iter()
            .any(|start| item.trim_start().starts_with(start));
        let is_test = is_never_shipped(&attribute[..line]);
        let skipped = if is_test && is_module { line + end_of_item(item) } else { line };
        if skipped == line {
            production.push_str(&attribute[..line]);
        }
        rest = &attribute[skipped..];
    }
    production + rest
}

/// Returns true if a condition such as `all(test, not(loom))` holds only in tests.
fn is_never_shipped(attribute: &str) -> bool {
    let mut positive = String::new();
    let mut rest = attribute;
    while let Some((before, negated)) = rest.split_once("not(") {
        positive.push_str(before);
        rest = negated.split_once(')').map_or("", |(_, after)| after);
    }
    positive.push_str(rest);
    let mut words = tokens(&positive);
    !positive.contains("any(") && words.any(|word| word == "test" || word == "loom")
}

/// Returns the length of the item, up to its semicolon or closing brace.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0usize;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Returns words, `::`, and every other non-whitespace character.
pub(super) fn tokens(code: &str) -> impl Iterator<Item = &str> {
    let mut rest = code;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let length = if is_word(Some(first)) {
            rest.find(|c| !is_word(Some(c))).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        Some(token)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        tokens(&without_tests(&without_comments_and_texts(text))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_texts_are_no_code() {
        assert_eq!(words("a // crate::b\nc /* d /* e */ f */ g"), "a c g");
        assert_eq!(words(r##"a("crate::b \" c", 'd', '\'', r#"e " f"#, b"g")"##), "a ( , , , , b )");
        assert_eq!(words("fn f<'a>(x: &'a str) {}"), "fn f < ' a > ( x : & ' a str ) { }");
        assert_eq!(words("a::b::{c, d}"), "a :: b :: { c , d }");
        assert_eq!(words("\"never closed"), "");
    }

    #[test]
    fn test_modules_are_no_production_code() {
        assert_eq!(words("a\n#[cfg(test)]\nmod tests { fn f() { if x {} } }\nb"), "a b");
        assert_eq!(words("#[cfg(test)]\nmod tests;\nb"), "b");
        assert_eq!(words("#[cfg(all(test, loom))]\nmod loom_tests { x }"), "");
        assert_eq!(words("#[cfg(all(test, not(loom)))] mod tests { x }"), "");
        assert!(words("#[cfg(any(test, unix))] mod a { x }").ends_with("{ x }"));
        let kept = "# [ cfg ( unix ) ] mod a { x }";
        assert_eq!(words("#[cfg(unix)] mod a { x }"), kept);
        assert!(words("#[cfg(not(loom))] mod a { x }").ends_with("{ x }"));
    }
}
