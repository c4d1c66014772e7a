//! Tests a provider as programs configure it, with random ids and the default sampler. For most of its spans, only the
//! parent is inspected to make the decision, a path that tests with sequential ids do not take.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::{
    Span, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::ExportError;
use telemark_sdk::id::IdGenerator;
use telemark_sdk::sampling::{AlwaysOff, Decision, ParentBased, Sampler, SamplingRequest, SamplingResult};
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanProcessor, TracerProviderBuilder};

/// Stores ended spans.
#[derive(Clone, Debug, Default)]
struct Keeps {
    ended: Arc<Mutex<Vec<SpanData>>>,
    flushed: Arc<Mutex<usize>>,
}

impl SpanProcessor for Keeps {
    fn on_end(&self, span: SpanData) {
        self.ended.lock().unwrap().push(span);
    }

    fn flush(&self, _: Deadline) -> Result<(), ExportError> {
        *self.flushed.lock().unwrap() += 1;
        Err(ExportError::other("of this processor"))
    }
}

fn provider(configure: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder) -> (SdkTracerProvider, Keeps) {
    let keeps = Keeps::default();
    (configure(SdkTracerProvider::builder().with_processor(keeps.clone())).build(), keeps)
}

/// Starts and ends one span, and returns what was recorded.
fn span(tracer: &SdkTracer, keeps: &Keeps, parent: &Context) -> SpanData {
    drop(tracer.start_with_context("s", parent));
    keeps.ended.lock().unwrap().pop().unwrap()
}

fn parent(flags: u8, is_remote: bool) -> Context {
    let state = TraceState::from_key_value([("vendor", "1")]).unwrap();
    let span = SpanContext::new(TraceId::from(5), SpanId::from(6), TraceFlags::new(flags), is_remote, state);
    Context::new().with_remote_span_context(span)
}

#[test]
fn a_child_belongs_to_the_trace_and_the_span_of_its_parent() {
    let (provider, keeps) = provider(|builder| builder);
    let tracer = provider.tracer("test");
    for is_remote in [true, false] {
        let child = span(&tracer, &keeps, &parent(0b01, is_remote));
        assert_eq!((child.context.trace_id(), child.parent_span_id), (TraceId::from(5), SpanId::from(6)));
        assert_ne!(child.context.span_id(), SpanId::from(6));
        assert_eq!((child.parent_is_remote, child.context.is_remote()), (is_remote, false));
        assert_eq!(child.context.trace_state().get("vendor"), Some("1"));
    }
}

#[test]
fn a_root_has_no_parent_though_a_span_is_current() {
    let (provider, keeps) = provider(|builder| builder);
    let tracer = provider.tracer("test");
    tracer.in_span("current", |cx| {
        let root = span(&tracer, &keeps, &Context::new());
        assert_eq!(root.parent_span_id, SpanId::INVALID);
        assert_ne!(root.context.trace_id(), cx.span().span_context().trace_id());
    });
}

/// spec: trace/sdk.md#random-trace-flag
#[test]
fn the_random_flag_is_that_of_the_trace() {
    let (provider, keeps) = provider(|builder| builder);
    let tracer = provider.tracer("test");
    let flags = |parent: &Context| span(&tracer, &keeps, parent).context.trace_flags().to_u8();
    assert_eq!(flags(&Context::new()), 0b11);
    for is_remote in [true, false] {
        assert_eq!(flags(&parent(0b11, is_remote)), 0b11);
        assert_eq!(flags(&parent(0b01, is_remote)), 0b01);
        assert_eq!(flags(&parent(0b1111_0001, is_remote)), 0b01);
    }
    let (provider, _) = self::provider(|builder| builder.with_sampler(ParentBased::new(AlwaysOff)));
    let dropped =
        |parent: &Context| provider.tracer("test").start_with_context("s", parent).span_context().trace_flags().to_u8();
    assert_eq!((dropped(&Context::new()), dropped(&parent(0b10, true)), dropped(&parent(0, true))), (0b10, 0b10, 0));
}

#[derive(Debug)]
struct Drops;

impl Sampler for Drops {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        SamplingResult::new(Decision::Drop)
    }

    fn description(&self) -> Cow<'static, str> {
        "Drops".into()
    }
}

/// spec: trace/sdk.md#sdk-span-creation — regardless of the decision, and of whether the sampler was called.
#[test]
fn a_span_that_is_dropped_has_an_id_of_its_own() {
    for (provider, _) in [provider(|builder| builder), provider(|builder| builder.with_sampler(Drops))] {
        let dropped = provider.tracer("test").start_with_context("s", &parent(0, true));
        let context = dropped.span_context();
        assert!(!dropped.is_recording() && !context.is_sampled());
        assert_eq!((context.trace_id(), context.trace_state().get("vendor")), (TraceId::from(5), Some("1")));
        assert!(context.span_id() != SpanId::from(6) && context.span_id() != SpanId::INVALID);
    }
}

#[derive(Debug)]
struct Ids(u128, u64);

impl IdGenerator for Ids {
    fn trace_id(&self) -> TraceId {
        TraceId::from(self.0)
    }

    fn span_id(&self) -> SpanId {
        assert_ne!(self.1, 13, "on purpose");
        SpanId::from(self.1)
    }
}

/// spec: trace/sdk.md#id-generators
#[test]
fn ids_are_those_of_the_generator_unless_they_are_zero_or_it_panics() {
    let ids = |ids: Ids, parent: &Context| {
        let (provider, keeps) = provider(|builder| builder.with_id_generator(ids));
        let span = span(&provider.tracer("test"), &keeps, parent);
        (span.context.trace_id(), span.context.span_id())
    };
    assert_eq!(ids(Ids(7, 8), &Context::new()), (TraceId::from(7), SpanId::from(8)));
    for is_remote in [true, false] {
        assert_eq!(ids(Ids(7, 8), &parent(1, is_remote)), (TraceId::from(5), SpanId::from(8)));
    }
    for generator in [Ids(0, 0), Ids(7, 13)] {
        let (trace_id, span_id) = ids(generator, &Context::new());
        assert!(trace_id != TraceId::INVALID && span_id != SpanId::INVALID && span_id != SpanId::from(13));
    }
}

/// spec: trace/sdk.md#span-limits
#[test]
fn unless_told_otherwise_a_span_holds_128_of_everything() {
    let (provider, keeps) = provider(|builder| builder);
    let mut span = provider.tracer("test").start("s");
    let many = || (0..130).map(|n| KeyValue::new(format!("key.{n}"), "x".repeat(10_000))).collect::<Vec<_>>();
    many().into_iter().for_each(|attribute| span.set_attribute(attribute));
    for n in 0..130u64 {
        span.add_event("e", if n == 0 { many() } else { vec![] });
        let link = SpanContext::new(1.into(), (n + 1).into(), TraceFlags::SAMPLED, true, TraceState::NONE);
        span.add_link(link, if n == 0 { many() } else { vec![] });
    }
    drop(span);
    let span = keeps.ended.lock().unwrap().pop().unwrap();
    assert_eq!((span.own_attributes.len(), span.dropped_attributes), (128, 2));
    assert_eq!((span.events.len(), span.events.dropped(), span.links.len(), span.links.dropped()), (128, 2, 128, 2));
    assert_eq!((span.events[0].attributes.len(), span.events[0].dropped_attributes), (128, 2));
    assert_eq!((span.links[0].attributes.len(), span.links[0].dropped_attributes_count), (128, 2));
    assert!(span.own_attributes.iter().all(|one| one.value.as_str().len() == 10_000), "of any length");
}

/// spec: trace/sdk.md#forceflush
#[test]
fn a_flush_of_the_provider_reaches_every_processor_and_the_first_error_stays() {
    let second = Keeps::default();
    let (provider, first) = provider(|builder| builder.with_processor(second.clone()));
    assert_eq!(provider.force_flush(Deadline::NEVER).unwrap_err().to_string(), "of this processor");
    assert_eq!((*first.flushed.lock().unwrap(), *second.flushed.lock().unwrap()), (1, 1));
}
