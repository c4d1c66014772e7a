//! The SDK's own messages.
//!
//! Messages go to standard error unless the program sets its own sink. Each topic is limited to one message a minute, so that
//! an unavailable receiver cannot flood the log; the next message includes the number of suppressed ones. Writing a message
//! never waits for a slow reader or for the standard library's lock: if standard error does not accept a message in time, the
//! message is lost, and the next one reports the loss.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::config::Env;
use crate::error::catch;
use crate::process::{PerProcess, write_to_standard_error};
use crate::sync::unpoisoned;
use crate::text;
use crate::time::Deadline;

/// The severity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Reports that telemetry has been lost.
    Error = 1,
    /// Reports that something differs from what was requested.
    Warn = 2,
    /// Reports an action taken by the SDK.
    Info = 3,
    /// Reports details that help to debug the SDK itself.
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

/// The highest level that is shown. It comes from `OTEL_LOG_LEVEL` and is `info` by default. Zero means that nothing
/// is shown.
static MAX_LEVEL: AtomicU8 = AtomicU8::new(NOT_READ);

/// The level used if `OTEL_LOG_LEVEL` is not set.
const DEFAULT: Option<Level> = Some(Level::Info);

/// `OTEL_LOG_LEVEL` has not been read, because there has been no message yet.
const NOT_READ: u8 = u8::MAX;

/// Maximum size of one message in bytes. The whole line must fit into one atomic write to a pipe, so that output from
/// other programs cannot split it.
const MAX_MESSAGE: usize = 4096 - 128;

/// True once the program or its environment has chosen a level.
static IS_CHOSEN: AtomicBool = AtomicBool::new(false);

type Sink = Box<dyn Fn(Level, &str) + Send + Sync>;
static SINK: OnceLock<Sink> = OnceLock::new();

/// Shows messages up to `level`; `None` shows none. If this is never called, the level comes from `OTEL_LOG_LEVEL` in
/// the process environment, read before the first message.
pub fn set_max_level(level: Option<Level>) {
    MAX_LEVEL.store(number(level), Ordering::Relaxed);
    IS_CHOSEN.store(true, Ordering::Relaxed);
}

/// Shows messages up to the default level unless a level has been chosen: `OTEL_LOG_LEVEL` has no effect beside a configuration file.
pub(crate) fn ignore_variable() {
    if !IS_CHOSEN.load(Ordering::Relaxed) {
        MAX_LEVEL.store(number(DEFAULT), Ordering::Relaxed);
    }
}

fn number(level: Option<Level>) -> u8 {
    level.map_or(0, |level| level as u8)
}

/// Returns true if messages of `level` are shown. Costs one relaxed load, so check it before computing anything for a
/// message.
#[inline]
pub fn is_shown(level: Level) -> bool {
    match MAX_LEVEL.load(Ordering::Relaxed) {
        NOT_READ => level as u8 <= read_max_level(),
        max => level as u8 <= max,
    }
}

#[cold]
fn read_max_level() -> u8 {
    // An invalid value is reported when telemetry starts.
    let read = number(level_of(&Env::process()).unwrap_or(DEFAULT));
    match MAX_LEVEL.compare_exchange(NOT_READ, read, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => read,
        Err(set_meanwhile) => set_meanwhile,
    }
}

/// Returns the level named by `OTEL_LOG_LEVEL`; `Some(None)` for `none`.
pub(crate) fn level_of(env: &Env) -> Option<Option<Level>> {
    let levels = [
        ("none", None),
        ("error", Some(Level::Error)),
        ("warn", Some(Level::Warn)),
        ("info", Some(Level::Info)),
        ("debug", Some(Level::Debug)),
    ];
    env.one_of("OTEL_LOG_LEVEL", &levels)
}

/// Sends messages to `sink` instead of standard error. Only the first sink takes effect; returns false if one was already set.
///
/// The sink may be called on any thread and must not block. If it panics, the message is lost.
pub fn set_sink(sink: impl Fn(Level, &str) + Send + Sync + 'static) -> bool {
    SINK.set(Box::new(sink)).is_ok()
}

/// Prints a message, but no more than one per minute and `topic`. Never panics and never fails. A message whose level
/// is not shown costs one relaxed load and is not formatted.
#[inline]
pub fn log(level: Level, topic: &'static str, message: fmt::Arguments<'_>) {
    if is_shown(level) {
        say(level, topic, message);
    }
}

#[cold]
fn say(level: Level, topic: &'static str, message: fmt::Arguments<'_>) {
    let Some(held_back) = pass(level, topic) else { return };
    // The message may show an error of the program, whose code may panic.
    let Ok(message) = catch(|| message.to_string()) else { return };
    match held_back {
        0 => write(level, &message),
        1 => write(level, &format!("{message} (1 more such message was held back)")),
        n => write(level, &format!("{message} ({n} more such messages were held back)")),
    }
}

/// Prints what has been started, but only if the program or its environment chose a level. By default, the SDK
/// stays silent unless something goes wrong.
pub fn started(message: fmt::Arguments<'_>) {
    if IS_CHOSEN.load(Ordering::Relaxed) {
        log_always(Level::Info, message);
    }
}

/// Warns that telemetry is being lost because the guard was dropped.
pub(crate) fn guard_is_gone(lost: &str) {
    const KEEP: &str = "keep it in a named variable until the end of main: `let _telemetry = telemark::init()?;` (`let _ =` drops \
        it at once)";
    let message = format_args!("telemetry ended when its guard was dropped, so {lost} and later ones are lost; {KEEP}");
    log(Level::Warn, "guard", message);
}

/// Prints a message without a rate limit. Used for messages that are printed only once, and for those whose caller limits them.
pub(crate) fn log_always(level: Level, message: fmt::Arguments<'_>) {
    if !is_shown(level) {
        return;
    }
    let Ok(message) = catch(|| message.to_string()) else { return };
    write(level, &message);
}

/// Writes a line of a text that the user has asked for, whatever the level. It goes to the sink if the program has set one.
pub(crate) fn write_line(line: &str) {
    let line = text::display(line).cut_at(MAX_MESSAGE).to_string();
    match SINK.get() {
        Some(sink) => tell(sink, Level::Info, &line),
        None => {
            if !write_to_standard_error(&format!("{line}\n")) {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn write(level: Level, text: &str) {
    // A message is one line, and an error about a configuration file has a line for each problem.
    let text = text.replace("\n  ", "; ");
    // The last line of defence: foreign text has already been cleaned and truncated where it was reported.
    let text = &*text::display(&text).cut_at(MAX_MESSAGE).to_string();
    match SINK.get() {
        Some(sink) => tell(sink, level, text),
        None => {
            let lost = LOST.swap(0, Ordering::Relaxed);
            let line = match lost {
                0 => format!("telemark {level}: {text}\n"),
                1 => format!("telemark {level}: {text} (1 message before this could not be written)\n"),
                n => format!("telemark {level}: {text} ({n} messages before this could not be written)\n"),
            };
            if !write_to_standard_error(&line) {
                LOST.fetch_add(lost.saturating_add(1), Ordering::Relaxed);
            }
        }
    }
}

/// Passes a message to the sink, which is code of the program. A panic loses the message: it must not reach the thread of the host
/// that happened to cause the message, nor end a thread of the SDK.
fn tell(sink: &Sink, level: Level, text: &str) {
    let _ = catch(|| sink(level, text));
}

/// The number of messages that standard error has rejected since it last accepted one.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Reports that shutdown did not finish in time. Takes no lock and allocates no memory, because it may run during an exit in
/// a signal handler.
pub(crate) fn end_is_abandoned() {
    const LINE: &str = "telemark error: not everything was exported at the end: a span processor, a sampler or a lock held it up \
        beyond the flush timeout\n";
    if !is_shown(Level::Error) {
        return;
    }
    match SINK.get() {
        Some(sink) => tell(sink, Level::Error, LINE.trim_start_matches("telemark error: ").trim_end()),
        None => {
            write_to_standard_error(LINE);
        }
    }
}

/// The minimum time between two messages on one topic.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// Maps level and topic to the time until which messages are suppressed, and to the number of messages suppressed so
/// far.
type Topics = HashMap<(u8, &'static str), (Deadline, u64)>;

/// Returns the number of suppressed messages if a message on this topic may be printed now, and `None` otherwise.
fn pass(level: Level, topic: &'static str) -> Option<u64> {
    static TOPICS: PerProcess<Mutex<Option<Topics>>> =
        PerProcess::new([const { Mutex::new(None) }; PerProcess::<Mutex<Option<Topics>>>::PLACES]);
    let mut topics = unpoisoned(TOPICS.get().lock());
    let topics = topics.get_or_insert_default();
    let topic = (level as u8, topic);
    match topics.get_mut(&topic) {
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

/// Prints a warning. The first argument is the topic and must be a literal.
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
    use crate::config::VARIABLES;

    #[test]
    fn the_variable_names_a_level() {
        for (value, expected) in [
            ("none", Some(None)),
            ("error", Some(Some(Level::Error))),
            ("WARN", Some(Some(Level::Warn))),
            ("info", Some(Some(Level::Info))),
            ("debug", Some(Some(Level::Debug))),
            ("loud", None),
            ("", None),
        ] {
            assert_eq!(level_of(&Env::from_pairs([("OTEL_LOG_LEVEL", value)])), expected, "{value}");
        }
        let stated = VARIABLES.iter().find(|variable| variable.name == "OTEL_LOG_LEVEL").unwrap().default;
        assert_eq!(level_of(&Env::from_pairs([("OTEL_LOG_LEVEL", stated)])), Some(DEFAULT));
    }

    #[test]
    fn a_topic_speaks_once_and_counts_the_rest() {
        assert_eq!(pass(Level::Warn, "test.topic"), Some(0));
        assert_eq!(pass(Level::Warn, "test.topic"), None);
        assert_eq!(pass(Level::Warn, "test.other"), Some(0));
    }

    #[test]
    fn what_matters_less_holds_back_nothing_that_matters_more() {
        assert_eq!(pass(Level::Debug, "test.level"), Some(0));
        assert_eq!(pass(Level::Error, "test.level"), Some(0));
    }
}
