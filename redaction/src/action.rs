//! What happens to a value that is found: it is deleted, masked, hashed or replaced.

use std::borrow::Cow;
use std::fmt::{self, Write};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use telemark_sdk::ConfigError;

/// The action of a [`Rule`](crate::Rule).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Removes the attribute that contains the value, or the element of a list or the entry of a map. In texts that are no attribute,
    /// such as the name of a span, only the value.
    Delete,
    /// Replaces each character by `*`, except for the last `keep_last` ones, of which never more than half of the value stays.
    Mask {
        /// Number of characters that stay.
        keep_last: usize,
    },
    /// Replaces the value by a keyed hash of it, so that equal values can still be told from different ones: the first 128 bits of
    /// HMAC-SHA-256 in hexadecimal. `printf %s VALUE | openssl dgst -sha256 -hmac KEY` begins with the same digits.
    Hash(HashKey),
    /// Replaces the value by this text, of at most [`Action::MAX_REPLACEMENT`] bytes.
    Replace(Cow<'static, str>),
}

impl Action {
    /// Maximum number of bytes of the text that replaces a value. A longer text is cut.
    pub const MAX_REPLACEMENT: usize = 256;

    /// Writes what replaces `value`.
    pub(crate) fn write(&self, value: &str, to: &mut String) {
        match self {
            Action::Delete => {}
            Action::Mask { keep_last } => {
                let count = value.chars().count();
                let masked = count - (*keep_last).min(count / 2);
                to.extend(std::iter::repeat_n('*', masked));
                to.extend(value.chars().skip(masked));
            }
            Action::Hash(key) => key.write(value, to),
            Action::Replace(text) => to.push_str(cut(text)),
        }
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(Action::MAX_REPLACEMENT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The secret key of [`Action::Hash`]. Without it, a value can be found from its hash by trying: there are not many telephone numbers.
/// Its `Debug` does not show it.
#[derive(Clone)]
pub struct HashKey(Hmac<Sha256>);

impl HashKey {
    /// The minimum number of bytes of a key.
    pub const MIN_BYTES: usize = 16;

    /// Creates a key. Programs with the same key give a value the same hash.
    ///
    /// # Errors
    /// Returns an error if the key has fewer than [`HashKey::MIN_BYTES`] bytes.
    pub fn new(key: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let key = key.as_ref();
        let made = Hmac::new_from_slice(key).ok().filter(|_| key.len() >= HashKey::MIN_BYTES);
        made.map(HashKey).ok_or_else(|| {
            let accepted = format!("at least {} bytes", HashKey::MIN_BYTES);
            ConfigError::redacted("hash_key", format!("{} bytes", key.len()), accepted)
        })
    }

    fn write(&self, value: &str, to: &mut String) {
        let hash = self.0.clone().chain_update(value).finalize().into_bytes();
        for byte in hash.iter().take(16) {
            let _ = write!(to, "{byte:02x}");
        }
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(action: &Action, value: &str, expected: &str) {
        let mut text = String::new();
        action.write(value, &mut text);
        assert_eq!(text, expected, "{action:?}");
    }

    #[test]
    fn each_action() {
        check(&Action::Delete, "secret", "");
        check(&Action::Mask { keep_last: 0 }, "größe", "*****");
        check(&Action::Mask { keep_last: 4 }, "4111111111111111", "************1111");
        check(&Action::Mask { keep_last: 4 }, "1234", "**34");
        check(&Action::Mask { keep_last: 9 }, "x", "*");
        check(&Action::Replace("[x]".into()), "secret", "[x]");
        check(&Action::Replace("é".repeat(200).into()), "secret", &"é".repeat(128));
        // Computed with openssl, as the documentation says.
        let key = HashKey::new("0123456789abcdef").unwrap();
        check(&Action::Hash(key), "what do ya want for nothing?", HASH);
    }

    const HASH: &str = "e9265dc1bf18d4ec36915d9e82226c7e";

    #[test]
    fn a_key_is_long_enough_and_is_never_shown() {
        let error = HashKey::new("S3CRET").unwrap_err().to_string();
        assert_eq!(error, "hash_key=\"6 bytes\" cannot be used: expected at least 16 bytes");
        assert_eq!(format!("{:?}", HashKey::new("0123456789abcdef").unwrap()), "HashKey(…)");
    }
}
