//! The flush on SIGTERM and Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use telemark_sdk::ConfigError;
use telemark_sdk::metrics::SdkMeterProvider;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SdkTracerProvider;

/// Waits for a signal on a thread of its own, exports what is left, and ends the program the way the signal does. A second
/// signal ends it at once: whoever sends that does not want to wait for a receiver.
#[allow(clippy::disallowed_methods, reason = "a thread that lives as long as the program, waiting for a signal")]
pub(crate) fn flush_on_signals(
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    timeout: Duration,
) -> Result<(), ConfigError> {
    let failed = |error| {
        ConfigError::state("flush_on_signals", "the operating system refused to watch for signals").with_source(error)
    };
    let impatient = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_default(signal, impatient.clone()).map_err(failed)?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
    let thread = std::thread::Builder::new().name("telemark-signals".to_owned());
    let waiting = thread.spawn(move || {
        if let Some(signal) = signals.forever().next() {
            impatient.store(true, Ordering::SeqCst);
            // Failures are reported by the processors and readers; the program ends in any case.
            let deadline = Deadline::after(timeout);
            drop(tracers.shutdown(deadline));
            drop(meters.shutdown(deadline));
            drop(emulate_default_handler(signal));
        }
    });
    waiting.map(drop).map_err(failed)
}
