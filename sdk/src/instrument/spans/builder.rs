//! Manually created spans, for code that `#[traced]` on a function does not suit.

use std::borrow::Cow;
use std::future::Future;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Key, KeyValue};

use super::entered::Entered;
use super::future::Traced;
use super::open::{OpenSpan, StartedSpan, State};
use super::outcome::RecordError;
use super::start::{IntoLink, IntoParent, Setup, start, start_here};
use crate::instrument::shield::shielded;
use crate::trace::active;
use crate::value::ToValue;

/// Creates a span builder. The span starts with [`SpanBuilder::enter`], [`SpanBuilder::in_scope`] or [`SpanBuilder::run`].
///
/// ```
/// # use telemark_sdk::instrument::spans as telemark;
/// let total = telemark::span("price cart").with("cart.items", 3).in_scope(|| 3 * 7);
/// assert_eq!(total, 21);
/// ```
#[inline]
pub fn span(name: impl Into<Cow<'static, str>>) -> SpanBuilder {
    SpanBuilder(active::is_installed().then(|| Plan { setup: Setup::new(name), attributes: Vec::new() }))
}

/// A span that has not started yet. If no tracer is installed, it is empty and its methods do nothing.
#[derive(Debug)]
#[must_use = "a span starts with `enter`, `in_scope` or `run`"]
pub struct SpanBuilder(Option<Plan>);

#[derive(Debug)]
struct Plan {
    setup: Setup,
    attributes: Vec<KeyValue>,
}

impl SpanBuilder {
    /// Sets the kind of the span; [`SpanKind::Internal`] by default.
    pub fn with_kind(self, kind: SpanKind) -> Self {
        self.map_setup(|setup| setup.with_kind(kind))
    }

    /// Sets an attribute. Does nothing if the value is `None`.
    pub fn with(mut self, key: impl Into<Key>, value: impl ToValue) -> Self {
        if let Some(plan) = &mut self.0 {
            if let Some(value) = value.to_value() {
                plan.attributes.push(KeyValue::new(key, value));
            }
        }
        self
    }

    /// Sets the parent, either a context or a span context. By default, the parent is the current context.
    pub fn with_parent(self, parent: impl IntoParent) -> Self {
        self.map_setup(|setup| setup.with_parent(parent))
    }

    /// Makes the span the root of a new trace.
    pub fn with_new_root(self) -> Self {
        self.map_setup(Setup::with_new_root)
    }

    /// Adds a link.
    pub fn with_link(self, link: impl IntoLink) -> Self {
        self.map_setup(|setup| setup.with_links([link]))
    }

    /// Starts the span and makes it current on this thread. Dropping the returned guard ends the span.
    ///
    /// In asynchronous code, use [`SpanBuilder::run`] instead: the guard must not be held across an `await`.
    ///
    /// ```
    /// # use telemark_sdk::instrument::spans as telemark;
    /// let _span = telemark::span("warm up").enter();
    /// telemark::set_attribute("cache.size", 128);
    /// ```
    pub fn enter(self) -> Entered {
        Entered::new(self.start())
    }

    /// Runs `scope` inside the span.
    pub fn in_scope<T>(self, scope: impl FnOnce() -> T) -> T {
        let _span = self.enter();
        scope()
    }

    /// Runs `scope` inside the span. If the result is an `Err`, sets the status and `error.type`, as `#[traced]` does.
    ///
    /// ```
    /// # use telemark_sdk::instrument::spans as telemark;
    /// let parsed = telemark::span("parse").try_in_scope(|| "x".parse::<u16>());
    /// assert!(parsed.is_err());
    /// ```
    pub fn try_in_scope<T, E: RecordError<Kind>, Kind>(self, scope: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let span = self.enter();
        let result = scope();
        if let Some(open) = span.recording() {
            record_result(open, &result);
        }
        result
    }

    /// Starts the span and runs `future` in it. The span ends when the future does. Its parent is the context that is
    /// current when this method is called, not when the future is first polled, so the future can be spawned.
    ///
    /// ```
    /// # use telemark_sdk::instrument::spans as telemark;
    /// # async fn fetch() -> u16 { 200 }
    /// # async fn example() {
    /// let status = telemark::span("fetch").run(fetch()).await;
    /// # }
    /// ```
    pub fn run<F: Future>(self, future: F) -> Traced<F, fn(&OpenSpan, &F::Output)> {
        Traced::new(self.start(), future, |_, _| ())
    }

    /// Starts the span and runs `future` in it, like [`SpanBuilder::run`]. If the output is an `Err`, sets the status
    /// and `error.type`.
    ///
    /// ```
    /// # use telemark_sdk::instrument::spans as telemark;
    /// # async fn fetch() -> Result<u16, std::io::Error> { Ok(200) }
    /// # async fn example() -> Result<(), std::io::Error> {
    /// let status = telemark::span("fetch").try_run(fetch()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_run<F, T, E, Kind>(self, future: F) -> Traced<F, fn(&OpenSpan, &F::Output)>
    where
        F: Future<Output = Result<T, E>>,
        E: RecordError<Kind>,
    {
        Traced::new(self.start(), future, record_result)
    }

    pub(super) fn start(self) -> StartedSpan {
        let Some(Plan { setup, attributes }) = self.0 else { return StartedSpan(State::Off) };
        match setup.is_in_current_context() {
            true => start_here(None, || setup, attributes),
            false => start(None, || setup, attributes),
        }
    }

    fn map_setup(self, change: impl FnOnce(Setup) -> Setup) -> Self {
        SpanBuilder(self.0.map(|plan| Plan { setup: change(plan.setup), attributes: plan.attributes }))
    }
}

/// Provides [`SpanBuilder::run`] as a method of futures: `fetch().in_span(telemark::span("fetch"))`.
pub trait InSpan: Future + Sized {
    /// Starts the span and runs this future in it.
    ///
    /// ```
    /// # use telemark_sdk::instrument::spans as telemark;
    /// use telemark::InSpan;
    /// # async fn fetch() -> u16 { 200 }
    /// # async fn example() {
    /// let status = fetch().in_span(telemark::span("fetch").with("page", 1)).await;
    /// # }
    /// ```
    fn in_span(self, span: SpanBuilder) -> Traced<Self, fn(&OpenSpan, &Self::Output)> {
        span.run(self)
    }

    /// Starts the span, runs this future in it, and records an `Err`, like [`SpanBuilder::try_run`].
    fn try_in_span<T, E, Kind>(self, span: SpanBuilder) -> Traced<Self, fn(&OpenSpan, &Self::Output)>
    where
        Self: Future<Output = Result<T, E>>,
        E: RecordError<Kind>,
    {
        span.try_run(self)
    }
}

impl<F: Future> InSpan for F {}

fn record_result<T, E: RecordError<Kind>, Kind>(span: &OpenSpan, result: &Result<T, E>) {
    if let Err(error) = result {
        shielded(|| {
            let (description, error_type) = error.described();
            span.fail(description, error_type);
        });
    }
}
