//! Tests telemetry in the destructors of thread-locals. With `panic = "abort"`, any panic, even a caught one, ends the
//! program.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "threads that end")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::Context;
use telemark_sdk::instrument::spans::{add_event, current_span_context, propagate_fn, set_attribute, span, suppress};
use telemark_sdk::testing::TestTelemetry;

static CONTEXT: OnceLock<Context> = OnceLock::new();
static DROPPED: AtomicUsize = AtomicUsize::new(0);

fn work() {
    span("below the current one").in_scope(|| set_attribute("n", 1));
    if let Some(context) = CONTEXT.get() {
        span("below a given one").with_parent(context).in_scope(|| {
            add_event("event", []);
            suppress(|| span("suppressed").in_scope(|| ()));
            propagate_fn(current_span_context)();
        });
        let remote = opentelemetry::trace::TraceContextExt::span(context).span_context().clone();
        span("below a remote one").with_parent(remote).in_scope(|| ());
    }
}

struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        work();
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local!(static LAST: Last = const { Last });

#[test]
fn nothing_panics_at_the_end_of_a_thread_not_even_caught() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let telemetry = TestTelemetry::new();
    CONTEXT.set(telemetry.context()).unwrap();
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));
    // The destructor runs either before or after the thread's context is destroyed.
    let threads = [false, true].map(|is_context_first| {
        std::thread::spawn(move || {
            if is_context_first {
                work();
            }
            LAST.with(|_| ());
            work();
        })
    });
    let ended = threads.map(|thread| thread.join().is_ok());
    drop(std::panic::take_hook());
    assert_eq!((ended, DROPPED.load(Ordering::Relaxed)), ([true, true], 2));
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}
