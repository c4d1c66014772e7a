//! Searches text at word boundaries.

/// Returns true if `whole` contains `part` at word boundaries: "error 12" does not contain "error 1".
pub(crate) fn contains(whole: &str, part: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let starts_in_word = is_word(part.chars().next());
    let ends_in_word = is_word(part.chars().next_back());
    whole.match_indices(part).any(|(at, _)| {
        let before = whole[..at].chars().next_back();
        let after = whole[at + part.len()..].chars().next();
        let splits_word = starts_in_word && is_word(before) || ends_in_word && is_word(after);
        !splits_word
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_at_word_boundaries() {
        assert!(contains("cannot load: connection refused (os error 111)", "connection refused"));
        assert!(contains("see error 12: error 1", "error 1"));
        assert!(!contains("see error 12", "error 1"));
        assert!(!contains("timeouts are configured", "timeout"));
        assert!(contains("timeouts", ""));
    }
}
