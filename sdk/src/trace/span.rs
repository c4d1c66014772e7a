//! The span: its data as long as it is recording, and the rules for changing it.

use std::borrow::Cow;
use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Link, Span, SpanContext, SpanId, SpanRef, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::bridged;
use super::exceptions::{self, Roots};
use super::failure::Told;
use super::in_context::InContext;
use super::provider::{ProviderInner, ProviderRef};
use super::{SpanData, SpanEvent};
use crate::attributes;
use crate::error::catch;
use crate::time::Timestamp;

/// A span created by an [`SdkTracer`](super::SdkTracer). If the span has not ended earlier, it ends when dropped.
///
/// spec: trace/sdk.md#span
#[derive(Debug)]
pub struct SdkSpan(State);

#[derive(Debug)]
enum State {
    Recording(Recording),
    /// The sampler dropped the span, or the span has ended.
    NotRecording(SpanContext),
}

/// A span while it is recording. Small, because it moves into the API's box when the span becomes part of a context.
#[derive(Debug)]
pub(super) struct Recording {
    /// Contains the span context too.
    pub(super) data: SpanData,
    pub(super) provider: ProviderRef,
    /// The `error.type` of an explicitly recorded error, which a later error may replace.
    pub(super) recorded_error: Option<&'static str>,
    /// `None` if no exception was recorded on this span or within it. Boxed, because this is the common case.
    pub(super) roots: Option<Box<Roots>>,
}

impl Recording {
    #[inline]
    pub(super) fn new(data: SpanData, provider: ProviderRef) -> Self {
        Recording { data, provider, recorded_error: None, roots: None }
    }

    pub(super) fn push_event(&mut self, mut event: SpanEvent) {
        let Recording { data, provider, .. } = self;
        let limits = &provider.limits;
        if data.events.len() < limits.events {
            attributes::normalize(&mut event.attributes, &mut event.dropped_attributes, limits.event_attributes());
        }
        data.events.push(event, limits.events);
    }

    pub(super) fn push_links(&mut self, links: Vec<Link>) {
        links.into_iter().for_each(|link| self.push_link(link));
    }

    pub(super) fn push_link(&mut self, mut link: Link) {
        let limits = &self.provider.limits;
        attributes::normalize(&mut link.attributes, &mut link.dropped_attributes_count, limits.link_attributes());
        // spec: trace/api.md#link — a link without a valid context is recorded only if it has attributes or a trace state.
        let says_nothing = link.attributes.is_empty() && link.span_context.trace_state().header().is_empty();
        if link.span_context.is_valid() || !says_nothing {
            self.data.links.push(link, limits.links);
        }
    }

    pub(super) fn set_attribute(&mut self, attribute: KeyValue) {
        let (record, limits) = (&mut *self.data, self.provider.limits.attributes);
        attributes::set(&mut record.own_attributes, &mut record.dropped_attributes, attribute, limits);
    }

    /// spec: trace/api.md#set-status — `Ok` is final, and a status cannot be reset to unset.
    pub(super) fn set_status(&mut self, status: Status) {
        if status == Status::Unset {
            if let Some(told) = Told::take() {
                told.apply(self);
            }
        } else if self.data.status != Status::Ok {
            self.data.status = status;
            self.note_failure();
        }
    }

    /// Tells the tail sampler that the span has failed, if it has.
    #[inline]
    pub(super) fn note_failure(&self) {
        if let (Some(tail), Status::Error { .. }) = (self.provider.decisions.tail(), &self.data.status) {
            tail.fails(&self.data.context);
        }
    }

    /// Ends the span at `end`, or now if `end` is `None`.
    #[inline(never)]
    pub(super) fn finish(self, end: Option<Timestamp>) {
        self.finish_inline(end);
    }

    /// Like [`Self::finish`], for the path that nearly all spans take.
    #[inline(always)]
    pub(super) fn finish_inline(self, end: Option<Timestamp>) {
        let Recording { mut data, provider, roots, .. } = self;
        let provider: &ProviderInner = &provider;
        provider.count_end(&data.context);
        let record = &mut *data;
        let id = record.context.span_id();
        if provider.processors.is_empty() {
            return;
        }
        // The end time may come from the API's own clock, but must not be before the start time.
        record.end = end.unwrap_or_else(|| provider.clock.now()).max(record.start);
        let outer = ENDING.get();
        ENDING.set(outer.and(id));
        // spec: trace/sdk.md#onending — not called after shutdown. `on_end` is still called and counts late spans.
        if provider.wants_ending.now() && !provider.has_ended() {
            provider.processors.iter().for_each(|processor| contained(|| processor.on_ending(&mut data)));
        }
        if let Some((last, others)) = provider.processors.at_end().split_last() {
            others.iter().for_each(|processor| contained(|| processor.on_end(data.clone())));
            contained(|| last.on_end(data));
        }
        ENDING.set(outer);
        // Called after the processors, because they may end spans themselves.
        if let Some(roots) = roots {
            exceptions::ended(id, *roots);
        }
    }
}

/// An end time that represents the current time of the provider's clock.
///
/// The API's `SpanRef` can only end a span with an explicit time, and no real span ends in 1970.
pub const END_NOW: SystemTime = UNIX_EPOCH;

/// Returns the end time that a call of the API stands for; `None` stands for now.
#[inline]
pub(super) fn end_time(timestamp: SystemTime) -> Option<Timestamp> {
    (timestamp != END_NOW).then(|| timestamp.into())
}

impl SdkSpan {
    #[inline]
    pub(super) fn recording(recording: Recording) -> Self {
        SdkSpan(State::Recording(recording))
    }

    pub(super) fn not_recording(context: SpanContext) -> Self {
        SdkSpan(State::NotRecording(context))
    }

    /// Returns the data recorded so far, or `None` if the span is not recording or has ended.
    pub fn data(&self) -> Option<&SpanData> {
        match &self.0 {
            State::Recording(recording) => Some(&recording.data),
            State::NotRecording(_) => None,
        }
    }

    /// Returns the name as exporters may see it, which is redacted; `None` if the span is not recording or has ended.
    pub fn exported_name(&self) -> Option<Cow<'_, str>> {
        let State::Recording(recording) = &self.0 else { return None };
        Some(match &recording.provider.redaction {
            Some(redaction) => redaction.text(&recording.data.name),
            None => Cow::Borrowed(&*recording.data.name),
        })
    }

    #[inline]
    pub(super) fn recording_mut(&mut self) -> Option<&mut Recording> {
        match &mut self.0 {
            State::Recording(recording) => Some(recording),
            State::NotRecording(_) => None,
        }
    }

    /// Returns `parent` with this span.
    pub(crate) fn in_context(mut self, parent: &Context) -> Context {
        match std::mem::replace(&mut self.0, State::NotRecording(SpanContext::NONE)) {
            State::Recording(recording) => parent.with_span(InContext::new(recording)),
            State::NotRecording(context) => parent.with_remote_span_context(context),
        }
    }

    /// Sets an attribute, unless the span already has an attribute with the same key.
    pub(super) fn set_if_missing(&mut self, attribute: KeyValue) {
        let Some(recording) = self.recording_mut() else { return };
        if !recording.data.own_attributes.iter().any(|own| own.key == attribute.key) {
            recording.set_attribute(attribute);
        }
    }

    /// Ends the span at `end`, or now if `end` is `None`. Later calls do nothing.
    fn finish(&mut self, end: Option<Timestamp>) {
        if let State::Recording(recording) = &self.0 {
            let ended = State::NotRecording(recording.data.context.clone());
            if let State::Recording(recording) = std::mem::replace(&mut self.0, ended) {
                recording.finish(end);
            }
        }
    }
}

/// The span whose processors are running on this thread. If the span lies in a context, the API holds its lock.
#[derive(Clone, Copy)]
enum Ending {
    Nothing,
    One(SpanId),
    /// A processor has ended another span. Only the number of spans is known, so any span may be locked.
    Several,
}

impl Ending {
    #[inline]
    fn and(self, span: SpanId) -> Ending {
        if let Ending::Nothing = self { Ending::One(span) } else { Ending::Several }
    }
}

thread_local! {
    // Has no destructor, so that reading it costs only one load.
    static ENDING: Cell<Ending> = const { Cell::new(Ending::Nothing) };
}

/// Returns true if this thread may be ending the span, in which case a call on a [`SpanRef`] would wait for itself.
#[inline]
pub(crate) fn is_ending(span: &SpanContext) -> bool {
    match ENDING.get() {
        Ending::Nothing => false,
        Ending::One(ending) => span.span_id() == ending,
        Ending::Several => true,
    }
}

/// Returns true if the span is recording and may be changed on this thread.
#[inline]
pub(crate) fn is_recording(span: &SpanRef<'_>) -> bool {
    !is_ending(span.span_context()) && span.is_recording()
}

/// Calls one processor. If it panics, the others still receive the span.
#[inline]
fn contained(call: impl FnOnce()) {
    if catch(call).is_err() {
        crate::__warn!("processor.panic", "a span processor panicked when a span ended");
    }
}

impl Span for SdkSpan {
    fn add_event_with_timestamp<T>(&mut self, name: T, timestamp: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(recording) = self.recording_mut() {
            recording.push_event(SpanEvent::new(name, timestamp.into(), attributes));
        }
    }

    #[inline]
    fn span_context(&self) -> &SpanContext {
        match &self.0 {
            State::Recording(recording) => &recording.data.context,
            State::NotRecording(context) => context,
        }
    }

    #[inline]
    fn is_recording(&self) -> bool {
        matches!(self.0, State::Recording(_))
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if let Some(recording) = self.recording_mut() {
            recording.set_attribute(attribute);
        }
    }

    fn set_status(&mut self, status: Status) {
        if status == Status::Unset {
            // May be a change that takes the data, as from a span in a context.
            let identity = self.span_context().clone();
            let mut place = match std::mem::replace(&mut self.0, State::NotRecording(identity)) {
                State::Recording(recording) => Some(recording),
                State::NotRecording(_) => None,
            };
            let is_applied = bridged::apply(&mut place);
            if let Some(recording) = place {
                self.0 = State::Recording(recording);
            }
            if is_applied {
                return;
            }
        }
        if let Some(recording) = self.recording_mut() {
            recording.set_status(status);
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(recording) = self.recording_mut() {
            recording.data.name = new_name.into();
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        if let Some(recording) = self.recording_mut() {
            recording.push_link(Link::new(span_context, attributes, 0));
        }
    }

    fn end(&mut self) {
        self.finish(None);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.finish(end_time(timestamp));
    }
}

impl Drop for SdkSpan {
    #[inline]
    fn drop(&mut self) {
        // Unlike `finish`, keeps no span context: nobody can ask for it any more.
        if let State::Recording(recording) = std::mem::replace(&mut self.0, State::NotRecording(SpanContext::NONE)) {
            recording.finish(None);
        }
    }
}
