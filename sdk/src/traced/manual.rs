//! Spans by hand: for the places where `#[traced]` on a function does not fit.

use std::borrow::Cow;
use std::future::Future;

use opentelemetry::trace::{FutureExt, SpanContext, SpanKind, TraceContextExt, WithContext};
use opentelemetry::{Context, Key, KeyValue};

use super::entered::Entered;
use super::future::Traced;
use super::live::{Active, Live, State};
use super::outcome::RecordError;
use super::private::guarded;
use super::span::{IntoLink, IntoParent, Setup, start, start_here};
use crate::context::{attach, look};
use crate::trace::{Failure, Source, active};
use crate::unsampled;
use crate::value::ToValue;

/// Begins a span; one of [`SpanBuilder::enter`], [`SpanBuilder::in_scope`] and [`SpanBuilder::run`] starts it.
///
/// ```
/// # use telemark_sdk::traced as telemark;
/// let total = telemark::span("price cart").with("cart.items", 3).in_scope(|| 3 * 7);
/// assert_eq!(total, 21);
/// ```
#[inline]
pub fn span(name: impl Into<Cow<'static, str>>) -> SpanBuilder {
    SpanBuilder(active::is_installed().then(|| Plan { setup: Setup::new(name), attributes: Vec::new() }))
}

/// A span that has not started yet. Without an installed tracer it is empty, and so is all that is done with it.
#[derive(Debug)]
#[must_use = "a span starts with `enter`, `in_scope` or `run`"]
pub struct SpanBuilder(Option<Plan>);

#[derive(Debug)]
struct Plan {
    setup: Setup,
    attributes: Vec<KeyValue>,
}

impl SpanBuilder {
    /// Sets the role of the span; [`SpanKind::Internal`] by default.
    pub fn with_kind(self, kind: SpanKind) -> Self {
        self.map_setup(|setup| setup.with_kind(kind))
    }

    /// Sets an attribute; `None` sets nothing.
    pub fn with(mut self, key: impl Into<Key>, value: impl ToValue) -> Self {
        if let Some(plan) = &mut self.0 {
            if let Some(value) = value.to_value() {
                plan.attributes.push(KeyValue::new(key, value));
            }
        }
        self
    }

    /// Starts below `parent`, a context or a span context, instead of the current context.
    pub fn with_parent(self, parent: impl IntoParent) -> Self {
        self.map_setup(|setup| setup.with_parent(parent))
    }

    /// Starts a new trace.
    pub fn with_new_root(self) -> Self {
        self.map_setup(Setup::with_new_root)
    }

    /// Adds a link.
    pub fn with_link(self, link: impl IntoLink) -> Self {
        self.map_setup(|setup| setup.with_links([link]))
    }

    /// Starts the span and makes it current on this thread until the guard is dropped, which ends it.
    ///
    /// In asynchronous code use [`SpanBuilder::run`]: the guard must not live across an `await`.
    ///
    /// ```
    /// # use telemark_sdk::traced as telemark;
    /// let _span = telemark::span("warm up").enter();
    /// telemark::set_attribute("cache.size", 128);
    /// ```
    pub fn enter(self) -> Entered {
        Entered::new(self.start())
    }

    /// Runs `scope` in the span.
    pub fn in_scope<T>(self, scope: impl FnOnce() -> T) -> T {
        let _span = self.enter();
        scope()
    }

    /// [`SpanBuilder::in_scope`] for what may fail: records an `Err` as `#[traced]` does, as the status and `error.type`.
    ///
    /// ```
    /// # use telemark_sdk::traced as telemark;
    /// let parsed = telemark::span("parse").try_in_scope(|| "x".parse::<u16>());
    /// assert!(parsed.is_err());
    /// ```
    pub fn try_in_scope<T, E: RecordError<Kind>, Kind>(self, scope: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let span = self.enter();
        let result = scope();
        if let Some(live) = span.recording() {
            record_result(live, &result);
        }
        result
    }

    /// Starts the span and runs `future` in it, which ends it. The parent is what is current now, not at the first poll,
    /// so that the future may be spawned.
    ///
    /// ```
    /// # use telemark_sdk::traced as telemark;
    /// # async fn fetch() -> u16 { 200 }
    /// # async fn example() {
    /// let status = telemark::span("fetch").run(fetch()).await;
    /// # }
    /// ```
    pub fn run<F: Future>(self, future: F) -> Traced<F, fn(&Live, &F::Output)> {
        Traced::new(self.start(), future, |_, _| ())
    }

    /// [`SpanBuilder::run`] for what may fail: records an `Err` as `#[traced]` does, as the status and `error.type`.
    ///
    /// ```
    /// # use telemark_sdk::traced as telemark;
    /// # async fn fetch() -> Result<u16, std::io::Error> { Ok(200) }
    /// # async fn example() -> Result<(), std::io::Error> {
    /// let status = telemark::span("fetch").try_run(fetch()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_run<F, T, E, Kind>(self, future: F) -> Traced<F, fn(&Live, &F::Output)>
    where
        F: Future<Output = Result<T, E>>,
        E: RecordError<Kind>,
    {
        Traced::new(self.start(), future, record_result)
    }

    pub(super) fn start(self) -> Active {
        let Some(Plan { setup, attributes }) = self.0 else { return Active(State::Off) };
        let attributes = |list: &mut Vec<KeyValue>| list.extend(attributes);
        if setup.is_here() { start_here(|| setup, attributes) } else { start(|| setup, attributes) }
    }

    fn map_setup(self, change: impl FnOnce(Setup) -> Setup) -> Self {
        SpanBuilder(self.0.map(|plan| Plan { setup: change(plan.setup), attributes: plan.attributes }))
    }
}

/// [`SpanBuilder::run`] the other way around: `fetch().in_span(telemark::span("fetch"))`.
pub trait InSpan: Future + Sized {
    /// Starts the span and runs this future in it.
    ///
    /// ```
    /// # use telemark_sdk::traced as telemark;
    /// use telemark::InSpan;
    /// # async fn fetch() -> u16 { 200 }
    /// # async fn example() {
    /// let status = fetch().in_span(telemark::span("fetch").with("page", 1)).await;
    /// # }
    /// ```
    fn in_span(self, span: SpanBuilder) -> Traced<Self, fn(&Live, &Self::Output)> {
        span.run(self)
    }

    /// [`SpanBuilder::try_run`] the other way around: records an `Err`.
    fn try_in_span<T, E, Kind>(self, span: SpanBuilder) -> Traced<Self, fn(&Live, &Self::Output)>
    where
        Self: Future<Output = Result<T, E>>,
        E: RecordError<Kind>,
    {
        span.try_run(self)
    }
}

impl<F: Future> InSpan for F {}

/// Sets an attribute of the current span; nothing happens when that does not record.
///
/// ```
/// telemark_sdk::traced::set_attribute("cart.items", 3);
/// ```
pub fn set_attribute(key: impl Into<Key>, value: impl ToValue) {
    // Converted outside the look at the context: it may be the user's code.
    if records() {
        if let Some(value) = value.to_value() {
            let attribute = KeyValue::new(key, value);
            look(|current| current.span().set_attribute(attribute));
        }
    }
}

/// Adds an event to the current span; nothing happens when that does not record.
///
/// ```
/// use opentelemetry::KeyValue;
/// telemark_sdk::traced::add_event("cache miss", [KeyValue::new("cache.key", "cart-7")]);
/// ```
pub fn add_event(name: impl Into<Cow<'static, str>>, attributes: impl IntoIterator<Item = KeyValue>) {
    if records() {
        let (name, attributes) = (name.into(), attributes.into_iter().collect());
        look(|current| current.span().add_event(name, attributes));
    }
}

/// Records an error on the current span as `#[traced]` does for `Err`: the status is error with the messages of the error
/// and its causes, `error.type` is its name. Nothing happens when the span does not record, or has the status ok.
///
/// A later error replaces an earlier one. An `error.type` that the program has set by [`set_attribute`] stays: that is how to
/// name an error otherwise, since a function cannot see whether a type implements [`ErrorType`](super::ErrorType). When the
/// `#[traced]` function around the call returns an `Err`, what was recorded here stays, too.
///
/// ```
/// if let Err(error) = "x".parse::<u16>() {
///     telemark_sdk::traced::record_error(&error);
/// }
/// ```
///
/// spec: semconv general/recording-errors.md
pub fn record_error<E: RecordError<Kind> + ?Sized, Kind>(error: &E) {
    if records() {
        guarded(|| {
            let (description, error_type) = error.described();
            let failure = Failure { description, error_type, source: Source::Recorded };
            look(|current| failure.tell(&current.span()));
        });
    }
}

/// Returns the span context of the running code, for what is sent or written down: the ids of a log record, a header of a
/// format of its own.
///
/// It is that of `Context::current().span()`, except in a `#[traced]` function or a span by hand that is not sampled because
/// its parent was not: to cost next to nothing such a span is in no context, and `Context::current()` still holds its parent.
/// Here, as in what the propagators of Telemark inject, it has a span id of its own. A spawned task has the ids of the context
/// that it was given, which are the parent's.
///
/// ```
/// let ids = telemark_sdk::traced::current_span_context();
/// assert!(!ids.is_valid(), "there is no span here");
/// ```
///
/// spec: trace/sdk.md#sdk-span-creation
pub fn current_span_context() -> SpanContext {
    look(|current| unsampled::with_span_context(current, SpanContext::clone)).unwrap_or(SpanContext::NONE)
}

/// Lets `#[traced]` functions and spans by hand use the API's global tracer where no telemetry of Telemark is installed: for a
/// library that is also used in programs with `opentelemetry_sdk`, and for such programs.
///
/// The global provider is looked up for each span, so that this may be called before the program sets it, and more than
/// once. An installed telemetry always comes first. Without this call, such functions record nothing in those programs, and
/// cost one relaxed load; after it, what the global tracer costs. The metric of `#[traced(metrics)]` and metrics in statics
/// are not included.
///
/// ```
/// telemark_sdk::traced::use_global_tracer();
/// ```
pub fn use_global_tracer() {
    active::use_global();
}

/// Gives a future the context that is current now, for a spawned task: `tokio::spawn(telemark::propagate(work()))`.
///
/// ```
/// # async fn work() {}
/// # fn spawn<F: Future<Output = ()> + Send + 'static>(_: F) {}
/// spawn(telemark_sdk::traced::propagate(work()));
/// ```
pub fn propagate<F: Future>(future: F) -> WithContext<F> {
    future.with_context(look(Context::clone).unwrap_or_default())
}

/// Gives a closure the context that is current now, for another thread:
/// `std::thread::spawn(telemark::propagate_fn(work))`.
///
/// ```
/// let answer = std::thread::spawn(telemark_sdk::traced::propagate_fn(|| 42)).join();
/// assert_eq!(answer.ok(), Some(42));
/// ```
pub fn propagate_fn<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let context = look(Context::clone).unwrap_or_default();
    move || {
        let _guard = attach(context);
        work()
    }
}

/// Runs `scope` without telemetry: no span that starts in it is recorded.
///
/// ```
/// let pong = telemark_sdk::traced::suppress(|| "health check");
/// assert_eq!(pong, "health check");
/// ```
pub fn suppress<T>(scope: impl FnOnce() -> T) -> T {
    let _guard = look(Context::with_telemetry_suppressed).and_then(attach);
    scope()
}

/// [`suppress`] for a future.
///
/// ```
/// # async fn health_check() {}
/// # async fn example() {
/// telemark_sdk::traced::suppress_future(health_check()).await;
/// # }
/// ```
pub fn suppress_future<F: Future>(future: F) -> WithContext<F> {
    future.with_context(look(Context::with_telemetry_suppressed).unwrap_or_default())
}

fn record_result<T, E: RecordError<Kind>, Kind>(live: &Live, result: &Result<T, E>) {
    if let Err(error) = result {
        // The user's code, which may panic; the program does not need it.
        guarded(|| {
            let (description, error_type) = error.described();
            live.fail(description, error_type);
        });
    }
}

fn records() -> bool {
    look(|current| current.span().is_recording()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::sync::{Arc, Mutex};
    use std::task::{Context as TaskContext, Waker};
    use std::time::SystemTime;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{Span, SpanId, Status, TraceFlags, TraceId, TraceState};

    use super::*;
    use crate::trace::{Scope, SdkTracerProvider, SpanData, SpanProcessor};

    #[derive(Clone, Debug, Default)]
    struct Recorder(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Recorder {
        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }
    }

    /// Compares the spans that `scenario` ends, one a line.
    #[track_caller]
    fn check(scenario: impl FnOnce(), expected: &[&str]) {
        let recorder = Recorder::default();
        let provider = SdkTracerProvider::builder().with_processor(recorder.clone()).build();
        let tracer = provider.tracer_in(Scope::from(InstrumentationScope::builder("test").build()));
        {
            let _guard = active::with_tracer(&Context::new(), tracer).attach();
            scenario();
        }
        let line = |span: &SpanData| {
            let attributes: Vec<_> = span.attributes().map(|a| format!("{}={}", a.key, a.value)).collect();
            let events: Vec<_> = span.events.iter().map(|event| format!("!{}", event.name)).collect();
            let parent = if span.parent_span_id == SpanId::INVALID { "root" } else { "child" };
            let status = match &span.status {
                Status::Error { description } => format!(" [{description}]"),
                _ => String::new(),
            };
            let all = [format!("{parent} {:?} {}{status}", span.kind, span.name)];
            all.into_iter().chain(attributes).chain(events).collect::<Vec<_>>().join(" ")
        };
        let lines: Vec<_> = recorder.0.lock().unwrap().iter().map(line).collect();
        assert_eq!(lines, expected);
    }

    fn poll<F: Future>(future: F) -> bool {
        std::pin::pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn spans_are_built_entered_and_filled() {
        check(
            || {
                let outer = span("outer").with_kind(SpanKind::Server).with("n", 1).with("none", None::<u8>).enter();
                span(String::from("inner")).in_scope(|| set_attribute("text", "x"));
                add_event("happened", []);
                record_error(&std::fmt::Error);
                drop(outer);
                set_attribute("nowhere", 1);
            },
            &[
                "child Internal inner text=x",
                "root Server outer [an error occurred when formatting an argument] n=1 error.type=core::fmt::Error !happened",
            ],
        );
    }

    #[test]
    fn futures_run_in_spans_and_say_when_they_are_dropped() {
        check(
            || {
                assert!(poll(span("ready").run(async { set_attribute("inside", true) })));
                assert!(!poll(std::future::pending::<()>().in_span(span("pending"))));
                drop(std::future::ready(()).in_span(span("unpolled")));
            },
            &[
                "root Internal ready inside=true",
                "root Internal pending telemark.outcome=cancelled",
                "root Internal unpolled telemark.outcome=cancelled",
            ],
        );
    }

    #[test]
    fn the_parent_and_the_links_can_be_chosen() {
        let remote =
            SpanContext::new(TraceId::from(7u128), SpanId::from(8u64), TraceFlags::SAMPLED, true, TraceState::NONE);
        check(
            || {
                span("continued").with_parent(&remote).in_scope(|| ());
                let _outer = span("outer").with_link(remote.clone()).enter();
                span("fresh").with_new_root().in_scope(|| ());
            },
            &["child Internal continued", "root Internal fresh", "root Internal outer"],
        );
    }

    #[test]
    fn what_fails_is_recorded_where_it_is_asked_for() {
        let parse = || "x".parse::<u16>();
        let boxed = || parse().map_err(Box::<dyn Error + Send + Sync>::from);
        let error = "[invalid digit found in string] error.type=";
        check(
            || {
                assert!(span("scope").try_in_scope(parse).is_err());
                assert!(span("plain").in_scope(parse).is_err());
                assert_eq!(span("fine").try_in_scope(|| "7".parse::<u16>()), Ok(7));
                assert!(poll(span("future").try_run(async { boxed() })));
                assert!(poll(async { parse() }.try_in_span(span("in span"))));
                assert!(span("text").try_in_scope(|| Err::<(), _>(String::from("no"))).is_err());
            },
            &[
                &format!("root Internal scope {error}core::num::error::ParseIntError"),
                "root Internal plain",
                "root Internal fine",
                &format!("root Internal future {error}ParseIntError"),
                &format!("root Internal in span {error}core::num::error::ParseIntError"),
                "root Internal text [no] error.type=alloc::string::String",
            ],
        );
    }

    #[test]
    fn errors_of_every_kind_can_be_recorded() {
        #[track_caller]
        fn of<E: RecordError<Kind> + ?Sized, Kind>(error: &E, error_type: &str) {
            let expected = format!("root Internal span [disk full] error.type={error_type}");
            check(|| span("span").in_scope(|| record_error(error)), &[&expected]);
        }
        let full = || std::io::Error::other("disk full");
        let shared: Box<dyn Error + Send + Sync> = full().into();
        let unshared: Box<dyn Error> = full().into();
        let kind = "std::io::ErrorKind::Other";
        of(&full(), kind);
        of(&&full(), kind);
        of(&Box::new(full()), kind);
        of(&shared, kind);
        of(&*shared, kind);
        of(&unshared, kind);
        of(&*unshared, kind);
        of("disk full", "str");
        of(&String::from("disk full"), "alloc::string::String");
        of(&format_args!("disk {}", "full"), "core::fmt::Arguments");
    }

    #[test]
    fn a_span_that_is_not_ours_gets_the_error_too() {
        #[derive(Debug, Default)]
        struct Foreign(Arc<Mutex<Vec<String>>>);
        impl Span for Foreign {
            fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>)
            where
                T: Into<Cow<'static, str>>,
            {
            }
            fn span_context(&self) -> &SpanContext {
                &SpanContext::NONE
            }
            fn is_recording(&self) -> bool {
                true
            }
            fn set_attribute(&mut self, attribute: KeyValue) {
                self.0.lock().unwrap().push(format!("{}={}", attribute.key, attribute.value));
            }
            fn set_status(&mut self, status: Status) {
                self.0.lock().unwrap().push(format!("{status:?}"));
            }
            fn update_name<T>(&mut self, _: T)
            where
                T: Into<Cow<'static, str>>,
            {
            }
            fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}
            fn end_with_timestamp(&mut self, _: SystemTime) {}
        }
        let told = Foreign::default();
        let log = told.0.clone();
        let guard = Context::new().with_span(told).attach();
        record_error("broken");
        drop(guard);
        // The status unset is what asks the span whether it is ours; it changes nothing.
        assert_eq!(*log.lock().unwrap(), ["Unset", "error.type=str", r#"Error { description: "broken" }"#]);
        check(|| span("later").in_scope(|| set_attribute("n", 1)), &["root Internal later n=1"]);
    }

    #[test]
    fn contexts_travel_with_closures_and_futures() {
        check(
            || {
                let (work, future) = span("outer").in_scope(|| {
                    (
                        propagate_fn(|| span("closure").in_scope(|| ())),
                        propagate(async { drop(span("future").enter()) }),
                    )
                });
                work();
                assert!(poll(future));
            },
            &["root Internal outer", "child Internal closure", "child Internal future"],
        );
    }

    #[test]
    fn suppressed_code_has_no_spans() {
        check(
            || {
                suppress(|| span("a").in_scope(|| ()));
                assert!(poll(suppress_future(async { span("b").in_scope(|| ()) })));
                span("c").in_scope(|| ());
            },
            &["root Internal c"],
        );
    }

    #[test]
    fn a_span_without_a_tracer_is_nothing() {
        let _span = span("nowhere").with("key", "value").enter();
        set_attribute("key", 1);
        record_error("nobody sees it");
        assert!(poll(span("nowhere").run(async {})));
    }
}
