//! The text of messages and of formatted fields.
//!
//! `tracing` passes a message as something to be formatted, whether it is constant or not. A call site therefore remembers its first
//! message if this was written in one piece. Later messages that are equal need no memory of their own.

use std::cell::Cell;
use std::fmt::{self, Debug, Write};
use std::sync::OnceLock;

use opentelemetry::StringValue;
use telemark_sdk::instrument::bridge::contained;

/// The largest message that a call site remembers, in bytes.
const MAX_KNOWN: usize = 256;
/// The largest buffer that a thread keeps, in bytes.
const MAX_BUFFER: usize = 4096;

thread_local! {
    /// Text is written here and then copied once, into memory of the right size.
    static BUFFER: Cell<String> = const { Cell::new(String::new()) };
}

/// The message of a call site, which is constant at most call sites. Lives as long as the program.
#[derive(Debug, Default)]
pub(crate) struct KnownMessage(OnceLock<&'static str>);

impl KnownMessage {
    /// Formats a message. Keeps what was written before an error or a panic.
    #[inline]
    pub(crate) fn format(&self, message: &dyn Debug) -> StringValue {
        let mut writer = Writer { known: self.0.get().copied(), ..Writer::default() };
        contained(|| write!(writer, "{message:?}"));
        match writer.known.filter(|_| writer.is_known) {
            Some(known) => known.into(),
            None => self.remember(writer),
        }
    }

    /// Copies a message.
    pub(crate) fn copy(&self, message: &str) -> StringValue {
        match self.0.get().copied().filter(|known| *known == message) {
            Some(known) => known.into(),
            None => message.to_owned().into(),
        }
    }

    fn remember(&self, writer: Writer) -> StringValue {
        let (is_first, text) = (writer.known.is_none() && writer.pieces == 1, writer.into_text());
        if is_first && text.len() <= MAX_KNOWN {
            self.0.get_or_init(|| Box::leak(text.as_str().into()));
        }
        text.into()
    }
}

/// Formats a value. Keeps what was written before an error or a panic.
pub(crate) fn text(value: &dyn Debug) -> String {
    let mut writer = Writer::default();
    contained(|| write!(writer, "{value:?}"));
    writer.into_text()
}

/// Writes text into the thread's buffer, unless it is the known one.
#[derive(Default)]
struct Writer {
    known: Option<&'static str>,
    /// True if exactly the known text has been written.
    is_known: bool,
    /// The number of pieces in the buffer that are not empty.
    pieces: usize,
    /// `None` until a piece is written. A value that is formatted while another one is has a buffer of its own.
    buffer: Option<String>,
}

impl Writer {
    fn push(&mut self, piece: &str) {
        self.pieces += 1;
        self.buffer.get_or_insert_with(|| BUFFER.try_with(Cell::take).unwrap_or_default()).push_str(piece);
    }

    fn into_text(self) -> String {
        let Some(mut buffer) = self.buffer else { return String::new() };
        if buffer.capacity() > MAX_BUFFER {
            return buffer;
        }
        let text = buffer.as_str().to_owned();
        buffer.clear();
        // At the end of a thread, the buffer is dropped.
        let _ = BUFFER.try_with(|own| own.set(buffer));
        text
    }
}

impl Write for Writer {
    #[inline]
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if let (true, Some(known)) = (self.is_known, self.known) {
            self.is_known = piece.is_empty();
            if !self.is_known {
                self.push(known);
                self.push(piece);
            }
        } else if self.buffer.is_none() && self.known == Some(piece) {
            self.is_known = true;
        } else if !piece.is_empty() {
            self.push(piece);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats messages of one call site. Marks those that are static with `=`.
    fn check(messages: &[&[&str]], expected: &str) {
        struct Pieces<'a>(&'a [&'a str]);
        impl Debug for Pieces<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|piece| match *piece {
                    "panic" => panic!("within a message"),
                    piece => f.write_str(piece),
                })
            }
        }
        let known = KnownMessage::default();
        let show = |pieces: &&[&str]| {
            let message = known.format(&Pieces(pieces));
            let is_static = known.0.get().is_some_and(|known| known.as_ptr() == message.as_str().as_ptr());
            format!("{}{message}", if is_static { "=" } else { "" })
        };
        assert_eq!(messages.iter().map(show).collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn a_constant_message_is_shared_and_another_one_is_not() {
        check(&[&["placed"], &["placed"], &["paid"], &["placed"]], "placed =placed paid =placed");
        check(&[&["", "placed", ""], &["placed", ""], &["", "placed"]], "placed =placed =placed");
    }

    #[test]
    fn what_follows_the_known_message_is_kept() {
        check(&[&["a"], &["a", "b"], &["a", "", "b", "c"], &["a"], &["b", "a"]], "a ab abc =a ba");
        check(&[&["a"], &["a", "panic"], &["a", "b", "panic"]], "a =a ab");
    }

    #[test]
    fn messages_in_several_pieces_and_large_ones_are_not_remembered() {
        check(&[&["a", "b"], &["ab"], &["ab"]], "ab ab =ab");
        let known = KnownMessage::default();
        known.format(&format_args!("{}", "x".repeat(MAX_KNOWN + 1)));
        assert_eq!(known.0.get(), None);
        check(&[&[], &["a"], &[], &["a"]], " a  =a");
    }

    #[test]
    fn a_thread_keeps_no_large_buffer_and_values_may_nest() {
        struct Nested;
        impl Debug for Nested {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer ")?;
                f.write_str(&text(&"inner"))
            }
        }
        assert_eq!(text(&Nested), "outer \"inner\"");
        let kept = BUFFER.take();
        assert!((1..=MAX_BUFFER).contains(&kept.capacity()) && kept.is_empty(), "{}", kept.capacity());
        assert_eq!(text(&format_args!("{}", "x".repeat(MAX_BUFFER + 1))).len(), MAX_BUFFER + 1);
        assert_eq!(BUFFER.take().capacity(), 0);
    }
}
