//! Records panics as log records, in the program's panic hook.
//!
//! A panic within a hook aborts the program, so the hook itself runs no code of the program: it copies what is known about the
//! panic, and a thread of the SDK emits the record, whose processors may do anything.

use std::backtrace::Backtrace;
use std::fmt::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry::logs::{LogRecord, LoggerProvider, Severity};
use opentelemetry::{Context, SpanId, TraceId};

use super::handle::TelemetryHandle;
use crate::context;
use crate::diag::{Level, Tally, Unreported};
use crate::error::ConfigError;
use crate::logs::{Exception, SdkLogRecord, SdkLoggerProvider, active, is_emitting};
use crate::runtime::{self, is_background};
use crate::text::counted;
use crate::time::{Clock, Timestamp};
use crate::unsampled;

/// The maximum size of a panic's message, in bytes.
const MAX_MESSAGE: usize = 8 << 10;
/// The maximum size of a stack trace, in bytes.
const MAX_STACK_TRACE: usize = 32 << 10;
/// The number of stack traces per minute, because resolving one takes milliseconds.
const STACK_TRACES: u64 = 60;
/// The time that a panic which ends the program waits for its record, in addition to the flush timeout.
const GRACE: Duration = Duration::from_secs(1);
/// The maximum time that any other panic waits. The thread may hold a lock that a processor needs, and would wait in vain.
const PATIENCE: Duration = Duration::from_secs(1);

/// The maximum number of records on their way. Each has a thread, which stays for as long as a processor hangs.
const MAX_ON_THEIR_WAY: u64 = 16;

/// The places of the hook that [`watch`] has set.
static WATCHED: OnceLock<Arc<Places>> = OnceLock::new();

/// Adds a hook that records panics and then calls the hook that was set before, if the builder requested it and log records are
/// recorded. Stays for the rest of the program, because a hook that was set later may call it; after the shutdown it only calls
/// the earlier hook.
pub(super) fn watch(handle: &TelemetryHandle) {
    // A thread that panics cannot replace the hook.
    let is_wanted = handle.records_panics && handle.providers.logs.is_recording() && !thread::panicking();
    let hook = Hook::new(handle.clone(), cfg!(panic = "abort"));
    if is_wanted && WATCHED.set(hook.places.clone()).is_ok() {
        set(hook);
    }
}

/// Reports the panics that were not recorded and that no message has reported.
pub(super) fn report_missed() {
    if let Some(places) = WATCHED.get() {
        places.report_missed();
        places.unreported.report_rest(Level::Warn, missed);
    }
}

fn set(hook: Hook) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        hook.record(info);
        before(info);
    }));
}

#[derive(Debug)]
struct Hook {
    handle: TelemetryHandle,
    /// True if a panic ends the program.
    aborts: bool,
    /// The minute of the latest stack trace, and the number of stack traces in it, as `minute << 8 | number`.
    stack_traces: AtomicU64,
    places: Arc<Places>,
}

/// The places for records on their way.
#[derive(Debug, Default)]
struct Places {
    /// The number of missed panics that are not in `unreported` yet, and the number of places that are taken, as
    /// `missed << 8 | taken`. One number, so that a panic which finds every place taken is counted before one of them is free.
    state: AtomicU64,
    unreported: Tally,
}

/// The part of the state that is the number of places taken.
const TAKEN: u64 = 0xff;
/// One missed panic in the state.
const MISSED: u64 = TAKEN + 1;

/// A place that is taken until this is dropped.
struct Place(Arc<Places>);

impl Places {
    /// Takes a place, or counts the panic as missed.
    fn take(self: &Arc<Self>) -> Option<Place> {
        let next = |state: u64| state + if state & TAKEN < MAX_ON_THEIR_WAY { 1 } else { MISSED };
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| Some(next(state)));
        before.is_ok_and(|state| state & TAKEN < MAX_ON_THEIR_WAY).then(|| Place(self.clone()))
    }

    /// Reports the missed panics, at most once a minute. Not called within the hook, because the message sink is code of the program.
    fn report_missed(&self) {
        let panics = self.state.fetch_and(TAKEN, Ordering::AcqRel) / MISSED;
        if panics > 0 {
            self.unreported.add(Level::Warn, panics, String::new, missed);
        }
    }
}

fn missed(unreported: &Unreported) -> String {
    let panics = counted(unreported.items, "panics").more(unreported.is_more);
    let were = panics.were();
    format!(
        "{panics} {were} not recorded, because the records of others were still on their way, or because no thread could be started"
    )
}

impl Place {
    /// Does the `work` on a thread that `spawn` starts, on which panics are not recorded, frees the place, and reports the panics that
    /// were missed. Waits for that, though not longer than `patience`. Without a thread, this panic is missed too.
    fn use_for(
        self,
        work: impl FnOnce() + Send + 'static,
        spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> Result<(), ConfigError>,
        patience: Duration,
    ) {
        let places = self.0.clone();
        let (done, wait) = mpsc::sync_channel(1);
        let work = move || {
            runtime::apart(move || {
                work();
                // Panics are missed while all places are taken, so one of their holders comes to the next line afterwards.
                let places = self.0.clone();
                drop(self);
                places.report_missed();
            });
            let _ = done.send(());
        };
        match spawn(Box::new(work)) {
            Ok(()) => drop(wait.recv_timeout(patience)),
            // The next holder of a place reports it, or the shutdown.
            Err(_) => drop(places.state.fetch_add(MISSED, Ordering::AcqRel)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A thread-local whose destruction shows that those of the thread are being destroyed, during which `thread::current` may panic.
struct Locals;

impl Drop for Locals {
    fn drop(&mut self) {}
}

thread_local!(static LOCALS: Locals = const { Locals });

impl Hook {
    fn new(handle: TelemetryHandle, aborts: bool) -> Self {
        Hook { handle, aborts, stack_traces: AtomicU64::new(0), places: Arc::default() }
    }

    /// Emits the record and waits for that, though not for long; if the program will abort, also flushes and waits for the flush
    /// timeout. Without another thread, the panic is not recorded, nor is it if too many records are on their way.
    fn record(&self, info: &PanicHookInfo<'_>) {
        let is_off = self.handle.home.is_past() || !self.handle.providers.logs.takes_records();
        // A panic of a processor or an exporter would otherwise become telemetry about telemetry.
        if is_off || is_background() || is_emitting() {
            return;
        }
        let Some(place) = self.places.take() else { return };
        let context = context::current_in_hook();
        let provider = active::provider(&context).unwrap_or(&self.handle.providers.logs).clone();
        let record = self.describe(SdkLogRecord::new(provider.limits()), info, &context);
        let stack_trace = self.takes_stack_trace(Clock::system().now()).then(Backtrace::force_capture);
        let flushed = self.aborts.then(|| self.handle.clone());
        let work = move || {
            emit(&provider, record, stack_trace, &context);
            // Before the thread continues, which may end a span by dropping its last context.
            drop(context);
            if let Some(handle) = flushed {
                let _ = handle.flush(handle.flush_timeout);
            }
        };
        place.use_for(work, |work| runtime::spawn("telemark-panic", work), self.patience());
    }

    fn patience(&self) -> Duration {
        let timeout = self.handle.flush_timeout;
        if self.aborts { timeout.saturating_add(GRACE) } else { timeout.min(PATIENCE) }
    }

    /// spec: semconv exceptions/exceptions-logs.md, registry/attributes/thread.md
    fn describe(&self, mut record: SdkLogRecord, info: &PanicHookInfo<'_>, context: &Context) -> SdkLogRecord {
        let severity = if self.aborts { Severity::Fatal } else { Severity::Error };
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        record.set_event_name("exception");
        unsampled::with_span_context(context, |span| {
            if span.trace_id() != TraceId::INVALID && span.span_id() != SpanId::INVALID {
                record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
            }
        });
        let message = message(info);
        record.set_body(message.clone().into());
        record.set_exception(&Exception::new("panic", message));
        if let Some(location) = info.location() {
            record.add_attribute("code.file.path", location.file().to_owned());
            record.add_attribute("code.line.number", i64::from(location.line()));
            record.add_attribute("code.column.number", i64::from(location.column()));
        }
        // A thread that has destroyed its thread-locals has no handle.
        if let Ok(thread) = LOCALS.try_with(|_| thread::current()) {
            if let Some(name) = thread.name() {
                record.add_attribute("thread.name", name.to_owned());
            }
            let digits: String = format!("{:?}", thread.id()).chars().filter(char::is_ascii_digit).collect();
            if let Ok(id) = digits.parse::<i64>() {
                record.add_attribute("thread.id", id);
            }
        }
        record
    }

    /// Returns true for the first panics of each minute.
    fn takes_stack_trace(&self, now: Timestamp) -> bool {
        let minute = now.as_nanos() / 60_000_000_000;
        let next = |before: u64| match (before >> 8 == minute, before & 0xff) {
            (true, number) if number >= STACK_TRACES => None,
            (true, _) => Some(before + 1),
            (false, _) => Some(minute << 8 | 1),
        };
        self.stack_traces.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

fn emit(provider: &SdkLoggerProvider, mut record: SdkLogRecord, stack_trace: Option<Backtrace>, context: &Context) {
    if let Some(stack_trace) = stack_trace {
        let mut text = Bounded { text: String::new(), max: MAX_STACK_TRACE };
        // Fails only when the text is full.
        let _ = write!(text, "{stack_trace}");
        record.add_attribute("exception.stacktrace", text.text);
    }
    provider.logger("telemark.panics").emit_in(record, context);
}

fn message(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let mut message = Bounded { text: String::new(), max: MAX_MESSAGE };
    let _ = message.write_str(text.unwrap_or("the payload is not text"));
    message.text
}

/// Text that stops growing at a limit in bytes.
struct Bounded {
    text: String,
    max: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = self.max - self.text.len();
        let end = (0..=room.min(part.len())).rev().find(|end| part.is_char_boundary(*end)).unwrap_or(0);
        self.text.push_str(&part[..end]);
        if end == part.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::config::Env;
    use crate::error::{ExportError, catch};
    use crate::install::Telemetry;
    use crate::logs::LogRecordProcessor;
    use crate::signal::Logs;
    use crate::testing::InMemoryExporter;
    use crate::time::Deadline;

    /// A processor that panics when it is flushed for the first time.
    #[derive(Debug, Default)]
    struct Fragile(AtomicBool);

    impl LogRecordProcessor for Fragile {
        fn on_emit(&self, _: &mut SdkLogRecord, _: &Context) {}

        fn flush(&self, _: Deadline) -> Result<(), ExportError> {
            if !self.0.swap(true, Ordering::Relaxed) {
                panic!("the flush");
            }
            Ok(())
        }
    }

    /// The file has only one test that sets a hook, because the hook is the whole process's.
    #[test]
    fn a_panic_that_ends_the_program_is_fatal_and_exported_before_it_does() {
        let exporter = InMemoryExporter::<Logs>::new();
        let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")]);
        let builder = Telemetry::builder(env).with_log_processor(Fragile::default());
        let telemetry = builder.with_log_exporter(exporter.clone()).build().unwrap();
        let seen = exporter.clone();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_ours = message(info) == "this ends the program";
            assert!(!is_ours || seen.items().iter().any(|record| record.severity_text() == Some("FATAL")));
            before(info);
        }));
        set(Hook::new(telemetry.handle(), true));
        assert!(catch(|| panic!("this ends the program")).is_err());
        drop(panic::take_hook());
        telemetry.force_flush(Deadline::NEVER).unwrap();
        // Other tests may have panicked at the same time.
        let bodies: Vec<_> = exporter.items().iter().map(|record| format!("{:?}", record.body())).collect();
        let is_ours = |body: &&String| body.contains("this ends the program");
        assert_eq!(bodies.iter().filter(is_ours).count(), 1, "{bodies:?}");
    }

    #[test]
    fn stack_traces_are_limited_per_minute() {
        let hook = Hook::new(
            Telemetry::builder(Env::from_pairs([("OTEL_SDK_DISABLED", "true")])).build().unwrap().handle(),
            false,
        );
        let taken = |minute: u64| {
            let now = Timestamp::from_nanos(minute * 60_000_000_000 + 5);
            (0..200).filter(|_| hook.takes_stack_trace(now)).count() as u64
        };
        assert_eq!([taken(7), taken(7), taken(8)], [STACK_TRACES, 0, STACK_TRACES]);
    }

    #[test]
    fn a_place_is_free_again_however_many_panics_find_none() {
        let places = Arc::new(Places::default());
        let mut taken: Vec<_> = (0..MAX_ON_THEIR_WAY).map(|_| places.take().unwrap()).collect();
        assert!((0..100).all(|_| places.take().is_none()));
        assert_eq!(places.state.load(Ordering::Relaxed), 100 * MISSED + MAX_ON_THEIR_WAY);
        drop(taken.pop());
        assert!(places.take().is_some());
    }

    #[test]
    fn a_panic_for_which_no_thread_starts_is_missed_and_its_place_is_free() {
        let places = Arc::new(Places::default());
        let none = |_| Err(ConfigError::state("telemark-panic", "no thread"));
        places.take().unwrap().use_for(|| panic!("there is no thread"), none, Duration::from_secs(60));
        assert_eq!(places.state.load(Ordering::Relaxed), MISSED);
    }

    #[test]
    fn what_is_missed_is_said_in_singular_and_plural() {
        let said = |items, is_more| missed(&Unreported { items, is_more, reason: String::new() });
        assert!(said(1, false).starts_with("1 panic was not recorded, "));
        assert!(said(2, true).starts_with("2 more panics were not recorded, "));
    }

    #[test]
    fn only_a_panic_that_ends_the_program_waits_for_the_flush_timeout() {
        let timeout = Duration::from_secs(30);
        let env = Env::from_pairs([("OTEL_SDK_DISABLED", "true")]);
        let telemetry = Telemetry::builder(env).with_flush_timeout(timeout).build().unwrap();
        let patience = [false, true].map(|aborts| Hook::new(telemetry.handle(), aborts).patience());
        assert_eq!(patience, [PATIENCE, timeout + GRACE]);
    }

    #[test]
    fn text_is_cut_at_a_character() {
        let mut text = Bounded { text: String::new(), max: 4 };
        assert!(text.write_str("gr").is_ok() && text.write_str("öß").is_err() && text.write_str("e").is_err());
        assert_eq!(text.text, "grö");
    }
}
