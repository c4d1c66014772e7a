//! The SDK's own health: what was exported, rejected and dropped, and the only place that logs.
//!
//! Messages go to standard error unless a program sets its own sink. Every topic is limited to one message a minute, so
//! that a receiver that is down never floods a log; what was held back is counted in the next message.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::ExportError;
use crate::export::ExportReport;
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

/// The counters of one signal's pipeline.
#[derive(Debug, Default)]
pub struct Counters {
    exported: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    retries: AtomicU64,
    queue_full: AtomicU64,
    after_shutdown: AtomicU64,
}

impl Counters {
    /// Counts a batch of `items` that was delivered, and reports what the receiver refused of it.
    pub fn delivered(&self, items: u64, signal: &'static str, report: &ExportReport) {
        let rejected = report.rejected.min(items);
        self.exported.fetch_add(items - rejected, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.retries.fetch_add(report.retries.into(), Ordering::Relaxed);
        if rejected > 0 {
            let message = report.message.as_deref().unwrap_or("no reason given");
            __warn!("export.rejected", "the receiver rejected {rejected} of {items} {signal}: {message}");
        } else if let Some(message) = &report.message {
            __warn!("export.message", "the receiver took all {items} {signal} but warns: {message}");
        }
    }

    /// Counts a batch of `items` that was lost.
    pub fn failed(&self, items: u64, signal: &'static str, error: &ExportError) {
        self.failed.fetch_add(items, Ordering::Relaxed);
        self.retries.fetch_add(error.retries().into(), Ordering::Relaxed);
        log(Level::Error, "export.failed", format_args!("{items} {signal} were not exported: {error}"));
    }

    /// Counts items that found the queue full.
    pub fn queue_full(&self, items: u64) {
        self.queue_full.fetch_add(items, Ordering::Relaxed);
    }

    /// Counts items that came after shutdown.
    pub fn after_shutdown(&self, items: u64) {
        self.after_shutdown.fetch_add(items, Ordering::Relaxed);
    }

    /// The counts now.
    pub fn snapshot(&self) -> SignalHealth {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SignalHealth {
            exported: load(&self.exported),
            rejected: load(&self.rejected),
            failed: load(&self.failed),
            retries: load(&self.retries),
            dropped_queue_full: load(&self.queue_full),
            dropped_after_shutdown: load(&self.after_shutdown),
        }
    }
}

/// What became of the items of one signal since the start. Nothing is lost without being counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignalHealth {
    /// Taken by the receiver.
    pub exported: u64,
    /// Refused by a receiver that took the rest of their batch.
    pub rejected: u64,
    /// Lost with a batch that could not be delivered.
    pub failed: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Dropped because the queue was full.
    pub dropped_queue_full: u64,
    /// Dropped because they came after shutdown.
    pub dropped_after_shutdown: u64,
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

    #[test]
    fn a_receiver_that_rejects_more_than_it_was_sent_does_not_corrupt_the_counts() {
        let counters = Counters::default();
        counters.delivered(10, "spans", &ExportReport::partial(25, "lies"));
        let health = counters.snapshot();
        assert_eq!((health.exported, health.rejected), (0, 10));
    }
}
