//! The options of a span: what they are made of, and what can be its parent or a link.

use std::borrow::Cow;

use opentelemetry::Context;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt};

use crate::context;
use crate::span_filter::SpanSwitch;
use crate::trace::{CallSite, TracedSpan};

/// The options of a span, without its attributes. Created only if a tracer is installed.
#[derive(Debug)]
pub struct Setup {
    pub(super) span: TracedSpan,
    pub(super) origin: Origin,
}

#[derive(Debug)]
pub(super) enum Origin {
    Current,
    Root,
    Parent(Context),
}

impl Origin {
    /// Returns the context in which the span starts, or `None` if that is the current context.
    pub(super) fn context(self) -> Option<Context> {
        match self {
            Origin::Current => None,
            Origin::Root => Some(context::current().with_remote_span_context(SpanContext::NONE)),
            Origin::Parent(parent) => Some(parent),
        }
    }
}

impl Setup {
    /// Creates options for an internal span that is a child of the current context.
    #[inline]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Setup { span: TracedSpan::new(name, None), origin: Origin::Current }
    }

    /// Returns true if the span's parent is the current context.
    #[inline]
    pub(in crate::instrument::spans) fn is_in_current_context(&self) -> bool {
        matches!(self.origin, Origin::Current)
    }

    /// Sets the name.
    #[inline]
    pub fn with_name(mut self, name: &'static str) -> Self {
        self.span.name = Cow::Borrowed(name);
        self
    }

    /// Sets the span kind.
    #[inline]
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.span.kind = kind;
        self
    }

    /// Starts a new trace that keeps the baggage of the current context.
    #[inline]
    pub fn with_new_root(mut self) -> Self {
        self.origin = Origin::Root;
        self
    }

    /// Sets the parent, instead of the current context.
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

/// What is constant about the spans of a function, in a `static` of it. Functions without other options share the code that reads it, so
/// a traced function takes little longer to compile than another one.
#[derive(Debug)]
pub struct Plan {
    name: &'static str,
    pub(in crate::instrument) switch: SpanSwitch,
    call_site: CallSite,
    kind: SpanKind,
    code_attributes: bool,
    is_root: bool,
}

impl Plan {
    /// Plans an internal span that is a child of the current context. `#[traced]` checks at compile time that the keys of the fields are
    /// distinct and not empty.
    pub const fn new(name: &'static str, switch: SpanSwitch, call_site: CallSite) -> Self {
        Plan { name, switch, call_site, kind: SpanKind::Internal, code_attributes: true, is_root: false }
    }

    /// Sets the span kind.
    pub const fn with_kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// Omits the `code.*` attributes.
    pub const fn without_code_attributes(mut self) -> Self {
        self.code_attributes = false;
        self
    }

    /// Starts a new trace that keeps the baggage of the current context.
    pub const fn with_new_root(mut self) -> Self {
        self.is_root = true;
        self
    }

    fn setup(&'static self) -> Setup {
        let span = TracedSpan {
            name: Cow::Borrowed(self.name),
            kind: self.kind.clone(),
            call_site: Some(&self.call_site),
            code_attributes: self.code_attributes,
            keys_are_distinct: true,
            links: Vec::new(),
        };
        Setup { span, origin: if self.is_root { Origin::Root } else { Origin::Current } }
    }
}

/// The options of a span beside those of its plan.
pub trait Options {
    /// Returns all options.
    fn setup(self, plan: &'static Plan) -> Setup;
}

/// There are no options beside those of the plan.
#[derive(Clone, Copy, Debug)]
pub struct NoOptions;

impl Options for NoOptions {
    #[inline]
    fn setup(self, plan: &'static Plan) -> Setup {
        plan.setup()
    }
}

impl<S: FnOnce(Setup) -> Setup> Options for S {
    #[inline]
    fn setup(self, plan: &'static Plan) -> Setup {
        self(plan.setup())
    }
}

/// A type that can be the parent of a span.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the parent of a span",
    label = "neither a `&Context` nor a `SpanContext`"
)]
pub trait IntoParent {
    /// Returns the context in which the span starts.
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
        context::current().with_remote_span_context(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoParent for &SpanContext {
    fn into_parent(self) -> Context {
        self.clone().into_parent()
    }
}

/// A type that can be the target of a span link.
#[diagnostic::on_unimplemented(
    message = "a span cannot link to `{Self}`",
    label = "not a `Link`, `SpanContext` or `&Context`",
    note = "write `links = [a, b]` with one `SpanContext`, `&Context` or `Link` for each link"
)]
pub trait IntoLink {
    /// Returns the link.
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
