//! Headers whose values change while the program runs, such as tokens: read from a file, a command or the program's code.
//!
//! | module | owns |
//! |---|---|
//! | `source` | the places that headers come from |
//! | `command` | the command that prints them, its time and its output |
//! | `grammar` | the text of a file or of a command as headers |
//! | `current` | the headers in use, and when they are read again |
//!
//! No value appears in a message, nor does any part of a text that cannot be parsed.

mod command;
mod current;
mod grammar;
mod source;

pub(crate) use current::Credentials;
pub(crate) use source::{HeaderSource, SourceConfig};
