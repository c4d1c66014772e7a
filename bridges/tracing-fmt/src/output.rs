//! Writes each line with a single write, and counts lines that could not be written.

use std::cell::Cell;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use telemark_sdk::diag::{self, Level};
use telemark_sdk::error::catch;
use tracing_core::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::format::Format;

/// Standard output or standard error, the default of [`LineLayer`](crate::LineLayer).
#[derive(Clone, Copy, Debug)]
pub struct StandardStream(pub(crate) Format);

impl<'a> MakeWriter<'a> for StandardStream {
    type Writer = Standard;

    fn make_writer(&'a self) -> Standard {
        match self.0 {
            Format::Text => Standard::Error(io::stderr()),
            _ => Standard::Output(io::stdout()),
        }
    }
}

/// A handle to a [`StandardStream`].
#[derive(Debug)]
pub enum Standard {
    /// Standard output.
    Output(io::Stdout),
    /// Standard error.
    Error(io::Stderr),
}

impl Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Standard::Output(stream) => stream.write(bytes),
            Standard::Error(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Standard::Output(stream) => stream.flush(),
            Standard::Error(stream) => stream.flush(),
        }
    }
}

/// Returns the number of lines in this program that were dropped because their stream did not accept them.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The maximum depth of events that occur while other events are being formatted. Deeper events are dropped.
const MAX_DEPTH: u32 = 8;

thread_local! {
    // This type has no destructor, so that it can be used until the thread has ended.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Counts the nesting depth of events on this thread. Dropping the guard leaves the level.
pub(crate) struct Depth(u32);

impl Depth {
    /// Enters the next level. If this exceeds the maximum depth, or if this thread is currently writing a line, returns
    /// `None` and counts the line as dropped. Otherwise, a writer that logs would never finish.
    pub(crate) fn enter() -> Option<Depth> {
        let outer = DEPTH.get();
        if outer >= MAX_DEPTH {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        DEPTH.set(outer + 1);
        Some(Depth(outer))
    }

    /// Rejects further events until the guard is dropped.
    fn close(&self) {
        DEPTH.set(MAX_DEPTH);
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.set(self.0);
    }
}

/// The state of a stream between lines.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// True if the last line was written only partially.
    is_torn: AtomicBool,
}

impl Output {
    /// Writes a line, or drops and counts it. Never panics, even if the writer does.
    pub(crate) fn write<W>(&self, depth: Depth, to: &W, metadata: &Metadata<'_>, line: &[u8])
    where
        W: for<'a> MakeWriter<'a>,
    {
        depth.close();
        let written = catch(|| self.write_to(to.make_writer_for(metadata), line));
        drop(depth);
        let problem = match &written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let count = DROPPED.fetch_add(1, Ordering::Relaxed) + 1;
        match problem {
            Some(error) => {
                diag::log(Level::Warn, LOST, format_args!("a log line could not be written: {error} ({count} so far)"))
            }
            None => diag::log(
                Level::Warn,
                LOST,
                format_args!("a log line could not be written: the writer panicked ({count} so far)"),
            ),
        }
    }

    fn write_to(&self, mut writer: impl Write, line: &[u8]) -> io::Result<()> {
        if self.is_torn.load(Ordering::Relaxed) {
            writer.write_all(b"\n")?;
            self.is_torn.store(false, Ordering::Relaxed);
        }
        let mut rest = line;
        while !rest.is_empty() {
            let problem = match writer.write(rest) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            if rest.len() < line.len() {
                self.is_torn.store(true, Ordering::Relaxed);
            }
            return Err(problem);
        }
        Ok(())
    }
}

/// The topic for messages about dropped lines.
const LOST: &str = "log lines";
