//! The current span and context: setting something on it, taking it along, and switching telemetry off in it.

use std::borrow::Cow;
use std::future::Future;

use opentelemetry::trace::{FutureExt, SpanContext, TraceContextExt, WithContext};
use opentelemetry::{Context, Key, KeyValue};

use super::outcome::RecordError;
use crate::context::{self, attach, look};
use crate::instrument::shield::shielded;
use crate::trace::{Failure, Source, active};
use crate::unsampled;
use crate::value::ToValue;

/// Sets an attribute of the current span. Does nothing if that span does not record.
///
/// ```
/// telemark_sdk::instrument::spans::set_attribute("cart.items", 3);
/// ```
pub fn set_attribute(key: impl Into<Key>, value: impl ToValue) {
    // Convert before the look at the context, which must not run user code.
    if records() {
        if let Some(value) = value.to_value() {
            let attribute = KeyValue::new(key, value);
            look(|current| current.span().set_attribute(attribute));
        }
    }
}

/// Adds an event to the current span. Does nothing if that span does not record.
///
/// ```
/// use opentelemetry::KeyValue;
/// telemark_sdk::instrument::spans::add_event("cache miss", [KeyValue::new("cache.key", "cart-7")]);
/// ```
pub fn add_event(name: impl Into<Cow<'static, str>>, attributes: impl IntoIterator<Item = KeyValue>) {
    if records() {
        let (name, attributes) = (name.into(), attributes.into_iter().collect());
        look(|current| current.span().add_event(name, attributes));
    }
}

/// Records an error on the current span as `#[traced]` records an `Err`: sets the status error with the messages of the error
/// and its causes, and `error.type` to its name. Does nothing if the span does not record or has the status ok.
///
/// A later error replaces an earlier one. An `error.type` that the program has set by [`set_attribute`] stays; use that to
/// choose another name, since a function cannot see whether a type implements [`ErrorType`](super::ErrorType). If the
/// `#[traced]` function around the call returns an `Err`, the error recorded here stays, too.
///
/// ```
/// if let Err(error) = "x".parse::<u16>() {
///     telemark_sdk::instrument::spans::record_error(&error);
/// }
/// ```
///
/// spec: semconv general/recording-errors.md
pub fn record_error<E: RecordError<Kind> + ?Sized, Kind>(error: &E) {
    if records() {
        shielded(|| {
            let (description, error_type) = error.described();
            let failure = Failure { description, error_type, source: Source::Recorded };
            look(|current| failure.tell(&current.span()));
        });
    }
}

/// Returns the span context of the running code, for the ids of a log record or for a header in another format.
///
/// This is the span context of `Context::current().span()`, with one exception: a `#[traced]` function or a span by hand that
/// is not sampled because its parent was not. To cost next to nothing, such a span is in no context, and `Context::current()`
/// still holds its parent. This function, like Telemark's propagators, gives it a span id of its own. A spawned task has the
/// ids of the context that it was given, which are the parent's.
///
/// ```
/// let ids = telemark_sdk::instrument::spans::current_span_context();
/// assert!(!ids.is_valid(), "there is no span here");
/// ```
///
/// spec: trace/sdk.md#sdk-span-creation
pub fn current_span_context() -> SpanContext {
    look(|current| unsampled::with_span_context(current, SpanContext::clone)).unwrap_or(SpanContext::NONE)
}

/// Lets `#[traced]` functions and spans by hand use the API's global tracer where no Telemark telemetry is installed. Call it
/// in a library that also serves programs with `opentelemetry_sdk`, or in such a program.
///
/// The global provider is looked up for each span, so the order of this call and of setting the provider does not matter, and
/// repeated calls do no harm. An installed telemetry always comes first. Without this call, such functions record nothing in
/// those programs and cost one relaxed load; after it, they cost as much as the global tracer. The metric of
/// `#[traced(metrics)]` and metrics in statics are not included.
///
/// ```
/// telemark_sdk::instrument::spans::use_global_tracer();
/// ```
pub fn use_global_tracer() {
    active::use_global();
}

/// Attaches the context that is current now to a future, for a spawned task: `tokio::spawn(telemark::propagate(work()))`.
///
/// ```
/// # async fn work() {}
/// # fn spawn<F: Future<Output = ()> + Send + 'static>(_: F) {}
/// spawn(telemark_sdk::instrument::spans::propagate(work()));
/// ```
pub fn propagate<F: Future>(future: F) -> WithContext<F> {
    future.with_context(context::current())
}

/// Attaches the context that is current now to a closure, for another thread:
/// `std::thread::spawn(telemark::propagate_fn(work))`.
///
/// ```
/// let answer = std::thread::spawn(telemark_sdk::instrument::spans::propagate_fn(|| 42)).join();
/// assert_eq!(answer.ok(), Some(42));
/// ```
pub fn propagate_fn<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let context = context::current();
    move || {
        let _guard = attach(context);
        work()
    }
}

/// Runs `scope` without telemetry: spans that start in it are not recorded.
///
/// ```
/// let pong = telemark_sdk::instrument::spans::suppress(|| "health check");
/// assert_eq!(pong, "health check");
/// ```
pub fn suppress<T>(scope: impl FnOnce() -> T) -> T {
    let _guard = look(Context::with_telemetry_suppressed).and_then(attach);
    scope()
}

/// Runs a future without telemetry, as [`suppress`] does a closure.
///
/// ```
/// # async fn health_check() {}
/// # async fn example() {
/// telemark_sdk::instrument::spans::suppress_future(health_check()).await;
/// # }
/// ```
pub fn suppress_future<F: Future>(future: F) -> WithContext<F> {
    future.with_context(look(Context::with_telemetry_suppressed).unwrap_or_default())
}

fn records() -> bool {
    look(|current| current.span().is_recording()).unwrap_or(false)
}
