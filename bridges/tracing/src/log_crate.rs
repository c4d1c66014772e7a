//! The `log` crate: a logger that passes its records to `tracing`, at the level of the program's subscriber.

use std::fmt::Debug;

use telemark_sdk::span_filter;
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing_log::{AsLog, AsTrace};

/// Sets the logger of the `log` crate to one that passes its records to `tracing`, where the program's subscriber filters them like
/// events. Call this after the subscriber has been set. Returns false if the program already has a logger, which stays.
///
/// `log::log_enabled!` returns true up to the subscriber's level, for every target.
///
/// The records have the target, file and line of the `log` macro, and the current span. The maximum level of the `log` crate, below
/// which a macro costs one load, becomes that of the subscriber, and follows [the filter of spans](telemark_sdk::span_filter::set).
/// After the filter of another layer has been raised at run time, raise it with `log::set_max_level`.
///
/// `tracing-subscriber` sets such a logger as well, in `init()` and `try_init()`, if its feature `tracing-log` is on.
///
/// ```
/// let subscriber = tracing_subscriber::registry();
/// # use tracing_subscriber::prelude::*;
/// let subscriber = subscriber.with(telemark_tracing::layer());
/// # let subscriber = tracing::Dispatch::new(subscriber);
/// tracing::dispatcher::set_global_default(subscriber)?;
/// assert!(telemark_tracing::install_log_tracer());
/// log::info!("arrives");
/// # Ok::<(), tracing::dispatcher::SetGlobalDefaultError>(())
/// ```
pub fn install_log_tracer() -> bool {
    let is_set = log::set_logger(&Logger).is_ok();
    if is_set {
        log::set_max_level(max_level());
        span_filter::on_change(follow);
    }
    is_set
}

/// Passes records to `tracing`.
struct Logger;

impl log::Log for Logger {
    /// Does not ask the subscriber: each filter of a layer in `tracing-subscriber` would keep its response for the next event of this
    /// thread, which need not be the one that the question was about.
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level().as_trace() <= LevelFilter::current()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            // Never fails: the result is that of an earlier version.
            let _ = tracing_log::format_trace(record);
        }
    }

    fn flush(&self) {}
}

fn max_level() -> log::LevelFilter {
    LevelFilter::current().as_log()
}

/// Applies the subscriber's level after the filter of spans has changed.
fn follow() {
    // Computes the level.
    tracing::callsite::rebuild_interest_cache();
    log::set_max_level(max_level());
}

/// Returns what a filter says about the target of a record, which is a field of its event.
pub(crate) fn is_kept(event: &Event<'_>, filter: impl Fn(&str) -> bool) -> bool {
    let mut target = Target { filter: &filter, is_kept: None };
    // Formats no value, so that no code of the program runs.
    event.record(&mut target);
    target.is_kept.unwrap_or_else(|| filter(event.metadata().target()))
}

struct Target<F> {
    filter: F,
    /// `None` until the target is found.
    is_kept: Option<bool>,
}

impl<F: Fn(&str) -> bool> Visit for Target<F> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.is_kept = Some((self.filter)(value));
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
