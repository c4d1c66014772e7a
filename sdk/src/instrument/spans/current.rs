//! The current span and context: setting attributes and events, propagating the context, and suppressing telemetry.

use std::borrow::Cow;
use std::future::Future;

use opentelemetry::trace::{FutureExt, SpanContext, TraceContextExt, WithContext};
use opentelemetry::{Context, Key, KeyValue};

use super::outcome::RecordError;
use crate::context::{self, attach, look};
use crate::instrument::exception;
use crate::instrument::shield::shielded;
use crate::trace::{Source, active, is_recording};
use crate::unsampled;
use crate::value::ToValue;

/// Returns true if a span is current, recorded or not.
pub(crate) fn is_in_span() -> bool {
    look(|current| current.span().span_context().is_valid()).unwrap_or(false)
}

/// Sets an attribute on the current span. Does nothing if that span is not recording.
///
/// ```
/// telemark_sdk::instrument::spans::set_attribute("cart.items", 3);
/// ```
pub fn set_attribute(key: impl Into<Key>, value: impl ToValue) {
    // Convert before borrowing the current context, because user code must not run during the borrow.
    if records() {
        if let Some(value) = value.to_value() {
            let attribute = KeyValue::new(key, value);
            look(|current| current.span().set_attribute(attribute));
        }
    }
}

/// Adds an event to the current span. Does nothing if that span is not recording.
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

/// Records an error on the current span as `#[traced]` records an `Err`: sets the status to error, with the messages
/// of the error and its causes as the description, and sets `error.type` to the name of the error. Does nothing if the
/// span does not record or its status is ok. Also records an exception, unless this span or a span that ended within it
/// has already recorded the same exception.
///
/// A later error replaces an earlier one. An `error.type` that the program set with [`set_attribute`] is kept. Use
/// `set_attribute` to choose a different name, because a function cannot detect whether a type implements
/// [`ErrorType`](super::ErrorType). An error recorded here is also kept if the surrounding `#[traced]` function
/// returns an `Err`.
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
            let failure = description.into_failure(error_type, Source::Recorded);
            let appeared = look(|current| failure.tell(&current.span())).flatten();
            // Processors of records are user code, which must not run during the borrow.
            if let Some(appeared) = appeared {
                exception::write(appeared, &context::current());
            }
        });
    }
}

/// Returns the span context of the running code, for use in log records or in headers of other formats.
///
/// Returns the same as `Context::current().span()`, with one exception: a `#[traced]` function or manually created
/// span that is not sampled because its parent was not. To keep such a span almost free, it is not stored in any
/// context, so `Context::current()` still holds its parent. This function, like Telemark's propagators, gives the span
/// its own span id. A spawned task uses the ids of the context passed to it, which are those of the parent.
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

/// Lets `#[traced]` functions and manually created spans use the API's global tracer when no Telemark telemetry is
/// installed. Call this in a library that also supports programs based on `opentelemetry_sdk`, or in a program that is
/// based on it.
///
/// The global provider is looked up for each span, so this function can be called before or after the provider is set,
/// and any number of times. An installed telemetry always takes precedence. Without a call to this function,
/// instrumented functions record nothing in those programs and cost one relaxed load; after the call, they cost as
/// much as the global tracer does. The call has no effect on the metric of `#[traced(metrics)]` or on metrics in
/// statics.
///
/// ```
/// telemark_sdk::instrument::spans::use_global_tracer();
/// ```
pub fn use_global_tracer() {
    active::use_global();
}

/// Attaches the current context to a future, so that it can be spawned: `tokio::spawn(telemark::propagate(work()))`.
///
/// ```
/// # async fn work() {}
/// # fn spawn<F: Future<Output = ()> + Send + 'static>(_: F) {}
/// spawn(telemark_sdk::instrument::spans::propagate(work()));
/// ```
pub fn propagate<F: Future>(future: F) -> WithContext<F> {
    future.with_context(context::current())
}

/// Attaches the current context to a closure, so that it can run on another thread:
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

/// Runs `scope` with telemetry suppressed: spans started inside it are not recorded.
///
/// ```
/// let pong = telemark_sdk::instrument::spans::suppress(|| "health check");
/// assert_eq!(pong, "health check");
/// ```
pub fn suppress<T>(scope: impl FnOnce() -> T) -> T {
    let _guard = look(Context::with_telemetry_suppressed).and_then(attach);
    scope()
}

/// Runs a future with telemetry suppressed. See [`suppress`] for closures.
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
    look(|current| is_recording(&current.span())).unwrap_or(false)
}
