//! The tracer, which decides whether to record a span, and starts it.

use std::borrow::Cow;

use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, Tracer,
};
use opentelemetry::{Context, KeyValue};

use super::decisions::without_threshold;
use super::provider::ProviderRef;
use super::span::Recording;
use super::{CallSite, Fields, Glance, Scope, SdkSpan, SpanData, SpanEvent, TracerConfig};
use crate::attributes;
use crate::control::ConfigOf;
use crate::error::catch;
use crate::id::{IdGenerator, RandomIds};
use crate::sampling::{Decision, SamplingRequest, SamplingResult};
use crate::time::Timestamp;
use crate::unsampled::{self, Unsampled};

/// The W3C level 2 flag that marks a trace id as random.
pub(super) const RANDOM_FLAG: u8 = 0x02;

/// Starts spans.
///
/// spec: trace/sdk.md#tracer
#[derive(Clone, Debug)]
pub struct SdkTracer {
    pub(super) provider: ProviderRef,
    pub(super) scope: Scope,
    pub(super) config: ConfigOf<TracerConfig>,
}

impl SdkTracer {
    /// Returns true if spans are processed, which requires a processor, and a provider and a tracer that are enabled. After the shutdown,
    /// no span is.
    /// Without a processor, spans still have ids and are propagated.
    ///
    /// spec: trace/sdk.md#enabled
    #[inline]
    pub fn enabled(&self) -> bool {
        let (decisions, processors) = (&self.provider.decisions, &self.provider.processors);
        let state = decisions.state();
        !state.is_off() && !processors.is_empty() && decisions.takes(state, &self.scope, &self.config)
    }

    /// Returns true if spans may get their own ids, which requires that the provider is not disabled and has not been shut
    /// down.
    #[inline]
    pub(super) fn has_ids(&self) -> bool {
        !self.provider.has_ended()
    }

    /// Returns true if spans that start now need their context, either for a processor or to copy baggage.
    #[inline]
    pub(crate) fn wants_start(&self) -> bool {
        self.provider.wants_start.now()
    }

    /// Starts a span for `#[traced]`. Adds the fields only if the span is recorded, so the sampler has to decide with those that are at
    /// hand.
    #[inline]
    pub(crate) fn start_traced(&self, call: TracedSpan, parent: &Context, fields: &mut impl Fields) -> Started {
        match self.begin(&call, parent, fields) {
            Ok((mut data, added)) => {
                let keys_are_distinct = call.keys_are_distinct && added.is_empty();
                let links = self.describe(&mut data, call, |list| fields.add(list));
                data.own_attributes.extend(added);
                let mut recording = self.record(data, keys_are_distinct, None);
                recording.push_links(links);
                let mut span = SdkSpan::recording(recording);
                self.show_start(&mut span, parent);
                Started::Recording(span)
            }
            Err(not_recorded) => not_recorded,
        }
    }

    /// Moves what a call site says about its span into the span's data. Returns the links.
    #[inline(always)]
    pub(super) fn describe(
        &self,
        data: &mut SpanData,
        call: TracedSpan,
        attributes: impl FnOnce(&mut Vec<KeyValue>),
    ) -> Vec<Link> {
        let record = &mut **data;
        record.name = call.name;
        record.scope = call.call_site.map_or_else(|| self.scope.clone(), |site| Scope::Static(site.scope()));
        record.kind = call.kind;
        record.call_site = call.call_site.filter(|_| call.code_attributes);
        if !self.provider.processors.is_empty() {
            attributes(&mut record.own_attributes);
        }
        call.links
    }

    /// Makes the decision for a `#[traced]` span.
    fn begin(
        &self,
        call: &TracedSpan,
        parent: &Context,
        fields: &impl Fields,
    ) -> Result<(SpanData, Vec<KeyValue>), Started> {
        let glance = match call.call_site {
            Some(site) => self.begin_in(site.scope(), &site.config, parent),
            None => self.begin_in(&self.scope, &self.config, parent),
        };
        match glance {
            Glance::Silent => return Err(Started::Silent),
            Glance::Dropped(below) => {
                self.count_dropped(parent);
                let span = Unsampled::below(below);
                let span = if self.has_own_ids() { span.with_id(self.span_id()) } else { span };
                return Err(Started::Inherit(span));
            }
            Glance::Recorded(data) => return Ok((data, Vec::new())),
            Glance::Unknown => {}
        }
        let parent_span = parent.span();
        let parent_context = parent_span.span_context();
        let mut shown = Vec::new();
        if self.provider.decisions.state().wants_attributes() {
            fields.show(&mut shown);
        }
        self.decide(parent, &call.name, &call.kind, &shown, &call.links).map_err(|context| {
            self.count_dropped(parent);
            let says_so = parent_context.is_valid() && !parent_context.is_sampled();
            let same_state = parent_context.trace_state() == context.trace_state();
            if says_so && same_state && !super::is_recording(&parent_span) {
                Started::Inherit(Unsampled::below(unsampled::Parent::new(parent_context)).with_id(context.span_id()))
            } else {
                Started::NotRecorded(context)
            }
        })
    }

    /// Decides whether to record a span. Returns the data of the new span, including its span context, and the attributes
    /// added by the sampler. If the span is not recorded, returns only its span context; the caller counts it.
    ///
    /// spec: trace/sdk.md#sdk-span-creation
    pub(super) fn decide(
        &self,
        parent: &Context,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> Result<(SpanData, Vec<KeyValue>), SpanContext> {
        let parent_span = parent.span();
        let parent_context = parent_span.span_context();
        let (trace_id, inherited_flags) = if parent_context.is_valid() {
            (parent_context.trace_id(), parent_context.trace_flags().to_u8() & RANDOM_FLAG)
        } else {
            match self.generated(|ids| (ids.trace_id(), ids.is_random())) {
                None | Some((TraceId::INVALID, _)) => (RandomIds.trace_id(), RANDOM_FLAG),
                Some((id, is_random)) => (id, if is_random { RANDOM_FLAG } else { 0 }),
            }
        };
        let request = SamplingRequest { parent, trace_id, name, kind, attributes, links };
        let SamplingResult { decision, attributes: added, trace_state } = self.provider.decisions.sample(&request);
        let trace_state = trace_state.unwrap_or_else(|| parent_context.trace_state().clone());
        let tail = self.provider.decisions.tail();
        let (decision, is_told) = match tail.filter(|_| decision == Decision::Drop) {
            Some(tail) if tail.samples_below(parent_context) => (Decision::RecordAndSample, true),
            Some(_) => (Decision::RecordOnly, false),
            None => (decision, false),
        };
        let flags = TraceFlags::new(inherited_flags).with_sampled(decision == Decision::RecordAndSample);
        let context = SpanContext::new(trace_id, self.span_id(), flags, false, trace_state);
        let context = if is_told { without_threshold(&context) } else { context };
        if decision == Decision::Drop {
            return Err(context);
        }
        if let Some(tail) = tail {
            // A generator of the program may repeat itself.
            let is_new = !parent_context.is_valid() && self.provider.ids.is_none();
            tail.starts(parent, parent_context, &context, is_new);
        }
        let mut data = SpanData::blank();
        let record = &mut *data;
        record.context = context;
        if parent_context.is_valid() {
            record.parent_span_id = parent_context.span_id();
            record.parent_is_remote = parent_context.is_remote();
        }
        Ok((data, added))
    }

    /// Counts a span that starts and is dropped.
    #[inline]
    pub(crate) fn count_dropped(&self, parent: &Context) {
        self.provider.count_dropped(parent.span().span_context());
    }

    /// Returns true if span ids come from a custom generator.
    #[inline]
    pub(crate) fn has_own_ids(&self) -> bool {
        self.provider.ids.is_some()
    }

    pub(super) fn span_id(&self) -> SpanId {
        match self.generated(|ids| ids.span_id()) {
            None | Some(SpanId::INVALID) => RandomIds.span_id(),
            Some(id) => id,
        }
    }

    /// Returns an id from the custom generator, or `None` if there is no custom generator or if it panics.
    fn generated<T>(&self, make: impl FnOnce(&dyn IdGenerator) -> T) -> Option<T> {
        let ids = self.provider.ids.as_deref()?;
        let made = catch(|| make(&**ids));
        if made.is_err() {
            crate::__warn!("ids.panic", "the id generator panicked; the id is a random one");
        }
        made.ok()
    }

    /// Starts a recorded span. If `keys_are_distinct`, the attributes are known to have distinct keys that are not empty.
    pub(super) fn record(&self, data: SpanData, keys_are_distinct: bool, start: Option<Timestamp>) -> Recording {
        self.record_inline(data, keys_are_distinct, start)
    }

    /// Like [`Self::record`], for the path that nearly all spans take.
    #[inline(always)]
    pub(super) fn record_inline(
        &self,
        mut data: SpanData,
        keys_are_distinct: bool,
        start: Option<Timestamp>,
    ) -> Recording {
        let provider = &*self.provider;
        let record = &mut *data;
        provider.count_recorded(record);
        let limits = provider.limits.attributes;
        if !keys_are_distinct || limits.value_length.is_some() || record.own_attributes.len() > limits.count {
            attributes::normalize(&mut record.own_attributes, &mut record.dropped_attributes, limits);
        }
        record.start = start.unwrap_or_else(|| provider.clock.now());
        Recording::new(data, self.provider.clone())
    }

    /// Copies baggage to a span that starts and calls the processors, if either is needed.
    #[inline]
    pub(super) fn show_start(&self, span: &mut SdkSpan, parent: &Context) {
        if self.wants_start() {
            self.provider.started(span, parent);
        }
    }
}

impl Tracer for SdkTracer {
    type Span = SdkSpan;

    #[inline]
    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> SdkSpan {
        self.build_in_scope(&self.scope, &self.config, builder, parent)
    }
}

impl SdkTracer {
    /// Starts a span with a scope that may differ from the tracer's scope.
    pub(super) fn build_in_scope(
        &self,
        scope: &Scope,
        config: &ConfigOf<TracerConfig>,
        builder: SpanBuilder,
        parent: &Context,
    ) -> SdkSpan {
        let SpanBuilder { span_kind, name, start_time, attributes, events, links, .. } = builder;
        let kind = span_kind.unwrap_or(SpanKind::Internal);
        let mut attributes = attributes.unwrap_or_default();
        let links = links.unwrap_or_default();
        let (mut data, added) = match self.begin_in(scope, config, parent) {
            Glance::Recorded(data) => (data, Vec::new()),
            // A span created through the API has its own id even if it is dropped.
            Glance::Dropped(_) => {
                let parent = parent.span();
                self.provider.count_dropped(parent.span_context());
                return SdkSpan::not_recording(unsampled::child(parent.span_context(), self.span_id()));
            }
            // spec: trace/api.md#behavior-of-the-api-in-the-absence-of-an-installed-sdk — the parent's context is propagated.
            Glance::Silent => return SdkSpan::not_recording(parent.span().span_context().clone()),
            Glance::Unknown => match self.decide(parent, &name, &kind, &attributes, &links) {
                Ok(recorded) => recorded,
                Err(context) => {
                    self.count_dropped(parent);
                    return SdkSpan::not_recording(context);
                }
            },
        };
        let record = &mut *data;
        (record.name, record.scope) = (name, scope.clone());
        record.kind = kind;
        // The record's attribute buffer is still in the thread's cache, so reuse it.
        if attributes.len() <= record.own_attributes.capacity() {
            record.own_attributes.append(&mut attributes);
        } else if !attributes.is_empty() {
            record.own_attributes = attributes;
        }
        record.own_attributes.extend(added);
        let mut recording = self.record(data, false, start_time.map(Timestamp::from));
        recording.push_links(links);
        let mut span = SdkSpan::recording(recording);
        self.show_start(&mut span, parent);
        if let (Some(events), Some(recording)) = (events, span.recording_mut()) {
            events.into_iter().for_each(|event| {
                recording.push_event(SpanEvent {
                    name: event.name,
                    time: event.timestamp.into(),
                    attributes: event.attributes,
                    dropped_attributes: event.dropped_attributes_count,
                });
            });
        }
        span
    }
}

/// A `#[traced]` span before it starts.
#[derive(Debug)]
pub struct TracedSpan {
    /// The span name.
    pub name: Cow<'static, str>,
    /// The span kind.
    pub kind: SpanKind,
    /// The call site, which determines the scope.
    pub call_site: Option<&'static CallSite>,
    /// True if the span gets the call site's `code.*` attributes.
    pub code_attributes: bool,
    /// True if the keys of the attributes are known to be distinct and not empty, as the macro checks.
    pub keys_are_distinct: bool,
    /// The links known when the span starts.
    pub links: Vec<Link>,
}

impl TracedSpan {
    /// Creates an internal span with `code.*` attributes and no links.
    #[inline]
    pub fn new(name: impl Into<Cow<'static, str>>, call_site: Option<&'static CallSite>) -> Self {
        TracedSpan {
            name: name.into(),
            kind: SpanKind::Internal,
            call_site,
            code_attributes: true,
            keys_are_distinct: false,
            links: Vec::new(),
        }
    }
}

/// The result of starting a `#[traced]` span.
#[derive(Debug)]
pub(crate) enum Started {
    /// The span is recorded. Attach `span.in_context(parent)`. The span ends when dropped.
    Recording(SdkSpan),
    /// No span is created, because telemetry is suppressed or the provider has been shut down. Child spans are not
    /// recorded either.
    Silent,
    /// The span is not recorded, and the parent's context already reflects that. If the parent's context is current,
    /// attach nothing. Outgoing requests use the span's own id.
    Inherit(Unsampled),
    /// The span is not recorded, and its children need to see that. Attach a context with this span context.
    NotRecorded(SpanContext),
}
