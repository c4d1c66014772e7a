//! Comments that allow what a check finds: `// telemark: allow(print): the user waits for it`.

use super::checks::CHECKS;

/// What comes before the names of the checks.
const MARK: &str = "// telemark: allow(";

/// A comment in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) line: usize,
    pub(crate) check: String,
}

/// Returns the comments of a file.
pub(crate) fn comments(text: &str) -> Vec<Allowed> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((before, rest)) = line.split_once(MARK) else { continue };
        // Documentation and texts may show the comment.
        if before.contains("//") || before.replace("\\\"", "").matches('"').count() % 2 == 1 {
            continue;
        }
        let Some((names, _)) = rest.split_once(')') else { continue };
        found.extend(names.split(',').map(|name| Allowed { line: index + 1, check: name.trim().to_owned() }));
    }
    found
}

/// Returns the index of the comment that allows a finding of this check in this line: on the line, or directly above it, between other
/// comments and attributes.
pub(crate) fn find(comments: &[Allowed], text: &str, check: &str, line: usize) -> Option<usize> {
    if comments.is_empty() {
        return None;
    }
    let lines: Vec<_> = text.lines().collect();
    let mut at = line;
    loop {
        let found = comments.iter().position(|comment| comment.line == at && comment.check == check);
        if found.is_some() {
            return found;
        }
        let above = at.checked_sub(2).and_then(|index| lines.get(index))?.trim_start();
        if !above.starts_with("//") && !above.starts_with("#[") {
            return None;
        }
        at -= 1;
    }
}

/// Returns true if a check has this name.
pub(crate) fn is_check(name: &str) -> bool {
    CHECKS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, check: &str, line: usize, expected: Option<usize>) {
        assert_eq!(find(&comments(text), text, check, line), expected, "{text}");
    }

    #[test]
    fn a_comment_is_on_the_line_or_above_it() {
        check("a; // telemark: allow(print)", "print", 1, Some(0));
        check("a; // telemark: allow(print)", "error", 1, None);
        check("a; // telemark: allow(print)\nb;", "print", 2, None);
        check("// telemark: allow(error, print): why\n// more\n#[x]\nb;", "print", 4, Some(1));
        check("// telemark: allow(print)\n\nb;", "print", 3, None);
        check("// telemark: allow(print", "print", 1, None);
        check("/// `// telemark: allow(print)`\nb;", "print", 2, None);
        check("b(\"// telemark: allow(print)\");", "print", 1, None);
        check(r#"b("c(\"// telemark: allow(print)\");");"#, "print", 1, None);
        check("b;", "print", 7, None);
    }
}
