//! An ended span, in the form in which exporters see it.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};

use super::chunk::Head;
use super::{Bounded, Events, Links, SpanData};
use crate::time::Timestamp;
use crate::trace::{CallSite, Scope};

/// An ended span, borrowed from a chunk. It has one method for each field of a [`SpanRecord`](super::SpanRecord), with
/// the same name.
///
/// Convert it into a [`SpanData`] to keep the span.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    head: &'a Head,
    own_attributes: &'a [KeyValue],
}

static NO_EVENTS: Events = Bounded::new();
static NO_LINKS: Links = Bounded::new();

impl<'a> SpanView<'a> {
    #[inline]
    pub(super) fn new(head: &'a Head, own_attributes: &'a [KeyValue]) -> Self {
        SpanView { head, own_attributes }
    }

    /// Returns the trace id.
    #[inline]
    pub fn trace_id(&self) -> TraceId {
        self.head.trace_id
    }

    /// Returns the span id.
    #[inline]
    pub fn span_id(&self) -> SpanId {
        self.head.span_id
    }

    /// Returns the flags of the span's context.
    #[inline]
    pub fn trace_flags(&self) -> TraceFlags {
        self.head.trace_flags
    }

    /// Returns the trace state.
    #[inline]
    pub fn trace_state(&self) -> &'a TraceState {
        self.head.rare.as_ref().map_or(&TraceState::NONE, |rare| &rare.trace_state)
    }

    /// Returns a copy of the span's whole context.
    pub fn context(&self) -> SpanContext {
        let Head { trace_id, span_id, trace_flags, is_remote, .. } = *self.head;
        SpanContext::new(trace_id, span_id, trace_flags, is_remote, self.trace_state().clone())
    }

    /// Returns the parent's span id; [`SpanId::INVALID`] for a root span.
    #[inline]
    pub fn parent_span_id(&self) -> SpanId {
        self.head.parent_span_id
    }

    /// Returns true if the parent is in another process.
    #[inline]
    pub fn parent_is_remote(&self) -> bool {
        self.head.parent_is_remote
    }

    /// Returns the span kind.
    #[inline]
    pub fn kind(&self) -> &'a SpanKind {
        &self.head.kind
    }

    /// Returns the name.
    #[inline]
    pub fn name(&self) -> &'a Cow<'static, str> {
        &self.head.name
    }

    /// Returns the start time.
    #[inline]
    pub fn start(&self) -> Timestamp {
        self.head.start
    }

    /// Returns the end time, never before the start.
    #[inline]
    pub fn end(&self) -> Timestamp {
        self.head.end
    }

    /// Returns the duration.
    pub fn duration(&self) -> Duration {
        self.end().since(self.start())
    }

    /// Returns the span's own attributes, without duplicate keys. The attributes of the call site are not included;
    /// see [`Self::attributes`].
    #[inline]
    pub fn own_attributes(&self) -> &'a [KeyValue] {
        self.own_attributes
    }

    /// Returns all attributes: the span's own attributes, followed by those call-site attributes whose keys the span
    /// has not set itself.
    pub fn attributes(&self) -> impl Iterator<Item = &'a KeyValue> + use<'a> {
        all_attributes(self.own_attributes, self.head.call_site)
    }

    /// Returns the number of attributes dropped because of the limit.
    #[inline]
    pub fn dropped_attributes(&self) -> u32 {
        self.head.rare.as_ref().map_or(0, |rare| rare.dropped_attributes)
    }

    /// Returns the events in the order in which they were added.
    #[inline]
    pub fn events(&self) -> &'a Events {
        self.head.rare.as_ref().map_or(&NO_EVENTS, |rare| &rare.events)
    }

    /// Returns the links in the order in which they were added.
    #[inline]
    pub fn links(&self) -> &'a Links {
        self.head.rare.as_ref().map_or(&NO_LINKS, |rare| &rare.links)
    }

    /// Returns the status.
    #[inline]
    pub fn status(&self) -> &'a Status {
        self.head.rare.as_ref().map_or(&Status::Unset, |rare| &rare.status)
    }

    /// Returns the instrumentation scope.
    #[inline]
    pub fn scope(&self) -> &'a Scope {
        &self.head.scope
    }

    /// Returns the call site of `#[traced]`, which provides the `code.*` attributes. Returns `None` for other spans,
    /// and if those attributes are disabled.
    #[inline]
    pub fn call_site(&self) -> Option<&'static CallSite> {
        self.head.call_site
    }

    /// Returns false if the span uses none of the fields that are rarely used: trace state, status, events, links, and
    /// the number of dropped attributes. This allows an exporter to skip all of them with a single check.
    #[inline]
    pub fn has_rare_fields(&self) -> bool {
        self.head.rare.is_some()
    }
}

impl From<SpanView<'_>> for SpanData {
    fn from(view: SpanView<'_>) -> Self {
        let mut data = SpanData::new(view.context(), view.name().clone(), view.scope().clone());
        let record = &mut *data;
        record.parent_span_id = view.parent_span_id();
        record.parent_is_remote = view.parent_is_remote();
        record.kind = view.kind().clone();
        (record.start, record.end) = (view.start(), view.end());
        record.own_attributes.extend_from_slice(view.own_attributes());
        record.dropped_attributes = view.dropped_attributes();
        record.events = view.events().clone();
        record.links = view.links().clone();
        record.status = view.status().clone();
        record.call_site = view.call_site();
        data
    }
}

/// Returns a span's own attributes, followed by those call-site attributes whose keys the span has not set itself.
pub(super) fn all_attributes<'a>(
    own: &'a [KeyValue],
    call_site: Option<&'static CallSite>,
) -> impl Iterator<Item = &'a KeyValue> {
    let site: &[KeyValue] = call_site.map_or(&[], |site| site.attributes());
    let is_free = move |attribute: &&KeyValue| !own.iter().any(|set| set.key.as_str() == attribute.key.as_str());
    own.iter().chain(site.iter().filter(is_free))
}
