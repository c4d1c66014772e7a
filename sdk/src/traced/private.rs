//! Everything that the expansion of `#[traced]` names. Not an API: it changes with the macro.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use opentelemetry::KeyValue;
pub use opentelemetry::trace::SpanKind;
// Without their documentation: `env` is the macro, and a module beside it.
#[doc(no_inline)]
pub use std::{boxed::Box, concat, env, file, module_path, vec::Vec};

pub use super::duration::{Durations, Timer, Timing};
pub use super::entered::Entered;
pub use super::future::Traced;
pub use super::iterator::{traced_iterator, traced_iterator_timed};
pub use super::measured::Measured;
pub use super::outcome::{Described, Fallible, is_failure};
pub use super::output::{Call, Output, refuse_main};
pub use super::span::{Active, Live, Setup, start, start_here};
pub use super::stream::{traced_stream, traced_stream_timed};
pub use crate::trace::CallSite;
pub use crate::value::ToValue;

use super::duration::End;
use super::measured::{Measurement, Watch};
use super::outcome::text;

/// The attributes of a span that is about to start.
pub type Attributes = Vec<KeyValue>;

/// The name of a span, which is a constant: names are few.
#[inline]
pub const fn name(name: &'static str) -> &'static str {
    name
}

/// Starts a span and makes it current.
#[inline]
pub fn enter(setup: impl FnOnce() -> Setup, attributes: impl FnOnce(&mut Attributes)) -> Entered {
    Entered::new(start(setup, attributes))
}

/// Starts a span in the current context and makes it current.
#[inline]
pub fn enter_here(setup: impl FnOnce() -> Setup, attributes: impl FnOnce(&mut Attributes)) -> Entered {
    Entered::new(start_here(setup, attributes))
}

/// Adds an attribute that keeps its type.
#[inline]
pub fn push<V: ToValue + ?Sized>(attributes: &mut Attributes, key: &'static str, value: &V) {
    if let Some(value) = value.to_value() {
        attributes.push(KeyValue::new(key, value));
    }
}

/// Adds a string literal: nothing to copy.
#[inline]
pub fn push_str(attributes: &mut Attributes, key: &'static str, value: &'static str) {
    attributes.push(KeyValue::new(key, value));
}

/// Adds an attribute made with `Display`.
pub fn push_display<V: fmt::Display + ?Sized>(attributes: &mut Attributes, key: &'static str, value: &V) {
    attributes.push(KeyValue::new(key, text(format_args!("{value}"))));
}

/// Adds an attribute made with `Debug`.
pub fn push_debug<V: fmt::Debug + ?Sized>(attributes: &mut Attributes, key: &'static str, value: &V) {
    attributes.push(KeyValue::new(key, text(format_args!("{value:?}"))));
}

/// `Display` for a status or an attribute.
pub fn display<V: fmt::Display + ?Sized>(value: &V) -> String {
    text(format_args!("{value}"))
}

/// `Debug` for a status or an attribute.
pub fn debug<V: fmt::Debug + ?Sized>(value: &V) -> String {
    text(format_args!("{value:?}"))
}

/// Calls the body of a function. The bound tells the compiler that the body runs once, so that it may return what it
/// borrows from its arguments.
#[inline]
pub fn call<T>(body: impl FnOnce() -> T) -> T {
    body()
}

/// Calls the body of a function that returns a future, in the span that this future goes on with.
#[inline]
pub fn call_in<T>(mut active: Active, body: impl FnOnce() -> T) -> (Active, T) {
    let value = call_watched(&mut active, &mut (), body);
    (active, value)
}

/// [`call_in`], measured from the start of the span.
#[inline]
pub fn call_in_measured<T>(
    mut active: Active,
    durations: &'static Durations,
    body: impl FnOnce() -> T,
) -> (Active, Timing, T) {
    let mut timing = durations.start(active.0.live());
    let value = call_watched(&mut active, &mut timing, body);
    (active, timing, value)
}

#[inline]
fn call_watched<T>(active: &mut Active, measurement: &mut impl Measurement, body: impl FnOnce() -> T) -> T {
    let _watch = Watch::new(&mut active.0, measurement);
    body()
}

/// Starts to measure a call in the span that it has entered.
#[inline]
pub fn time<'a>(durations: &'static Durations, entered: &'a Entered) -> Timer<'a> {
    Timer::new(durations, entered)
}

/// Ends the measurement of a call that has returned; `outcome` names the type of the error in what it returned.
#[inline]
pub fn returned<T>(mut timer: Timer<'_>, output: &T, outcome: impl FnOnce(&T) -> Option<&'static str>) {
    if timer.is_running() {
        timer.end(outcome(output).map_or(End::Returned, End::Failed));
    }
}

/// The outcome of what cannot be an error.
#[inline]
pub fn success<T: ?Sized>(_: &T) -> Option<&'static str> {
    None
}

/// Shows what a function returned to `record`, if the span records.
#[inline]
pub fn finish<T>(entered: &Entered, output: &T, record: impl FnOnce(&Live, &T)) {
    if let Some(live) = entered.recording() {
        record(live, output);
    }
}

/// A value of any type, for code that is never reached and only tells the compiler a type.
pub fn never<T>() -> T {
    loop {
        std::thread::park();
    }
}

/// Sets the attribute `return`.
#[inline]
pub fn set_return<V: ToValue + ?Sized>(live: &Live, value: &V) {
    live.set("return", value);
}

/// Records nothing of what a future returned.
#[inline]
pub fn ignore<T: ?Sized>(_: &Live, _: &T) {}

/// Names the output of a future, so that the closure that records it knows the type.
#[inline]
pub fn traced<F, R>(active: Active, future: F, record: R) -> Traced<F, R>
where
    F: Future,
    R: FnOnce(&Live, &F::Output),
{
    Traced::new(active, future, record)
}

/// [`traced`], measured from the start of the span.
#[inline]
pub fn traced_measured<F, R, O>(
    active: Active,
    durations: &'static Durations,
    future: F,
    record: R,
    outcome: O,
) -> Traced<F, R, Measured<O>>
where
    F: Future,
    R: FnOnce(&Live, &F::Output),
    O: FnOnce(&F::Output) -> Option<&'static str>,
{
    let timing = durations.start(active.0.live());
    traced_timed(active, timing, future, record, outcome)
}

/// [`traced`] with a measurement that has begun.
#[inline]
pub fn traced_timed<F, R, O>(
    active: Active,
    timing: Timing,
    future: F,
    record: R,
    outcome: O,
) -> Traced<F, R, Measured<O>>
where
    F: Future,
    R: FnOnce(&Live, &F::Output),
    O: FnOnce(&F::Output) -> Option<&'static str>,
{
    Traced::measured(active, future, record, Measured::new(timing, outcome))
}

/// Evaluates what only the telemetry needs: a panic in it must not become the program's.
#[inline]
pub fn guarded(record: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(record));
}
