//! The start of a span of `#[traced]`: what it starts with, and whether it is recorded.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::trace::{Link, Span, SpanContext, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, global};

use super::live::State;
pub use super::live::{Active, Live};
use crate::context;
use crate::runtime::is_background;
use crate::time::Timestamp;
use crate::trace::{CallSite, Glance, SdkSpan, SpanData, Started, TracedSpan, active};
use crate::unsampled::{self, Unsampled};

/// What a span starts with, apart from its attributes. Made only when a tracer is installed.
#[derive(Debug)]
pub struct Setup {
    span: TracedSpan,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    Current,
    Root,
    Parent(Context),
}

impl Setup {
    /// An internal span in the current context.
    #[inline]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Setup { span: TracedSpan::new(name, None), origin: Origin::Current }
    }

    /// Returns true for a span in the current context.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        matches!(self.origin, Origin::Current)
    }

    /// Sets the role of the span.
    #[inline]
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.span.kind = kind;
        self
    }

    /// Sets the place in the source, for the scope and the `code.*` attributes.
    #[inline]
    pub fn with_call_site(mut self, call_site: &'static CallSite) -> Self {
        self.span.call_site = Some(call_site);
        self
    }

    /// Leaves out the `code.*` attributes.
    #[inline]
    pub fn without_code_attributes(mut self) -> Self {
        self.span.code_attributes = false;
        self
    }

    /// Starts a new trace, which keeps the baggage of the current context.
    #[inline]
    pub fn with_new_root(mut self) -> Self {
        self.origin = Origin::Root;
        self
    }

    /// Starts below `parent` instead of the current context.
    #[inline]
    pub fn with_parent(mut self, parent: impl IntoParent) -> Self {
        self.origin = Origin::Parent(parent.into_parent());
        self
    }

    /// Adds links.
    #[inline]
    pub fn with_links(mut self, links: impl IntoIterator<Item = impl IntoLink>) -> Self {
        self.span.links.extend(links.into_iter().map(IntoLink::into_link));
        self
    }
}

/// What can be the parent of a span.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the parent of a span",
    label = "neither a `&Context` nor a `SpanContext`"
)]
pub trait IntoParent {
    /// The context that the span starts in.
    fn into_parent(self) -> Context;
}

#[diagnostic::do_not_recommend]
impl IntoParent for Context {
    fn into_parent(self) -> Context {
        self
    }
}

#[diagnostic::do_not_recommend]
impl IntoParent for &Context {
    fn into_parent(self) -> Context {
        self.clone()
    }
}

#[diagnostic::do_not_recommend]
impl IntoParent for SpanContext {
    fn into_parent(self) -> Context {
        Context::current().with_remote_span_context(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoParent for &SpanContext {
    fn into_parent(self) -> Context {
        self.clone().into_parent()
    }
}

/// What a span can link to.
#[diagnostic::on_unimplemented(
    message = "a span cannot link to `{Self}`",
    label = "not a `Link`, `SpanContext` or `&Context`",
    note = "write `links = [a, b]` with one `SpanContext`, `&Context` or `Link` for each link"
)]
pub trait IntoLink {
    /// The link.
    fn into_link(self) -> Link;
}

#[diagnostic::do_not_recommend]
impl IntoLink for Link {
    fn into_link(self) -> Link {
        self
    }
}

#[diagnostic::do_not_recommend]
impl IntoLink for SpanContext {
    fn into_link(self) -> Link {
        Link::with_context(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoLink for &SpanContext {
    fn into_link(self) -> Link {
        self.clone().into_link()
    }
}

#[diagnostic::do_not_recommend]
impl IntoLink for &Context {
    fn into_link(self) -> Link {
        self.span().span_context().into_link()
    }
}

/// Starts a span. One relaxed load when no tracer is installed; neither closure is called then.
#[inline]
pub fn start(setup: impl FnOnce() -> Setup, attributes: impl FnOnce(&mut Vec<KeyValue>)) -> Active {
    if !active::is_installed() {
        return Active(State::Off);
    }
    guarded(|| begin(setup(), attributes))
}

/// The same for a span in the current context, which is looked at first: below a span that is not recorded, there is
/// nothing to set up.
#[inline]
pub fn start_here(setup: impl FnOnce() -> Setup, attributes: impl FnOnce(&mut Vec<KeyValue>)) -> Active {
    if !active::is_installed() {
        return Active(State::Off);
    }
    match look_at_the_current() {
        Look::Off => Active(State::Off),
        Look::Dropped(parent) => Active(State::Unsampled(Unsampled::below(parent))),
        Look::Sampled(data) => guarded(|| record_below(data, setup().span, attributes)),
        Look::Undecided => guarded(|| begin_below(&Context::current(), true, setup().span, attributes)),
    }
}

/// The options and fields are the user's expressions, but the program does not need them: a panic in one costs the
/// telemetry, not the call.
#[inline(never)]
fn guarded(begin: impl FnOnce() -> State) -> Active {
    Active(catch_unwind(AssertUnwindSafe(begin)).unwrap_or_default())
}

fn begin(setup: Setup, attributes: impl FnOnce(&mut Vec<KeyValue>)) -> State {
    let parent = match setup.origin {
        Origin::Current => {
            return match look_at_the_current() {
                Look::Off => State::Off,
                Look::Dropped(parent) => State::Unsampled(Unsampled::below(parent)),
                Look::Sampled(data) => record_below(data, setup.span, attributes),
                Look::Undecided => begin_below(&Context::current(), true, setup.span, attributes),
            };
        }
        Origin::Root => Context::current().with_remote_span_context(SpanContext::NONE),
        Origin::Parent(parent) => parent,
    };
    begin_below(&parent, false, setup.span, attributes)
}

/// Records a span in the current context, which is known to be sampled.
fn record_below(data: SpanData, span: TracedSpan, attributes: impl FnOnce(&mut Vec<KeyValue>)) -> State {
    let Some(tracer) = active::installed() else { return State::Off };
    let span = tracer.start_child(span, data, Vec::new(), shielded(attributes));
    let started = started(&span);
    State::Live(Live::new(Context::current_with_span(span), started))
}

/// Lets the tracer decide about a span in `parent`.
fn begin_below(
    parent: &Context,
    is_current: bool,
    span: TracedSpan,
    attributes: impl FnOnce(&mut Vec<KeyValue>),
) -> State {
    let Some(tracer) = active::tracer(parent) else { return elsewhere(parent, span, attributes) };
    let (context, started) = match tracer.start_traced(span, parent, shielded(attributes)) {
        Started::Recording(span) => {
            let started = started(&span);
            (parent.with_span(span), started)
        }
        Started::NotRecorded(context) => (parent.with_remote_span_context(context), None),
        Started::Inherit(span) if is_current => return State::Unsampled(span),
        Started::Silent if is_current => return State::Off,
        // What the function calls is in this context, and not in the one where the function was called.
        Started::Inherit(span) => (span.context_in(parent), None),
        Started::Silent => (parent.clone(), None),
    };
    State::Live(Live::new(context, started))
}

/// Starts a span on the API's global provider, which may be of another SDK, if the program wants that.
fn elsewhere(parent: &Context, call: TracedSpan, attributes: impl FnOnce(&mut Vec<KeyValue>)) -> State {
    if !active::uses_global() || parent.is_telemetry_suppressed() || is_background() {
        return State::Off;
    }
    let scope = call.call_site.map_or_else(|| (*active::scope()).clone(), |site| site.scope().clone());
    let mut builder = opentelemetry::trace::SpanBuilder::from_name(call.name).with_kind(call.kind);
    if !call.links.is_empty() {
        builder = builder.with_links(call.links);
    }
    let mut span = global::tracer_provider().tracer_with_scope(scope).build_with_context(builder, parent);
    if span.is_recording() {
        let mut list = Vec::new();
        shielded(attributes)(&mut list);
        let site = call.call_site.filter(|_| call.code_attributes).map(CallSite::attributes);
        span.set_attributes(site.into_iter().flatten().cloned());
        span.set_attributes(list);
    } else if span.span_context() == parent.span().span_context() {
        // No provider is there yet.
        return State::Off;
    }
    State::Live(Live::foreign(parent.with_span(span)))
}

/// A panic in one field costs that and the later ones, not the span.
fn shielded(attributes: impl FnOnce(&mut Vec<KeyValue>)) -> impl FnOnce(&mut Vec<KeyValue>) {
    |list| {
        let _ = catch_unwind(AssertUnwindSafe(|| attributes(list)));
    }
}

#[inline]
fn started(span: &SdkSpan) -> Option<Timestamp> {
    span.data().map(|data| data.start)
}

/// What a look at the current context tells of a span in it. Two words, so that it is returned in registers.
enum Look {
    /// There is none.
    Off,
    /// It is dropped as its parent was.
    Dropped(unsampled::Parent),
    /// The installed tracer records it as its parent is recorded, and nobody needs to see the context: the common case,
    /// without a clone of it.
    Sampled(SpanData),
    /// The tracer must be asked, with the context in hand.
    Undecided,
}

/// No code of the user's may run meanwhile: the API's context is borrowed, and attaching another one would panic.
#[inline(never)]
fn look_at_the_current() -> Look {
    let look = |current: &Context| {
        let only = active::only_installed().filter(|only| !only.wants_start());
        let Some(tracer) = only.or_else(|| active::tracer(current)) else {
            return if active::uses_global() { Look::Undecided } else { Look::Off };
        };
        match tracer.glance(current) {
            Glance::Silent => Look::Off,
            Glance::Dropped(parent) if !tracer.has_own_ids() => {
                tracer.count_dropped(current);
                Look::Dropped(parent)
            }
            Glance::Sampled(data) if only.is_some() => Look::Sampled(data),
            _ => Look::Undecided,
        }
    };
    context::look(look).unwrap_or(Look::Off)
}
