//! The items used by the expansion of `#[traced]`. Not a public API: it changes together with the macro.

use std::fmt;
use std::future::Future;

pub use std::option::Option::{None, Some};

pub use opentelemetry::KeyValue;
pub use opentelemetry::trace::SpanKind;
// Not inlined, because `env` is both the macro and a module.
#[doc(no_inline)]
pub use std::{boxed::Box, concat, env, file, module_path, pin::pin, vec::Vec};

pub use crate::__body as body;

pub use super::spans::body::{AsyncCall, Cancel, InSpan, Observe, Observer, Work};
pub use super::spans::call_duration::{CallDuration, Timer, Timing};
pub use super::spans::entered::Entered;
pub use super::spans::fields::{Late, Mixed, NoFields, Ready};
pub use super::spans::future::Traced;
pub use super::spans::open::{OpenSpan, StartedSpan};
pub use super::spans::outcome::{Described, Fallible, is_failure};
pub use super::spans::output::{Call, Output, refuse_main};
pub use super::spans::sequence::{traced_iterator, traced_stream};
pub use super::spans::start::{NoOptions, Options, Plan, Setup};
pub use super::spans::stopwatch::{JudgedTiming, Stopwatch};
pub use crate::span_filter::{Level, SpanSwitch};
pub use crate::trace::{CallSite, Fields};
pub use crate::value::ToValue;

use super::shield;
use super::spans::call_duration::CallEnd;
use super::spans::current::is_in_span;
use super::spans::open::State;
use super::spans::outcome::text;
use super::spans::start;
use super::spans::stopwatch::Watch;
use crate::trace::active;

/// The attributes of a span about to start.
pub type Attributes = Vec<KeyValue>;

/// Returns the current context, or an empty one at thread exit, when the API would panic.
pub fn current_context() -> opentelemetry::Context {
    crate::context::current()
}

/// Returns the name of a span. The argument must be a constant, which keeps the number of names low.
#[inline]
pub const fn name(name: &'static str) -> &'static str {
    name
}

/// Starts a span unless the filter rejects it.
#[inline]
pub fn start(plan: &'static Plan, options: impl Options, fields: impl Fields) -> StartedSpan {
    start::start(Some(&plan.switch), move || options.setup(plan), fields)
}

/// Starts a span in the current context unless the filter rejects it.
#[inline]
pub fn start_here(plan: &'static Plan, options: impl Options, fields: impl Fields) -> StartedSpan {
    start::start_here(Some(&plan.switch), move || options.setup(plan), fields)
}

/// Starts a span like [`start`] and makes it current.
#[inline]
pub fn enter(plan: &'static Plan, options: impl Options, fields: impl Fields) -> Entered {
    Entered::new(start(plan, options, fields))
}

/// Starts a span like [`start_here`] and makes it current.
#[inline]
pub fn enter_here(plan: &'static Plan, options: impl Options, fields: impl Fields) -> Entered {
    start::enter_here(&plan.switch, move || options.setup(plan), fields)
}

/// Returns fields that are evaluated only if the span is recorded.
#[inline]
pub fn late<L: FnOnce(&mut Attributes)>(late: L) -> Late<L> {
    Late::new(late)
}

/// Returns fields whose values are at hand, so that a sampler can look at them.
#[inline]
pub fn ready<R: Fn(&mut Attributes)>(ready: R) -> Ready<R> {
    Ready::new(ready)
}

/// Returns fields of which `ready` adds those whose values are at hand, and `all` all of them.
#[inline]
pub fn mixed<R: Fn(&mut Attributes), L: FnOnce(&mut Attributes)>(ready: R, all: L) -> Mixed<R, L> {
    Mixed::new(ready, all)
}

/// Starts a span below the current span, unless the filter rejects it. Without a current span, starts none.
#[inline]
pub fn start_below(plan: &'static Plan, options: impl Options, fields: impl Fields) -> StartedSpan {
    // The filter and the tracer come first, each of which costs one relaxed load.
    if !plan.switch.is_on() || !active::is_installed() || !is_in_span() {
        return StartedSpan(State::Off);
    }
    start::start_here(Some(&plan.switch), move || options.setup(plan), fields)
}

/// Starts a span like [`start_below`] and makes it current.
#[inline]
pub fn enter_below(plan: &'static Plan, options: impl Options, fields: impl Fields) -> Entered {
    Entered::new(start_below(plan, options, fields))
}

/// Adds an attribute and preserves the type of its value.
#[inline]
pub fn push<V: ToValue + ?Sized>(attributes: &mut Attributes, key: &'static str, value: &V) {
    if let Some(value) = value.to_value() {
        attributes.push(KeyValue::new(key, value));
    }
}

/// Adds a static string without copying it.
#[inline]
pub fn push_str(attributes: &mut Attributes, key: &'static str, value: &'static str) {
    attributes.push(KeyValue::new(key, value));
}

/// Adds an attribute formatted with `Display`.
pub fn push_display<V: fmt::Display + ?Sized>(attributes: &mut Attributes, key: &'static str, value: &V) {
    attributes.push(KeyValue::new(key, text(format_args!("{value}"))));
}

/// Adds an attribute formatted with `Debug`.
pub fn push_debug<V: fmt::Debug + ?Sized>(attributes: &mut Attributes, key: &'static str, value: &V) {
    attributes.push(KeyValue::new(key, text(format_args!("{value:?}"))));
}

/// Formats a value with `Display`, for a status or an attribute.
pub fn display<V: fmt::Display + ?Sized>(value: &V) -> String {
    text(format_args!("{value}"))
}

/// Formats a value with `Debug`, for a status or an attribute.
pub fn debug<V: fmt::Debug + ?Sized>(value: &V) -> String {
    text(format_args!("{value:?}"))
}

/// Calls the body of a function. The `FnOnce` bound allows the body to return borrows of its arguments.
#[inline]
pub fn call<T>(body: impl FnOnce() -> T) -> T {
    body()
}

/// Calls the body of a function that returns a future. The body runs inside the span in which the future later runs.
#[inline]
pub fn call_in<T>(mut span: StartedSpan, body: impl FnOnce() -> T) -> (StartedSpan, T) {
    let value = call_watched(&mut span, &mut (), body);
    (span, value)
}

/// Calls the body like [`call_in`], and measures its duration from the start of the span.
#[inline]
pub fn call_in_timed<T>(
    mut span: StartedSpan,
    duration: &'static CallDuration,
    body: impl FnOnce() -> T,
) -> (StartedSpan, Timing, T) {
    let mut timing = duration.start(span.0.open());
    let value = call_watched(&mut span, &mut timing, body);
    (span, timing, value)
}

#[inline]
fn call_watched<T>(span: &mut StartedSpan, stopwatch: &mut impl Stopwatch, body: impl FnOnce() -> T) -> T {
    let _watch = Watch::new(&mut span.0, stopwatch);
    body()
}

/// Starts measuring a call inside the span that the call has entered.
#[inline]
pub fn time<'a>(duration: &'static CallDuration, entered: &'a Entered) -> Timer<'a> {
    Timer::new(duration, entered)
}

/// Records the duration of a call that has returned. `outcome` returns the type name of the error in the call's
/// output, if any.
#[inline]
pub fn returned<T>(mut timer: Timer<'_>, output: &T, outcome: impl FnOnce(&T) -> Option<&'static str>) {
    if timer.is_running() {
        timer.stop(outcome(output).map_or(CallEnd::Returned, CallEnd::Failed));
    }
}

/// Returns `None`, as the outcome of a function that cannot fail.
#[inline]
pub fn success<T: ?Sized>(_: &T) -> Option<&'static str> {
    None
}

/// Passes the output of a function to `record` if the span is recording. A panic in `record` does not reach the program.
#[inline]
pub fn finish<T>(entered: &Entered, output: &T, record: impl Fn(&OpenSpan, &T)) {
    if let Some(span) = entered.recording() {
        shield::record(&record, span, output);
    }
}

/// Does the same as [`finish`] with a closure that can be called only once. Compiled for each function.
#[inline]
pub fn finish_once<T>(entered: &Entered, output: &T, record: impl FnOnce(&OpenSpan, &T)) {
    if let Some(span) = entered.recording() {
        shield::shielded(|| record(span, output));
    }
}

/// Returns a value of any type. Used in unreachable code, to give the compiler a type.
pub fn never<T>() -> T {
    loop {
        std::thread::park();
    }
}

/// Sets the `return` attribute.
#[inline]
pub fn set_return<V: ToValue + ?Sized>(span: &OpenSpan, value: &V) {
    span.set("return", value);
}

/// Ignores the output of a call that is not measured.
#[inline]
pub fn unobserved<T>(_: Option<&OpenSpan>, _: &T) -> Option<&'static str> {
    None
}

/// Ignores the output.
#[inline]
pub fn ignore<T: ?Sized>(_: &OpenSpan, _: &T) {}

/// Runs a future in a started span. The bounds let the compiler infer the type of the closure that records the output.
#[inline]
pub fn traced<F, R>(span: StartedSpan, future: F, record: R) -> Traced<F, R>
where
    F: Future,
    R: FnOnce(&OpenSpan, &F::Output),
{
    Traced::timed(span, future, record, ())
}

/// Runs a future like [`traced`], and measures its duration from the start of the span.
#[inline]
pub fn traced_with_duration<F, R, O>(
    span: StartedSpan,
    duration: &'static CallDuration,
    future: F,
    record: R,
    outcome: O,
) -> Traced<F, R, JudgedTiming<O>>
where
    F: Future,
    R: FnOnce(&OpenSpan, &F::Output),
    O: FnOnce(&F::Output) -> Option<&'static str>,
{
    let timing = duration.start(span.0.open());
    traced_timed(span, timing, future, record, outcome)
}

/// Runs a future like [`traced`], with a duration measurement that is already running.
#[inline]
pub fn traced_timed<F, R, O>(
    span: StartedSpan,
    timing: Timing,
    future: F,
    record: R,
    outcome: O,
) -> Traced<F, R, JudgedTiming<O>>
where
    F: Future,
    R: FnOnce(&OpenSpan, &F::Output),
    O: FnOnce(&F::Output) -> Option<&'static str>,
{
    Traced::timed(span, future, record, JudgedTiming::new(timing, outcome))
}

/// Begins the call of an `async fn` in a started span.
#[inline]
pub fn async_call(span: StartedSpan) -> AsyncCall {
    AsyncCall::new(span, ())
}

/// Begins a call like [`async_call`], and measures its duration from the start of the span.
#[inline]
pub fn async_call_timed(span: StartedSpan, duration: &'static CallDuration) -> AsyncCall<Timing> {
    let timing = duration.start(span.0.open());
    AsyncCall::new(span, timing)
}

/// Makes the span of a call that is cancelled current while its body, which is declared between the two, is dropped.
#[inline]
pub fn cancel<M: Stopwatch>(call: &mut AsyncCall<M>) -> Cancel<'_, M> {
    Cancel::new(call)
}
