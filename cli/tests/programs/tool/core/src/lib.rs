//! Counts words.
//!
//! ```
//! assert_eq!(tool_core::count("a b"), 2);
//! ```

/// Returns the number of words.
pub fn count(text: &str) -> usize {
    let words = text.split_whitespace();
    words.count()
}

/// Panics.
pub fn fail(text: &str) { let length = text.len(); let wrong: Option<usize> = None; println!("{}", wrong.unwrap() + length); }

/// Returns a text, and has no argument for the field of the rule.
pub fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    version.to_owned()
}

/// Returns the bytes of a text in hexadecimal digits.
pub fn digits(text: &str) -> String { hex::encode(text) }

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_counted() {
        assert_eq!(super::count(" a  b\nc "), 3);
    }
}
