//! The output: standard output or a writer, with or without colours.

use std::io::{self, IsTerminal, Write};

use telemark_sdk::ExportError;
use telemark_sdk::config::Env;

/// The choice between coloured and plain output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Uses colours if standard output is a terminal and `NO_COLOR` is not set. Never uses colours with other
    /// writers.
    #[default]
    Auto,
    /// Always uses colours.
    Always,
    /// Never uses colours.
    Never,
}

/// A destination for text. Writing blocks for as long as the destination does.
pub(crate) struct Output {
    writer: Box<dyn Write + Send>,
    destination: &'static str,
    /// True if [`Color::Auto`] enables colours.
    suits_color: bool,
}

impl Output {
    pub(crate) fn for_stdout(env: &Env) -> Self {
        let out = io::stdout();
        let suits_color = out.is_terminal() && env.string("NO_COLOR").is_none();
        Output { writer: Box::new(out), destination: "standard output", suits_color }
    }

    pub(crate) fn for_writer(writer: impl Write + Send + 'static) -> Self {
        Output { writer: Box::new(writer), destination: "a writer", suits_color: false }
    }

    /// Returns true if output is coloured under this choice.
    pub(crate) fn is_colored(&self, color: Color) -> bool {
        match color {
            Color::Auto => self.suits_color,
            Color::Always => true,
            Color::Never => false,
        }
    }

    pub(crate) fn destination(&self) -> String {
        self.destination.to_owned()
    }

    pub(crate) fn write(&mut self, text: &str) -> Result<(), ExportError> {
        self.writer.write_all(text.as_bytes()).map_err(failed)
    }

    pub(crate) fn flush(&mut self) -> Result<(), ExportError> {
        self.writer.flush().map_err(failed)
    }
}

fn failed(error: io::Error) -> ExportError {
    ExportError::other("cannot write to the console").with_source(error)
}
