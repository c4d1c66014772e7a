//! The SDK's own messages.
//!
//! They go to standard error unless a program sets its own sink. Every topic is limited to one message a minute, so
//! that a receiver that is down never floods a log; what was held back is counted in the next message.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::text;
use crate::time::Deadline;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Telemetry is lost.
    Error = 1,
    /// Something is not as it was asked to be.
    Warn = 2,
    /// What the SDK does.
    Info = 3,
    /// Details for those who look into the SDK itself.
    Debug = 4,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Error => "error",
            Level::Warn => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
        })
    }
}

/// The level up to which messages are shown; `OTEL_LOG_LEVEL`, by default `info`. Zero shows nothing.
static MAX_LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// The most that one message shows, in bytes.
const MAX_MESSAGE: usize = 4096;

type Sink = Box<dyn Fn(Level, &str) + Send + Sync>;
static SINK: OnceLock<Sink> = OnceLock::new();

/// Shows messages up to `level`; `None` shows none.
pub fn set_max_level(level: Option<Level>) {
    MAX_LEVEL.store(level.map_or(0, |level| level as u8), Ordering::Relaxed);
}

/// Sends messages to `sink` instead of standard error. The first sink stays; returns whether it was this one.
///
/// The sink is called on whatever thread has something to say and must not block.
pub fn set_sink(sink: impl Fn(Level, &str) + Send + Sync + 'static) -> bool {
    SINK.set(Box::new(sink)).is_ok()
}

/// Says something, at most once a minute per `topic`. Never panics, never fails.
pub fn log(level: Level, topic: &'static str, message: fmt::Arguments<'_>) {
    if level as u8 > MAX_LEVEL.load(Ordering::Relaxed) {
        return;
    }
    match pass(topic) {
        None => {}
        Some(0) => write(level, &message.to_string()),
        Some(n) => write(level, &format!("{message} ({n} more such messages were held back)")),
    }
}

/// Warns without a limit: for settings, of which there are few and each once.
pub(crate) fn warn_always(message: fmt::Arguments<'_>) {
    if Level::Warn as u8 <= MAX_LEVEL.load(Ordering::Relaxed) {
        write(Level::Warn, &message.to_string());
    }
}

fn write(level: Level, text: &str) {
    // The last line of defence: what reports foreign text has cleaned and cut that text already.
    let text = &*text::display(text).cut_at(MAX_MESSAGE).to_string();
    match SINK.get() {
        Some(sink) => sink(level, text),
        // Not `eprintln!`, which panics when standard error is closed.
        None => {
            let _ = writeln!(std::io::stderr(), "telemark {level}: {text}");
        }
    }
}

/// Whether a message of the topic may pass, and how many were held back before it.
fn pass(topic: &'static str) -> Option<u64> {
    static TOPICS: OnceLock<Mutex<HashMap<&'static str, (Deadline, u64)>>> = OnceLock::new();
    const INTERVAL: Duration = Duration::from_secs(60);

    let mut topics = TOPICS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    match topics.get_mut(topic) {
        Some((until, held_back)) if !until.has_passed() => {
            *held_back += 1;
            None
        }
        state => {
            let held_back = state.map_or(0, |(_, held_back)| *held_back);
            topics.insert(topic, (Deadline::after(INTERVAL), 0));
            Some(held_back)
        }
    }
}

/// Says at warning level. The first argument is the topic, a literal.
#[macro_export]
#[doc(hidden)]
macro_rules! __warn {
    ($topic:literal, $($message:tt)+) => {
        $crate::diag::log($crate::diag::Level::Warn, $topic, ::std::format_args!($($message)+))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_speaks_once_and_counts_the_rest() {
        assert_eq!(pass("test.topic"), Some(0));
        assert_eq!(pass("test.topic"), None);
        assert_eq!(pass("test.other"), Some(0));
    }
}
