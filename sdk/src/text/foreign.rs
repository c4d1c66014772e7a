//! Text for people to read: makes foreign text harmless and short, and hides secrets.
//!
//! A peer's response, a setting's value and a library's error message can all end up in a terminal or a log. Three
//! adapters make them safe to print. Each can safely be applied to its own output:
//!
//! - [`foreign`] for bytes or text from outside the program,
//! - [`display`] for a value whose `Display` output may contain foreign text, especially an error,
//! - [`url`] for an address, without its credentials and query.
//!
//! [`Secrecy`] determines how much of a setting's value a message may show.

use std::fmt::{self, Write};

/// Maximum number of bytes of a foreign text that are shown, after cleaning.
pub const MAX_SHOWN: usize = 512;

/// Returns foreign text in a printable form: control characters, escape sequences and invisible characters are
/// escaped, invalid UTF-8 bytes appear as `\xff`, and the result is truncated to [`MAX_SHOWN`] bytes at a character
/// boundary, followed by `…`. With `{:?}`, the text is in quotes.
pub fn foreign<T: AsRef<[u8]> + ?Sized>(text: &T) -> Foreign<'_> {
    Foreign { bytes: text.as_ref(), max: MAX_SHOWN }
}

/// Foreign text that is cleaned when printed; created by [`foreign`].
#[derive(Clone, Copy)]
pub struct Foreign<'a> {
    bytes: &'a [u8],
    max: usize,
}

impl Foreign<'_> {
    /// Sets the maximum number of bytes. The default is [`MAX_SHOWN`].
    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }

    fn write(&self, cleaner: &mut Cleaner<'_, '_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            cleaner.write_str(chunk.valid())?;
            for &byte in chunk.invalid() {
                // `\xff`
                cleaner.put(std::ascii::escape_default(byte).map(char::from))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cleaner::new(f, self.max).run(|cleaner| self.write(cleaner))
    }
}

impl fmt::Debug for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        Cleaner { escapes_quotes: true, ..Cleaner::new(f, self.max) }.run(|cleaner| self.write(cleaner))?;
        f.write_char('"')
    }
}

/// Wraps a value so that its output is cleaned like that of [`foreign`]. Never allocates, regardless of the length.
pub fn display<T: fmt::Display>(value: T) -> Cleaned<T> {
    Cleaned { value, max: MAX_SHOWN }
}

/// A value whose output is cleaned when printed; created by [`display`].
#[derive(Clone, Copy)]
pub struct Cleaned<T> {
    value: T,
    max: usize,
}

impl<T> Cleaned<T> {
    /// Sets the maximum number of bytes, instead of [`MAX_SHOWN`].
    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }
}

impl<T: fmt::Display> fmt::Display for Cleaned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cleaner::new(f, self.max).run(|cleaner| write!(cleaner, "{}", self.value))
    }
}

/// Returns a URL in a form without secrets: `…` replaces the credentials and the query. Text that is not a valid URL
/// is treated the same way, and anything that might be part of a secret is hidden.
pub fn url(text: &str) -> Url<'_> {
    Url(text)
}

/// An address without its secrets; created by [`url`].
#[derive(Clone, Copy)]
pub struct Url<'a>(&'a str);

impl fmt::Display for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = match self.0.find("://") {
            Some(end) if self.0[..end].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => {
                self.0.split_at(end + 3)
            }
            _ => ("", self.0),
        };
        let query = rest.find(['?', '#']);
        let (credentials, shown, query) = match (rest.rfind('@'), query) {
            // Ambiguous: either a password with a `?`, or a query with an `@`.
            (Some(at), Some(query)) if at > query => ("…", "", ""),
            (Some(at), Some(query)) => ("…", &rest[at..query], &rest[query..=query]),
            (Some(at), None) => ("…", &rest[at..], ""),
            (None, Some(query)) => ("", &rest[..query], &rest[query..=query]),
            (None, None) => ("", rest, ""),
        };
        let hidden = if query.is_empty() { "" } else { "…" };
        Cleaner::new(f, MAX_SHOWN).run(|cleaner| write!(cleaner, "{scheme}{credentials}{shown}{query}{hidden}"))
    }
}

impl fmt::Debug for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The part of a setting's value that a message may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secrecy {
    /// Show the whole value.
    Open,
    /// Show an address without its credentials and query, as [`url`] does.
    Address,
    /// Show nothing.
    Hidden,
}

impl Secrecy {
    /// Returns the secrecy of a setting, given the name of its variable or argument. Headers, the commands that print
    /// them, and keys are hidden, and endpoints and proxies are treated as addresses. The decision is based on parts of the name, so it also covers variables
    /// that are added in later versions.
    pub fn of(setting: &str) -> Secrecy {
        let ends_in = |end: &str| {
            setting
                .len()
                .checked_sub(end.len())
                .and_then(|at| setting.get(at..))
                .is_some_and(|s| s.eq_ignore_ascii_case(end))
        };
        // These names denote lists of header names, and a switch.
        let names_only = setting.starts_with("OTEL_RUST_HTTP_") || setting.starts_with("OTEL_INSTRUMENTATION_HTTP_");
        if names_only {
            Secrecy::Open
        } else if ["HEADERS", "HEADER", "KEY", "TOKEN", "PASSWORD", "SECRET", "IDENTITY", "HEADERS_COMMAND"]
            .into_iter()
            .any(ends_in)
        {
            Secrecy::Hidden
        } else if ["ENDPOINT", "URL", "PROXY"].into_iter().any(ends_in) {
            Secrecy::Address
        } else {
            Secrecy::Open
        }
    }

    /// Returns `value` with the hidden part removed.
    pub fn apply(self, value: String) -> String {
        match self {
            Secrecy::Open => value,
            Secrecy::Address => url(&value).to_string(),
            Secrecy::Hidden => "…".to_owned(),
        }
    }
}

/// Returns true for control characters, and for characters that change the text direction or have no width, which can make
/// one text look like another.
pub fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A writer that cleans text. Fails once its limit is reached, so that the rest of a long text is not formatted.
struct Cleaner<'a, 'f> {
    to: &'a mut fmt::Formatter<'f>,
    /// Number of bytes that may still be written.
    room: usize,
    is_full: bool,
    escapes_quotes: bool,
}

impl<'a, 'f> Cleaner<'a, 'f> {
    fn new(to: &'a mut fmt::Formatter<'f>, max: usize) -> Self {
        Cleaner { to, room: max, is_full: false, escapes_quotes: false }
    }

    /// Runs `write`. Reaching the limit does not count as a failure.
    fn run(mut self, write: impl FnOnce(&mut Self) -> fmt::Result) -> fmt::Result {
        match write(&mut self) {
            Err(_) if self.is_full => Ok(()),
            result => result,
        }
    }

    /// Writes cleaned characters: either all of `text`, or the truncation mark.
    fn put(&mut self, characters: impl Iterator<Item = char> + Clone) -> fmt::Result {
        if self.is_full {
            return Err(fmt::Error);
        }
        match self.room.checked_sub(characters.clone().map(char::len_utf8).sum()) {
            Some(room) => {
                self.room = room;
                characters.into_iter().try_for_each(|character| self.to.write_char(character))
            }
            None => {
                self.is_full = true;
                self.to.write_char('…')?;
                Err(fmt::Error)
            }
        }
    }
}

impl Write for Cleaner<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| {
            if is_harmful(character) || (self.escapes_quotes && matches!(character, '"' | '\\')) {
                self.put(character.escape_default())
            } else {
                self.put(std::iter::once(character))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn foreign_text_is_escaped() {
        for (given, expected) in [
            (&b"plain"[..], "plain"),
            ("größe 価格".as_bytes(), "größe 価格"),
            (b"a\x1b[31mb\r\n\tc\0", "a\\u{1b}[31mb\\r\\n\\tc\\u{0}"),
            ("\u{202e}x\u{9b}".as_bytes(), "\\u{202e}x\\u{9b}"),
            (b"a\xff\xfeb\xe2\x82", "a\\xff\\xfeb\\xe2\\x82"),
            (b"say \"a\\b\"", "say \"a\\b\""),
            (b"", ""),
        ] {
            assert_eq!(foreign(given).to_string(), expected, "{given:?}");
        }
        assert_eq!(format!("{:?}", foreign("say \"a\\b\"\n")), r#""say \"a\\b\"\n""#);
    }

    #[test]
    fn foreign_text_is_cut_at_a_character_and_says_so() {
        for (given, max, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "abc…"),
            ("aßß", 4, "aß…"),
            ("a\n\n", 4, "a\\n…"),
            ("\x1b", 5, "…"),
            ("ab", 0, "…"),
        ] {
            assert_eq!(foreign(given).cut_at(max).to_string(), expected, "{given:?}");
            assert_eq!(display(given).cut_at(max).to_string(), expected, "{given:?}");
        }
        assert_eq!(foreign(&[0xff; 3]).cut_at(9).to_string(), "\\xff\\xff…");
        assert_eq!(foreign(&"x".repeat(1 << 20)).to_string().len(), MAX_SHOWN + '…'.len_utf8());
    }

    #[test]
    fn a_value_that_writes_without_end_is_stopped() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("again\n")?;
                }
            }
        }
        assert_eq!(display(Endless).cut_at(9).to_string(), "again\\nag…");
    }

    #[test]
    fn a_url_shows_neither_credentials_nor_its_query() {
        for (given, expected) in [
            ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
            ("https://h/p?api_key=s3cret", "https://h/p?…"),
            ("https://h/p#s3cret", "https://h/p#…"),
            ("https://user:s3cret@h:1/p?k=s3cret", "https://…@h:1/p?…"),
            ("https://s3cret@h", "https://…@h"),
            // These URLs are invalid, but people often type them.
            ("https://user:s3/cret@h/p", "https://…@h/p"),
            ("https://user:s3?cret@h/p", "https://…"),
            ("https://h/p?k=s3@cret", "https://…"),
            ("user:s3cret@h", "…@h"),
            ("h?k=s3cret://x", "h?…"),
            ("https://h/\x1b[31m", "https://h/\\u{1b}[31m"),
            ("", ""),
        ] {
            assert_eq!(url(given).to_string(), expected, "{given:?}");
        }
    }

    #[test]
    fn the_name_of_a_setting_tells_what_may_be_shown() {
        for (setting, expected) in [
            ("OTEL_SERVICE_NAME", Secrecy::Open),
            ("OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", Secrecy::Open),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", Secrecy::Hidden),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", Secrecy::Hidden),
            ("OTEL_RUST_EXPORTER_OTLP_HEADERS_FILE", Secrecy::Open),
            ("OTEL_RUST_EXPORTER_OTLP_TRACES_HEADERS_COMMAND", Secrecy::Hidden),
            ("https_proxy", Secrecy::Address),
            ("header", Secrecy::Hidden),
            ("endpoint", Secrecy::Address),
            ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", Secrecy::Address),
            ("key", Secrecy::Hidden),
            ("ü", Secrecy::Open),
        ] {
            assert_eq!(Secrecy::of(setting), expected, "{setting}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_shown_is_harmless_and_short(bytes: Vec<u8>, text: String, max in 0usize..80) {
            let shown = [
                foreign(&bytes).cut_at(max).to_string(),
                format!("{}", display(&text).cut_at(max)),
                url(&text).to_string(),
            ];
            for text in shown {
                prop_assert!(!text.chars().any(is_harmful), "{text:?}");
            }
            prop_assert!(foreign(&bytes).cut_at(max).to_string().len() <= max + '…'.len_utf8());
        }

        #[test]
        fn a_secret_in_a_url_is_never_shown(before in "[a-z:/?#@.]{0,12}", after in "[a-z:/?#@.]{0,12}") {
            for text in [format!("https://{before}S3CRET@{after}"), format!("https://{before}?{after}=S3CRET")] {
                prop_assert!(!url(&text).to_string().contains("S3CRET"), "{text}");
            }
        }
    }
}
