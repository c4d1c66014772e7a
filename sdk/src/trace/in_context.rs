//! A recording span as a part of a context.
//!
//! The API keeps its own copy of the span context beside the span and never asks the span for it again. So this type is
//! smaller than [`SdkSpan`](super::SdkSpan), which has to know its span context even after its end. The API allocates a box
//! for the span; a small box comes from another size class of the allocator than the `Arc` around it, which keeps both
//! within the allocator's cache for the thread if spans are deeply nested.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{Link, Span, SpanContext, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::bridged;
use super::span::{Recording, end_time};
use super::{SdkTracer, SpanData, SpanEvent, TracedSpan};
use crate::time::Timestamp;

/// A span in a context. `None` once it has ended.
#[derive(Debug)]
pub(super) struct InContext(Option<Recording>);

impl InContext {
    #[inline]
    pub(super) fn new(recording: Recording) -> Self {
        InContext(Some(recording))
    }
}

impl SdkTracer {
    /// Starts a span for `#[traced]` for which the decision to sample has already been made. Does not call the processors.
    /// Returns the current context with the span, and the start time.
    #[inline(always)]
    pub(crate) fn start_in_current(
        &self,
        mut data: SpanData,
        call: TracedSpan,
        attributes: impl FnOnce(&mut Vec<KeyValue>),
    ) -> (Context, Timestamp) {
        let keys_are_distinct = call.keys_are_distinct;
        let links = self.describe(&mut data, call, attributes);
        let mut recording = self.record_inline(data, keys_are_distinct, None);
        if !links.is_empty() {
            recording.push_links(links);
        }
        let start = recording.data.start;
        (Context::current_with_span(InContext::new(recording)), start)
    }
}

impl Span for InContext {
    fn add_event_with_timestamp<T>(&mut self, name: T, timestamp: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(recording) = &mut self.0 {
            recording.push_event(SpanEvent::new(name, timestamp.into(), attributes));
        }
    }

    /// Called only while the span becomes part of a context.
    #[inline]
    fn span_context(&self) -> &SpanContext {
        static NONE: SpanContext = SpanContext::NONE;
        self.0.as_ref().map_or(&NONE, |recording| &recording.data.context)
    }

    #[inline]
    fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if let Some(recording) = &mut self.0 {
            recording.set_attribute(attribute);
        }
    }

    fn set_status(&mut self, status: Status) {
        if status == Status::Unset && bridged::apply(&mut self.0) {
            return;
        }
        if let Some(recording) = &mut self.0 {
            recording.set_status(status);
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(recording) = &mut self.0 {
            recording.data.name = new_name.into();
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        if let Some(recording) = &mut self.0 {
            recording.push_link(Link::new(span_context, attributes, 0));
        }
    }

    fn end(&mut self) {
        if let Some(recording) = self.0.take() {
            recording.finish(None);
        }
    }

    #[inline]
    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        if let Some(recording) = self.0.take() {
            recording.finish_inline(end_time(timestamp));
        }
    }
}

impl Drop for InContext {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::Tracer;

    use super::*;
    use crate::testing::TestTelemetry;
    use crate::trace::SpanRecord;

    #[test]
    fn a_span_in_a_context_is_identified_after_its_end_and_ends_once() {
        let telemetry = TestTelemetry::new();
        let started = telemetry.tracer("test").start("span");
        let identity = started.span_context().clone();
        let context = started.in_context(&Context::new());
        let span = context.span();
        assert!(span.is_recording() && *span.span_context() == identity);
        span.set_attribute(KeyValue::new("before", 1));
        span.end();
        span.set_attribute(KeyValue::new("after", 2));
        span.end();
        assert!(!span.is_recording() && *span.span_context() == identity);
        drop(context);
        let ended: Vec<_> = telemetry.spans().iter().map(|span| span.own_attributes.len()).collect();
        assert_eq!(ended, [1]);
    }

    #[test]
    fn a_span_that_is_not_recording_identifies_its_context() {
        let telemetry = TestTelemetry::new();
        let mut started = telemetry.tracer("test").start("span");
        started.end();
        let identity = started.span_context().clone();
        let context = started.in_context(&Context::new());
        assert!(identity.is_valid() && *context.span().span_context() == identity);
    }

    /// After a pause, every cache line that a span touches costs a miss.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_open_span_takes_little_memory() {
        assert!(size_of::<InContext>() <= 48);
        assert!(size_of::<SpanRecord>() <= 208);
    }
}
