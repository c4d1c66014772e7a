//! Finds the tracer for `#[traced]` and the facade's layers: the installed tracer, or a test's tracer stored in its
//! context.
//!
//! Without a tracer, `#[traced]` costs one relaxed load, which reads its switch in [`span_filter`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use opentelemetry::trace::{SpanBuilder, TraceContextExt, Tracer};
use opentelemetry::{Context, InstrumentationScope};

use super::{Scope, SdkSpan, SdkTracer, SdkTracerProvider, TracerConfig};
use crate::context;
use crate::control::ConfigOf;
use crate::resource::Resource;
use crate::span_filter;
use crate::time::Clock;

/// Number of tracers, both installed and in contexts, combined with the bit [`GLOBAL`].
static TRACERS: AtomicUsize = AtomicUsize::new(0);

/// The bit of [`TRACERS`] that enables the API's global tracer as a fallback until another tracer is installed.
const GLOBAL: usize = 1 << (usize::BITS - 1);

static INSTALLED: OnceLock<SdkTracer> = OnceLock::new();

/// Returns true if [`tracer`] may find a tracer.
#[inline]
pub fn is_installed() -> bool {
    TRACERS.load(Ordering::Relaxed) != 0
}

/// Returns the tracer to use for a span that starts in `parent`.
#[inline]
pub fn tracer(parent: &Context) -> Option<&SdkTracer> {
    match TRACERS.load(Ordering::Relaxed) {
        0 => None,
        1 if INSTALLED.get().is_some() => INSTALLED.get(),
        _ => in_context(parent).or_else(|| INSTALLED.get()),
    }
}

/// Returns the installed tracer if it is the only tracer, in which case no context can hold another tracer.
#[inline]
pub(crate) fn only_installed() -> Option<&'static SdkTracer> {
    (TRACERS.load(Ordering::Relaxed) == 1).then(|| INSTALLED.get()).flatten()
}

/// Returns the installed tracer.
#[inline]
pub(crate) fn installed() -> Option<&'static SdkTracer> {
    INSTALLED.get()
}

/// Returns the resource of the installed telemetry; `None` before the installation, and if telemetry is disabled.
#[inline]
pub fn resource() -> Option<&'static Resource> {
    if is_installed() { installed().map(|tracer| &tracer.provider.resource) } else { None }
}

/// Uses the API's global tracer for spans until a tracer of this SDK is installed.
pub(crate) fn use_global() {
    TRACERS.fetch_or(GLOBAL, Ordering::SeqCst);
    span_filter::wake();
    // Either this function sees the installed tracer, or `install` sees the bit.
    if INSTALLED.get().is_some() {
        TRACERS.fetch_and(!GLOBAL, Ordering::SeqCst);
    }
}

/// Returns true if the API's global tracer is the fallback.
#[inline]
pub(crate) fn uses_global() -> bool {
    TRACERS.load(Ordering::Relaxed) & GLOBAL != 0
}

/// Returns the scope used for spans that have neither a call site nor an instrumentation library.
pub(crate) fn scope() -> Scope {
    InstrumentationScope::builder("telemark").with_version(env!("CARGO_PKG_VERSION")).build().into()
}

/// Returns the tracer that a test has stored in `context`.
#[inline]
fn in_context(context: &Context) -> Option<&SdkTracer> {
    context.get::<Scoped>().map(|scoped| &scoped.0)
}

/// Returns the clock of the tracer that a test has stored in `context`.
pub fn clock_in_context(context: &Context) -> Option<Clock> {
    if is_installed() { in_context(context).map(|tracer| tracer.provider.clock.clone()) } else { None }
}

/// Starts each span on the tracer that [`tracer`] returns at that time, so this value can be created before anything
/// is installed. If it is created in a test, it keeps using the test's tracer, even on threads without the test's
/// context.
#[derive(Clone, Debug)]
pub struct ActiveTracer {
    scope: Scope,
    config: ConfigOf<TracerConfig>,
    /// The tracer of the test in which this value was created, if any.
    of_test: Option<SdkTracer>,
}

impl ActiveTracer {
    /// Creates a value whose spans have this scope.
    pub fn new(scope: InstrumentationScope) -> Self {
        let find = || context::look(|context| in_context(context).cloned()).flatten();
        let of_test = if is_installed() { find() } else { None };
        ActiveTracer { scope: scope.into(), config: ConfigOf::new(), of_test }
    }

    #[inline]
    fn find<'c>(&'c self, parent: &'c Context) -> Option<&'c SdkTracer> {
        match &self.of_test {
            None => tracer(parent),
            Some(of_test) => in_context(parent).or(Some(of_test)),
        }
    }
}

impl Tracer for ActiveTracer {
    type Span = SdkSpan;

    #[inline]
    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> SdkSpan {
        match self.find(parent) {
            Some(tracer) => tracer.build_in_scope(&self.scope, &self.config, builder, parent),
            None => SdkSpan::not_recording(parent.span().span_context().clone()),
        }
    }
}

/// Makes `tracer` the program's tracer. Only the first call takes effect; later calls return false.
///
/// A disabled tracer is not stored, so that `#[traced]` is as cheap as without a tracer.
pub(crate) fn install(tracer: SdkTracer) -> bool {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::AcqRel) {
        return false;
    }
    // Allows this thread to detect at program exit, without calling the API, that its context is gone.
    let _ = context::look(|_| ());
    if tracer.has_ids() && INSTALLED.set(tracer).is_ok() {
        TRACERS.fetch_add(1, Ordering::Relaxed);
        span_filter::wake();
        TRACERS.fetch_and(!GLOBAL, Ordering::SeqCst);
    }
    true
}

/// Records that the guard of the installed telemetry was dropped, so that the next span logs a warning that spans are
/// being lost.
pub(crate) fn guard_is_gone(tracers: &SdkTracerProvider) {
    if tracers.has_ended() && INSTALLED.get().is_some() {
        tracers.note_that_the_guard_is_gone();
    }
}

/// Returns `context` with its own tracer for `#[traced]` functions that run in it. Used in tests.
pub fn with_tracer(context: &Context, tracer: SdkTracer) -> Context {
    TRACERS.fetch_add(1, Ordering::Relaxed);
    span_filter::wake();
    context.with_value(Scoped(tracer))
}

struct Scoped(SdkTracer);

impl Drop for Scoped {
    fn drop(&mut self) {
        TRACERS.fetch_sub(1, Ordering::Relaxed);
    }
}
