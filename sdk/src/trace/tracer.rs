//! The tracer: decides whether a span is recorded, and starts it.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, Tracer,
};
use opentelemetry::{Context, KeyValue};

use super::provider::ProviderRef;
use super::{CallSite, Scope, SdkSpan, SpanData, SpanEvent};
use crate::attributes;
use crate::id::{IdGenerator, RandomIds};
use crate::sampling::{Decision, SamplingRequest, SamplingResult};
use crate::time::Timestamp;

/// The W3C level 2 flag that says that the trace id is random.
const RANDOM_FLAG: u8 = 0x02;

/// Starts spans.
///
/// spec: trace/sdk.md#tracer
#[derive(Clone, Debug)]
pub struct SdkTracer {
    pub(super) provider: ProviderRef,
    pub(super) scope: Scope,
}

impl SdkTracer {
    /// Whether a span may be recorded at all: there is a processor, and the provider is not shut down.
    ///
    /// spec: trace/sdk.md#enabled
    #[inline]
    pub fn enabled(&self) -> bool {
        !self.provider.is_off()
    }

    /// Whether every span in `parent` is dropped, and `parent` says so already. Runs no code of the user's, so that it may be
    /// asked while the API's context is borrowed.
    #[inline]
    pub fn drops_below(&self, parent: &Context) -> bool {
        if self.provider.is_off() || parent.is_telemetry_suppressed() {
            return true;
        }
        let parent_span = parent.span();
        let parent_context = parent_span.span_context();
        let is_unsampled = parent_context.is_valid() && !parent_context.is_sampled();
        is_unsampled && self.provider.drops_below_unsampled && !parent_context.is_remote()
    }

    /// Starts a span for `#[traced]`. `attributes` is called only when the span is recorded; the sampler therefore decides
    /// without them.
    #[inline]
    pub fn start_traced(
        &self,
        call: TracedSpan,
        parent: &Context,
        attributes: impl FnOnce(&mut Vec<KeyValue>),
    ) -> Started {
        if self.drops_below(parent) {
            return Started::Inherit;
        }
        let parent_span = parent.span();
        let parent_context = parent_span.span_context();
        let below_unsampled = parent_context.is_valid() && !parent_context.is_sampled();
        let (context, result) = self.decide(parent, parent_context, &call.name, &call.kind, &[], &call.links);
        if result.decision == Decision::Drop {
            let inherits = below_unsampled && result.trace_state.is_none() && !parent_span.is_recording();
            return if inherits { Started::Inherit } else { Started::NotRecorded(context) };
        }
        let scope = call.call_site.map_or_else(|| self.scope.clone(), |site| Scope::Static(site.scope()));
        let mut data = SpanData::new(context, call.name, scope);
        let record = &mut *data;
        record.kind = call.kind;
        record.call_site = call.call_site.filter(|_| call.code_attributes);
        attributes(&mut record.own_attributes);
        Started::Recording(self.record(data, parent, parent_context, result, None, call.links))
    }

    /// Who the span is and whether it is recorded.
    ///
    /// spec: trace/sdk.md#sdk-span-creation
    fn decide(
        &self,
        parent: &Context,
        parent_context: &SpanContext,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> (SpanContext, SamplingResult) {
        let provider = &*self.provider;
        let has_parent = parent_context.is_valid();
        let (trace_id, inherited_flags) = if has_parent {
            (parent_context.trace_id(), parent_context.trace_flags().to_u8() & RANDOM_FLAG)
        } else {
            match provider.ids.trace_id() {
                TraceId::INVALID => (RandomIds.trace_id(), RANDOM_FLAG),
                id => (id, if provider.ids_are_random { RANDOM_FLAG } else { 0 }),
            }
        };
        let follows = provider.samples_below_sampled && has_parent && !parent_context.is_remote();
        let mut result = if follows && parent_context.is_sampled() {
            SamplingResult::new(Decision::RecordAndSample)
        } else {
            let request = SamplingRequest { parent, trace_id, name, kind, attributes, links };
            catch_unwind(AssertUnwindSafe(|| provider.sampler.sample(&request))).unwrap_or_else(|_| {
                crate::__warn!("sampler.panic", "the sampler panicked; the span is not recorded");
                SamplingResult::new(Decision::Drop)
            })
        };
        let span_id = match provider.ids.span_id() {
            SpanId::INVALID => RandomIds.span_id(),
            id => id,
        };
        let flags = TraceFlags::new(inherited_flags).with_sampled(result.decision == Decision::RecordAndSample);
        let trace_state = match &mut result.trace_state {
            Some(changed) => changed.clone(),
            None => parent_context.trace_state().clone(),
        };
        (SpanContext::new(trace_id, span_id, flags, false, trace_state), result)
    }

    /// Starts a span that is recorded.
    fn record(
        &self,
        mut data: SpanData,
        parent: &Context,
        parent_context: &SpanContext,
        result: SamplingResult,
        start: Option<Timestamp>,
        links: Vec<Link>,
    ) -> SdkSpan {
        let provider = &*self.provider;
        let record = &mut *data;
        if parent_context.is_valid() {
            record.parent_span_id = parent_context.span_id();
            record.parent_is_remote = parent_context.is_remote();
        }
        record.own_attributes.extend(result.attributes);
        attributes::normalize(&mut record.own_attributes, &mut record.dropped_attributes, provider.limits.attributes);
        record.start = start.unwrap_or_else(|| provider.clock.now());
        let mut span = SdkSpan::recording(data, self.provider.clone());
        for link in links {
            span.push_link(link);
        }
        for processor in &provider.processors {
            if catch_unwind(AssertUnwindSafe(|| processor.on_start(&mut span, parent))).is_err() {
                crate::__warn!("processor.panic", "a span processor panicked when a span started");
            }
        }
        span
    }
}

impl Tracer for SdkTracer {
    type Span = SdkSpan;

    #[inline]
    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> SdkSpan {
        self.build_in_scope(&self.scope, builder, parent)
    }
}

impl SdkTracer {
    /// Starts a span with another scope than the tracer's.
    pub(super) fn build_in_scope(&self, scope: &Scope, builder: SpanBuilder, parent: &Context) -> SdkSpan {
        let parent_span = parent.span();
        let parent_context = parent_span.span_context();
        // spec: trace/api.md#behavior-of-the-api-in-the-absence-of-an-installed-sdk — the parent's context travels on.
        if self.provider.is_off() || parent.is_telemetry_suppressed() {
            return SdkSpan::not_recording(parent_context.clone());
        }
        let SpanBuilder { span_kind, name, start_time, attributes, events, links, .. } = builder;
        let kind = span_kind.unwrap_or(SpanKind::Internal);
        let attributes = attributes.unwrap_or_default();
        let links = links.unwrap_or_default();
        let (context, result) = self.decide(parent, parent_context, &name, &kind, &attributes, &links);
        if result.decision == Decision::Drop {
            return SdkSpan::not_recording(context);
        }
        let mut data = SpanData::new(context, name, scope.clone());
        data.kind = kind;
        data.own_attributes = attributes;
        let start = start_time.map(Timestamp::from);
        let mut span = self.record(data, parent, parent_context, result, start, links);
        for event in events.into_iter().flatten() {
            span.push_event(SpanEvent {
                name: event.name,
                time: event.timestamp.into(),
                attributes: event.attributes,
                dropped_attributes: event.dropped_attributes_count,
            });
        }
        span
    }
}

/// What `#[traced]` knows of a span before it is started.
#[derive(Debug)]
pub struct TracedSpan {
    /// The name.
    pub name: Cow<'static, str>,
    /// The role.
    pub kind: SpanKind,
    /// Where it is started; gives the scope.
    pub call_site: Option<&'static CallSite>,
    /// Whether the span carries the call site's `code.*` attributes.
    pub code_attributes: bool,
    /// The links known at the start.
    pub links: Vec<Link>,
}

impl TracedSpan {
    /// An internal span with `code.*` attributes and no links.
    #[inline]
    pub fn new(name: impl Into<Cow<'static, str>>, call_site: Option<&'static CallSite>) -> Self {
        TracedSpan { name: name.into(), kind: SpanKind::Internal, call_site, code_attributes: true, links: Vec::new() }
    }
}

/// How a span of `#[traced]` began.
#[derive(Debug)]
pub enum Started {
    /// It is recorded: attach it, `parent.with_span(span)`. It ends when it is dropped.
    Recording(SdkSpan),
    /// It is not recorded, and the parent's context says so already: attach nothing.
    Inherit,
    /// It is not recorded, and its children must know: attach a context with this span context.
    NotRecorded(SpanContext),
}
