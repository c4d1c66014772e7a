//! The span: its data as long as it is recording, and the rules for changing it.

use std::borrow::Cow;
use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, Span, SpanContext, SpanId, SpanRef, Status};

use super::bridged;
use super::exceptions::{self, Roots};
use super::failure::Told;
use super::provider::ProviderRef;
use super::{SpanData, SpanEvent};
use crate::attributes;
use crate::error::catch;
use crate::time::Timestamp;

/// A span created by an [`SdkTracer`](super::SdkTracer). If the span has not ended earlier, it ends when dropped.
///
/// spec: trace/sdk.md#span
#[derive(Debug)]
pub struct SdkSpan {
    context: SpanContext,
    /// `None` if the sampler dropped the span, or once the span has ended.
    recording: Option<Recording>,
}

#[derive(Debug)]
pub(super) struct Recording {
    pub(super) data: SpanData,
    pub(super) provider: ProviderRef,
    /// The `error.type` of an explicitly recorded error, which a later error may replace.
    pub(super) recorded_error: Option<&'static str>,
    /// `None` if no exception was recorded on this span or within it. Boxed, because this is the common case.
    pub(super) roots: Option<Box<Roots>>,
}

impl Recording {
    pub(super) fn push_event(&mut self, mut event: SpanEvent) {
        let Recording { data, provider, .. } = self;
        let limits = &provider.limits;
        if data.events.len() < limits.events {
            attributes::normalize(&mut event.attributes, &mut event.dropped_attributes, limits.event_attributes());
        }
        data.events.push(event, limits.events);
    }
}

/// An end time that represents the current time of the provider's clock.
///
/// The API's `SpanRef` can only end a span with an explicit time, and no real span ends in 1970.
pub const END_NOW: SystemTime = UNIX_EPOCH;

impl SdkSpan {
    #[inline]
    pub(super) fn recording(data: SpanData, provider: ProviderRef) -> Self {
        SdkSpan {
            context: data.context.clone(),
            recording: Some(Recording { data, provider, recorded_error: None, roots: None }),
        }
    }

    pub(super) fn not_recording(context: SpanContext) -> Self {
        SdkSpan { context, recording: None }
    }

    /// Returns the data recorded so far, or `None` if the span is not recording or has ended.
    pub fn data(&self) -> Option<&SpanData> {
        self.recording.as_ref().map(|recording| &recording.data)
    }

    pub(super) fn push_event(&mut self, event: SpanEvent) {
        if let Some(recording) = &mut self.recording {
            recording.push_event(event);
        }
    }

    /// Sets an attribute, unless the span already has an attribute with the same key.
    pub(super) fn set_if_missing(&mut self, attribute: KeyValue) {
        let Some(recording) = &self.recording else { return };
        if !recording.data.own_attributes.iter().any(|own| own.key == attribute.key) {
            self.set_attribute(attribute);
        }
    }

    pub(super) fn push_link(&mut self, mut link: Link) {
        let Some(Recording { data, provider, .. }) = &mut self.recording else { return };
        let limits = &provider.limits;
        attributes::normalize(&mut link.attributes, &mut link.dropped_attributes_count, limits.link_attributes());
        // spec: trace/api.md#link — a link without a valid context is recorded only if it has attributes or a trace state.
        let says_nothing = link.attributes.is_empty() && link.span_context.trace_state().header().is_empty();
        if link.span_context.is_valid() || !says_nothing {
            data.links.push(link, limits.links);
        }
    }

    /// Ends the span at `end`, or now if `end` is `None`. Later calls do nothing.
    #[inline]
    fn finish(&mut self, end: Option<Timestamp>) {
        let Some(Recording { mut data, provider, roots, .. }) = self.recording.take() else { return };
        provider.count_end(&self.context);
        let record = &mut *data;
        // The end time may come from the API's own clock, but must not be before the start time.
        record.end = end.unwrap_or_else(|| provider.clock.now()).max(record.start);
        let Some((last, others)) = provider.processors.split_last() else { return };
        let outer = ENDING.get();
        ENDING.set(outer.and(self.context.span_id()));
        // spec: trace/sdk.md#onending — not called after shutdown. `on_end` is still called and counts late spans.
        if provider.wants_ending && !provider.is_off() {
            provider.processors.iter().for_each(|processor| contained(|| processor.on_ending(&mut data)));
        }
        others.iter().for_each(|processor| contained(|| processor.on_end(data.clone())));
        contained(|| last.on_end(data));
        ENDING.set(outer);
        // Called after the processors, because they may end spans themselves.
        if let Some(roots) = roots {
            exceptions::ended(&self.context, *roots);
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
        if self.is_recording() {
            self.push_event(SpanEvent::new(name, timestamp.into(), attributes));
        }
    }

    #[inline]
    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    #[inline]
    fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if let Some(Recording { data, provider, .. }) = &mut self.recording {
            let (record, limits) = (&mut **data, provider.limits.attributes);
            attributes::set(&mut record.own_attributes, &mut record.dropped_attributes, attribute, limits);
        }
    }

    /// spec: trace/api.md#set-status — `Ok` is final, and a status cannot be reset to unset.
    fn set_status(&mut self, status: Status) {
        if status == Status::Unset && bridged::apply(&mut self.recording) {
            return;
        }
        let Some(recording) = &mut self.recording else { return };
        if status == Status::Unset {
            if let Some(told) = Told::take() {
                told.apply(recording);
            }
        } else if recording.data.status != Status::Ok {
            recording.data.status = status;
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(Recording { data, .. }) = &mut self.recording {
            data.name = new_name.into();
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.push_link(Link::new(span_context, attributes, 0));
    }

    fn end(&mut self) {
        self.finish(None);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.finish((timestamp != END_NOW).then(|| timestamp.into()));
    }
}

impl Drop for SdkSpan {
    #[inline]
    fn drop(&mut self) {
        self.finish(None);
    }
}
