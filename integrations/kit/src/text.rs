//! Texts of a peer as values of attributes: bounded, never invalid, and marked where they are cut.

/// The longest text, in bytes, that is taken from a request into one attribute value.
pub const MAX_TEXT_BYTES: usize = 4096;

/// A text of at most a given length, and whether it was longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounded {
    pub(crate) text: String,
    pub(crate) is_cut: bool,
}

/// A peer's bytes, bounded by [`MAX_TEXT_BYTES`]. Bytes that are not UTF-8 become replacement characters.
pub(crate) fn bytes(bytes: &[u8]) -> Bounded {
    bytes_within(bytes, MAX_TEXT_BYTES)
}

/// A text, bounded by [`MAX_TEXT_BYTES`].
pub(crate) fn bounded(text: &str) -> Bounded {
    if text.len() <= MAX_TEXT_BYTES {
        Bounded { text: text.to_owned(), is_cut: false }
    } else {
        mended(text.as_bytes(), MAX_TEXT_BYTES)
    }
}

/// Bytes of which at most the first `most` are kept.
pub(crate) fn bytes_within(bytes: &[u8], most: usize) -> Bounded {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= most => Bounded { text: text.to_owned(), is_cut: false },
        _ => mended(bytes, most),
    }
}

#[cold]
fn mended(bytes: &[u8], most: usize) -> Bounded {
    let Some(cut) = bytes.get(..most).filter(|_| bytes.len() > most) else {
        return Bounded { text: String::from_utf8_lossy(bytes).into_owned(), is_cut: false };
    };
    // A character that the cut went through must not become a replacement character.
    let whole = match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() => &cut[..error.valid_up_to()],
        _ => cut,
    };
    Bounded { text: String::from_utf8_lossy(whole).into_owned(), is_cut: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Bounded {
        Bounded { text: text.to_owned(), is_cut: false }
    }

    #[test]
    fn cuts_long_text_between_characters_and_says_so() {
        assert_eq!((bytes("é".as_bytes()), bounded("é")), (whole("é"), whole("é")));
        assert_eq!(bytes(b"a\xffb"), whole("a\u{fffd}b"));
        assert_eq!(bytes(&vec![b'a'; MAX_TEXT_BYTES]), whole(&"a".repeat(MAX_TEXT_BYTES)));
        let cut = bytes(&vec![b'a'; MAX_TEXT_BYTES + 1]);
        assert_eq!((cut.text.len(), cut.is_cut), (MAX_TEXT_BYTES, true));
        let wide = "€".repeat(MAX_TEXT_BYTES);
        assert_eq!(bounded(&wide), bytes(wide.as_bytes()));
        let cut = bounded(&wide);
        assert_eq!((cut.text.len(), cut.is_cut), (MAX_TEXT_BYTES / 3 * 3, true));
        assert!(cut.text.chars().all(|c| c == '€'));
    }
}
