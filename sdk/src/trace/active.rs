//! The tracer that `#[traced]` uses: the installed one, or for a test the one in its context.
//!
//! One relaxed load tells that there is none, which is all that `#[traced]` costs a program without telemetry.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::Context;

use super::SdkTracer;

/// How many tracers there are: the installed one and those in contexts.
static TRACERS: AtomicUsize = AtomicUsize::new(0);

static INSTALLED: OnceLock<SdkTracer> = OnceLock::new();

/// Whether [`tracer`] may find one.
#[inline]
pub fn is_installed() -> bool {
    TRACERS.load(Ordering::Relaxed) != 0
}

/// The tracer for a span that starts in `parent`.
#[inline]
pub fn tracer(parent: &Context) -> Option<&SdkTracer> {
    match TRACERS.load(Ordering::Relaxed) {
        0 => None,
        1 if INSTALLED.get().is_some() => INSTALLED.get(),
        _ => parent.get::<Scoped>().map(|scoped| &scoped.0).or_else(|| INSTALLED.get()),
    }
}

/// Makes `tracer` the program's; the first one stays. Returns whether it was this one.
pub(crate) fn install(tracer: SdkTracer) -> bool {
    let first = INSTALLED.set(tracer).is_ok();
    if first {
        TRACERS.fetch_add(1, Ordering::Relaxed);
    }
    first
}

/// `context` with a tracer of its own for `#[traced]` functions that run in it, beside any other: for tests.
pub fn with_tracer(context: &Context, tracer: SdkTracer) -> Context {
    TRACERS.fetch_add(1, Ordering::Relaxed);
    context.with_value(Scoped(tracer))
}

struct Scoped(SdkTracer);

impl Drop for Scoped {
    fn drop(&mut self) {
        TRACERS.fetch_sub(1, Ordering::Relaxed);
    }
}
