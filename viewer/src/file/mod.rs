//! Opens and saves files of JSON lines: one OTLP request a line, as file exporters write them.
//!
//! spec: protocol/file-exporter.md

mod common;
mod metrics;
mod save;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

pub use save::save;

use crate::receive::{Malformed, Sink, decode_json, signal_of};
use crate::store::Store;

/// The maximum size of a line in bytes.
const MAX_LINE: u64 = 64 << 20;

/// The numbers of lines that [`open`] read from a file, and of items that it refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// Lines that were added to the store.
    pub lines: u64,
    /// Lines that contain no OTLP request, such as the last line of a program that was killed.
    pub malformed: u64,
    /// Items that were refused, such as spans without ids. The rest of their line was added.
    pub refused: u64,
}

/// Adds the telemetry of a file to the store. Skips malformed lines.
///
/// # Errors
/// Fails if the file cannot be opened or read.
pub fn open(path: impl AsRef<Path>, store: &Store) -> io::Result<Opened> {
    read(BufReader::new(File::open(path)?), store)
}

/// Adds the telemetry of a reader to the store, as [`open`] does.
///
/// # Errors
/// Fails if the reader fails.
pub fn read(mut reader: impl BufRead, store: &Store) -> io::Result<Opened> {
    let (mut opened, mut line) = (Opened::default(), Vec::new());
    loop {
        line.clear();
        if (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(opened);
        }
        if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            skip_line(&mut reader)?;
            opened.malformed += 1;
            continue;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match add(&line, store) {
            Ok(refused) => {
                opened.lines += 1;
                opened.refused += refused;
            }
            Err(Malformed(_)) => opened.malformed += 1,
        }
    }
}

/// Adds a line. Returns the number of items that were refused.
fn add(line: &[u8], store: &Store) -> Result<u64, Malformed> {
    let line = String::from_utf8_lossy(line);
    let signal = signal_of(&line).ok_or(Malformed("the line is no OTLP request"))?;
    decode_json(signal, line.as_bytes(), Sink::new(store))
}

/// Skips the rest of a line without holding it in memory.
fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (read, is_end) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(read);
        if is_end {
            return Ok(());
        }
    }
}
