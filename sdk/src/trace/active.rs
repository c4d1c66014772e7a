//! The tracer that `#[traced]` and the facade's layers use: the installed one, or for a test the one in its context.
//!
//! One relaxed load tells that there is none, which is all that `#[traced]` costs a program without telemetry.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use opentelemetry::trace::{SpanBuilder, TraceContextExt, Tracer};
use opentelemetry::{Context, InstrumentationScope};

use super::{Scope, SdkSpan, SdkTracer, SdkTracerProvider};
use crate::context;
use crate::time::Clock;

/// How many tracers there are: the installed one and those in contexts. And [`GLOBAL`].
static TRACERS: AtomicUsize = AtomicUsize::new(0);

/// The bit of [`TRACERS`] that says that the API's global tracer is used as long as none is installed.
const GLOBAL: usize = 1 << (usize::BITS - 1);

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
        _ => in_context(parent).or_else(|| INSTALLED.get()),
    }
}

/// The installed tracer, when it is the only one: no context can have another.
#[inline]
pub(crate) fn only_installed() -> Option<&'static SdkTracer> {
    (TRACERS.load(Ordering::Relaxed) == 1).then(|| INSTALLED.get()).flatten()
}

/// The installed tracer.
#[inline]
pub(crate) fn installed() -> Option<&'static SdkTracer> {
    INSTALLED.get()
}

/// Uses the API's global tracer for spans that no tracer of ours is there for.
pub(crate) fn use_global() {
    TRACERS.fetch_or(GLOBAL, Ordering::SeqCst);
    // Either this one sees the tracer or `install` sees the bit.
    if INSTALLED.get().is_some() {
        TRACERS.fetch_and(!GLOBAL, Ordering::SeqCst);
    }
}

/// Whether the API's global tracer stands in for one of ours.
#[inline]
pub(crate) fn uses_global() -> bool {
    TRACERS.load(Ordering::Relaxed) & GLOBAL != 0
}

/// The scope of spans that no call site and no instrumentation names.
pub(crate) fn scope() -> Scope {
    InstrumentationScope::builder("telemark").with_version(env!("CARGO_PKG_VERSION")).build().into()
}

/// The tracer that a test has put into `context`.
#[inline]
fn in_context(context: &Context) -> Option<&SdkTracer> {
    context.get::<Scoped>().map(|scoped| &scoped.0)
}

/// The clock of the tracer that a test has put into `context`.
pub fn clock_in_context(context: &Context) -> Option<Clock> {
    if is_installed() { in_context(context).map(|tracer| tracer.provider.clock.clone()) } else { None }
}

/// Starts spans on [`tracer`], which it looks up each time: it may be made before anything is installed. One that is made in
/// a test is that test's, also on threads that do not have the test's context.
#[derive(Clone, Debug)]
pub struct ActiveTracer {
    scope: Scope,
    /// Of the test that it was made in.
    of_test: Option<SdkTracer>,
}

impl ActiveTracer {
    /// A tracer whose spans have this scope.
    pub fn new(scope: InstrumentationScope) -> Self {
        let find = || context::look(|context| in_context(context).cloned()).flatten();
        let of_test = if is_installed() { find() } else { None };
        ActiveTracer { scope: scope.into(), of_test }
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
            Some(tracer) => tracer.build_in_scope(&self.scope, builder, parent),
            None => SdkSpan::not_recording(parent.span().span_context().clone()),
        }
    }
}

/// Makes `tracer` the program's; the first one stays. Returns whether it was this one.
///
/// One that is disabled is not kept, so that `#[traced]` costs as little as without any.
pub(crate) fn install(tracer: SdkTracer) -> bool {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::AcqRel) {
        return false;
    }
    if tracer.has_ids() && INSTALLED.set(tracer).is_ok() {
        TRACERS.fetch_add(1, Ordering::Relaxed);
        TRACERS.fetch_and(!GLOBAL, Ordering::SeqCst);
    }
    true
}

/// The guard of the installed telemetry was dropped: the next span says that it is lost.
pub(crate) fn guard_is_gone(tracers: &SdkTracerProvider) {
    if tracers.is_off() && INSTALLED.get().is_some() {
        tracers.note_that_the_guard_is_gone();
    }
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
