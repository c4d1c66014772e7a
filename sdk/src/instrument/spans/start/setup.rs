//! The options of a span: what they are made of, and what can be its parent or a link.

use std::borrow::Cow;

use opentelemetry::Context;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt};

use crate::context;
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

    /// Sets the span kind.
    #[inline]
    pub fn with_kind(mut self, kind: SpanKind) -> Self {
        self.span.kind = kind;
        self
    }

    /// Sets the source location, which determines the scope and the `code.*` attributes. Only `#[traced]` calls this, and it
    /// checks at compile time that the keys of the fields are distinct and not empty.
    #[inline]
    pub fn with_call_site(mut self, call_site: &'static CallSite) -> Self {
        self.span.call_site = Some(call_site);
        self.span.keys_are_distinct = true;
        self
    }

    /// Omits the `code.*` attributes.
    #[inline]
    pub fn without_code_attributes(mut self) -> Self {
        self.span.code_attributes = false;
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

/// The options of a span, if all are constants. Call sites with a plan share the code that reads it, so a traced function takes little
/// longer to compile than another one.
#[derive(Debug)]
pub struct Plan {
    name: &'static str,
    call_site: &'static CallSite,
    kind: SpanKind,
    code_attributes: bool,
    is_root: bool,
}

impl Plan {
    /// Plans an internal span that is a child of the current context.
    pub const fn new(name: &'static str, call_site: &'static CallSite) -> Self {
        Plan { name, call_site, kind: SpanKind::Internal, code_attributes: true, is_root: false }
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
}

/// What the options of a span are made of: a plan, or a closure.
pub trait Options {
    /// Returns the options.
    fn setup(self) -> Setup;
}

impl Options for &'static Plan {
    fn setup(self) -> Setup {
        let span = TracedSpan {
            name: Cow::Borrowed(self.name),
            kind: self.kind.clone(),
            call_site: Some(self.call_site),
            code_attributes: self.code_attributes,
            // The macro checks them.
            keys_are_distinct: true,
            links: Vec::new(),
        };
        Setup { span, origin: if self.is_root { Origin::Root } else { Origin::Current } }
    }
}

impl<S: FnOnce() -> Setup> Options for S {
    #[inline]
    fn setup(self) -> Setup {
        self()
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
