//! Converts a peer's text to attribute values that are bounded, valid UTF-8, and marked if truncated.

/// The maximum size, in bytes, of an attribute value taken from a peer.
pub const MAX_TEXT_BYTES: usize = 4096;

/// A string of bounded length.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BoundedText {
    /// The text, truncated between two characters.
    pub text: String,
    /// True if the peer's text was longer.
    pub is_cut: bool,
}

impl BoundedText {
    /// Returns at most the first [`MAX_TEXT_BYTES`] of `text`.
    #[inline]
    pub fn new(text: &str) -> Self {
        if text.len() <= MAX_TEXT_BYTES {
            BoundedText { text: text.to_owned(), is_cut: false }
        } else {
            mended(text.as_bytes(), MAX_TEXT_BYTES)
        }
    }

    /// Returns at most the first [`MAX_TEXT_BYTES`] of `bytes`, with replacement characters for invalid UTF-8.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        BoundedText::from_bytes_within(bytes, MAX_TEXT_BYTES)
    }

    /// Returns at most the first `max_bytes` of `bytes`, with replacement characters for invalid UTF-8.
    #[inline]
    pub fn from_bytes_within(bytes: &[u8], max_bytes: usize) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.len() <= max_bytes => BoundedText { text: text.to_owned(), is_cut: false },
            _ => mended(bytes, max_bytes),
        }
    }
}

impl From<String> for BoundedText {
    /// Returns at most the first [`MAX_TEXT_BYTES`] of `text`, without copying a short one.
    #[inline]
    fn from(text: String) -> Self {
        if text.len() <= MAX_TEXT_BYTES {
            BoundedText { text, is_cut: false }
        } else {
            mended(text.as_bytes(), MAX_TEXT_BYTES)
        }
    }
}

#[cold]
fn mended(bytes: &[u8], max_bytes: usize) -> BoundedText {
    let Some(cut) = bytes.get(..max_bytes).filter(|_| bytes.len() > max_bytes) else {
        return BoundedText { text: String::from_utf8_lossy(bytes).into_owned(), is_cut: false };
    };
    // A character split by the cut must not become a replacement character.
    let whole = match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() => &cut[..error.valid_up_to()],
        _ => cut,
    };
    BoundedText { text: String::from_utf8_lossy(whole).into_owned(), is_cut: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> BoundedText {
        BoundedText { text: text.to_owned(), is_cut: false }
    }

    #[test]
    fn cuts_long_text_between_characters_and_says_so() {
        assert_eq!((BoundedText::from_bytes("é".as_bytes()), BoundedText::new("é")), (whole("é"), whole("é")));
        assert_eq!(BoundedText::from_bytes(b"a\xffb"), whole("a\u{fffd}b"));
        assert_eq!(BoundedText::from_bytes(&vec![b'a'; MAX_TEXT_BYTES]), whole(&"a".repeat(MAX_TEXT_BYTES)));
        let cut = BoundedText::from_bytes(&vec![b'a'; MAX_TEXT_BYTES + 1]);
        assert_eq!((cut.text.len(), cut.is_cut), (MAX_TEXT_BYTES, true));
        let wide = "€".repeat(MAX_TEXT_BYTES);
        assert_eq!(BoundedText::new(&wide), BoundedText::from_bytes(wide.as_bytes()));
        assert_eq!(
            (BoundedText::from(wide.clone()), BoundedText::from("é".to_owned())),
            (BoundedText::new(&wide), whole("é"))
        );
        let cut = BoundedText::new(&wide);
        assert_eq!((cut.text.len(), cut.is_cut), (MAX_TEXT_BYTES / 3 * 3, true));
        assert!(cut.text.chars().all(|c| c == '€'));
    }

    proptest! {
        #[test]
        fn a_text_is_the_beginning_of_its_bytes(bytes: Vec<u8>, text: String, max_bytes in 0..40_usize) {
            let bounded = BoundedText::from_bytes_within(text.as_bytes(), max_bytes);
            prop_assert!(bounded.text.len() <= max_bytes && text.starts_with(&bounded.text));
            prop_assert_eq!(bounded.is_cut, text.len() > max_bytes);
            // Each invalid byte becomes a replacement character of three bytes.
            let bounded = BoundedText::from_bytes_within(&bytes, max_bytes);
            prop_assert!(bounded.text.len() <= 3 * max_bytes);
        }
    }
}
