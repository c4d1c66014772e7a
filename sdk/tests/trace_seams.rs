//! The seams of the tracer: the arguments that samplers and processors receive, and when they are called.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::{
    Link, Span, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::ExportError;
use telemark_sdk::sampling::{AlwaysOn, AlwaysRecord, ParentBased, Sampler, SamplingRequest, SamplingResult};
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{SdkSpan, SdkTracerProvider, SpanData, SpanProcessor};

/// Log lines that the test reads and clears.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A value in the parent context that is not part of the parent's span context.
#[derive(Debug)]
struct Tenant(&'static str);

/// Describes the parent, and any other value in the parent's context.
fn shown(parent: &Context) -> String {
    let span = parent.span();
    let span = span.span_context();
    let (side, state) = (if span.is_remote() { "remote" } else { "local" }, span.trace_state().header());
    let tenant = parent.get::<Tenant>().map_or("nobody", |tenant| tenant.0);
    format!("{}:{} {side} {} [{state}] {tenant}", span.trace_id(), span.span_id(), span.trace_flags().to_u8())
}

#[derive(Debug)]
struct Witness(Log);

impl Sampler for Witness {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        let SamplingRequest { parent, trace_id, name, kind, attributes, links, .. } = request;
        let attributes: Vec<_> = attributes.iter().map(|one| format!("{}={}", one.key, one.value)).collect();
        let links: Vec<_> = links.iter().map(|link| link.span_context.span_id().to_string()).collect();
        let same = *trace_id == parent.span().span_context().trace_id();
        let (attributes, links) = (attributes.join(","), links.join(","));
        self.0.add(format!("{name} {kind:?} {attributes} > {links} same={same} under {}", shown(parent)));
        AlwaysOn.sample(request)
    }

    fn description(&self) -> Cow<'static, str> {
        "Witness".into()
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.add(format!("sampler shut down, {:?}", deadline.remaining()));
        Err(ExportError::other("of the sampler"))
    }
}

impl SpanProcessor for Witness {
    fn on_start(&self, span: &mut SdkSpan, parent: &Context) {
        self.0.add(format!("{} under {}", span.data().unwrap().name, shown(parent)));
    }

    fn on_ending(&self, span: &mut SpanData) {
        self.0.add(format!("ending {}", span.name));
    }

    fn on_end(&self, span: SpanData) {
        self.0.add(format!("end {}", span.name));
    }

    fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
        self.0.add("processor shut down");
        Ok(())
    }
}

/// Returns a context with a remote parent and an additional value.
fn far() -> Context {
    let state = TraceState::from_key_value([("vendor", "x")]).unwrap();
    let span = SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, true, state);
    Context::new().with_remote_span_context(span).with_value(Tenant("acme"))
}

const FAR: &str = "00000000000000000000000000000007:0000000000000008 remote 1 [vendor=x] acme";
const NOTHING: &str = "00000000000000000000000000000000:0000000000000000 local 0 [] nobody";

#[test]
fn a_sampler_is_shown_the_whole_parent_context_and_the_whole_request() {
    let (asked, silent) = (Log::default(), Log::default());
    let provider =
        SdkTracerProvider::builder().with_sampler(Witness(asked.clone())).with_processor(Witness(silent)).build();
    let tracer = provider.tracer("test");
    let link = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, true, TraceState::NONE);
    let builder = tracer
        .span_builder("s")
        .with_kind(SpanKind::Consumer)
        .with_attributes([KeyValue::new("a", 1), KeyValue::new("b", "x")])
        .with_links(vec![Link::with_context(link)]);
    // A context is passed explicitly, instead of using the current one.
    let _elsewhere = Context::new().with_value(Tenant("current")).attach();
    drop(builder.start_with_context(&tracer, &far()));
    assert_eq!(asked.take(), [format!("s Consumer a=1,b=x > 0000000000000002 same=true under {FAR}")]);

    drop(tracer.start_with_context("root", &Context::new()));
    assert_eq!(asked.take(), [format!("root Internal  >  same=false under {NOTHING}")]);

    // Without an explicit context, the current context is used.
    drop(tracer.start("here"));
    assert!(asked.take()[0].ends_with(" current"));
}

#[test]
fn on_start_is_shown_the_context_that_the_span_starts_in() {
    let started = Log::default();
    let provider = SdkTracerProvider::builder().with_processor(Witness(started.clone())).build();
    let tracer = provider.tracer("test");
    let _elsewhere = Context::new().with_value(Tenant("current")).attach();
    let first = |log: &Log| log.take().swap_remove(0);
    drop(tracer.start_with_context("given", &far()));
    assert_eq!(first(&started), format!("given under {FAR}"));

    drop(tracer.start_with_context("root", &Context::new()));
    assert_eq!(first(&started), format!("root under {NOTHING}"));

    let parent = tracer.start_with_context("parent", &Context::new().with_value(Tenant("local")));
    started.take();
    let (trace, span) = (parent.span_context().trace_id(), parent.span_context().span_id());
    let flags = parent.span_context().trace_flags().to_u8();
    drop(tracer.start_with_context("child", &Context::new().with_value(Tenant("local")).with_span(parent)));
    assert_eq!(first(&started), format!("child under {trace}:{span} local {flags} [] local"));

    drop(tracer.start("here"));
    assert!(first(&started).ends_with(" current"));
}

#[test]
fn on_ending_is_not_called_after_the_shutdown() {
    let log = Log::default();
    let provider = SdkTracerProvider::builder().with_processor(Witness(log.clone())).build();
    let tracer = provider.tracer("test");
    let (before, open) = (tracer.start("before"), tracer.start("open"));
    log.take();
    drop(before);
    assert_eq!(log.take(), ["ending before", "end before"]);
    provider.shutdown(Deadline::NEVER).unwrap();
    drop(open);
    // The end is still reported, because processors count spans that end too late.
    assert_eq!(log.take(), ["processor shut down", "end open"]);
}

#[test]
fn the_shutdown_reaches_the_sampler_once_after_the_processors() {
    let log = Log::default();
    let provider =
        SdkTracerProvider::builder().with_sampler(Witness(log.clone())).with_processor(Witness(log.clone())).build();
    assert_eq!(provider.shutdown(Deadline::NEVER).unwrap_err().to_string(), "of the sampler");
    provider.shutdown(Deadline::NEVER).unwrap();
    assert_eq!(log.take(), ["processor shut down", "sampler shut down, None"]);
}

#[derive(Debug)]
struct PanicsAtTheEnd;

impl Sampler for PanicsAtTheEnd {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        AlwaysOn.sample(request)
    }

    fn description(&self) -> Cow<'static, str> {
        "PanicsAtTheEnd".into()
    }

    fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
        panic!("on purpose")
    }
}

#[test]
fn samplers_that_ask_others_shut_all_of_them_down_though_one_panics() {
    let log = Log::default();
    let one = || Witness(log.clone());
    let sampler = ParentBased::new(PanicsAtTheEnd)
        .with_remote_parent_sampled(one())
        .with_remote_parent_not_sampled(AlwaysRecord::new(one()))
        .with_local_parent_sampled(Box::new(one()) as Box<dyn Sampler>)
        .with_local_parent_not_sampled(ParentBased::new(one()));
    let provider = SdkTracerProvider::builder().with_sampler(sampler).with_processor(Witness(Log::default())).build();
    let error = provider.shutdown(Deadline::NEVER).unwrap_err();
    assert_eq!(error.to_string(), "the sampler panicked when it was shut down");
    assert_eq!(log.take(), ["sampler shut down, None"; 4]);
}

/// Observes the start of spans, and wants no ended span.
#[derive(Debug)]
struct Observer(Log);

impl SpanProcessor for Observer {
    fn on_start(&self, span: &mut SdkSpan, _: &Context) {
        self.0.add(format!("observed {}", span.data().unwrap().name));
    }

    fn on_ending(&self, span: &mut SpanData) {
        self.0.add(format!("observed the end of {}", span.name));
    }

    fn wants_end(&self) -> bool {
        false
    }

    fn on_end(&self, span: SpanData) {
        self.0.add(format!("{} was copied", span.name));
    }
}

#[test]
fn a_processor_that_wants_no_end_receives_no_span() {
    let log = Log::default();
    let provider = SdkTracerProvider::builder().with_processor(Witness(log.clone()));
    let provider = provider.with_processor(Observer(log.clone())).build();
    provider.tracer("test").in_span("work", |_| {});
    let [first, _, ending, also_ending, end] = &log.take()[..] else { panic!("five calls") };
    assert_eq!(
        [first, ending, also_ending, end],
        ["observed work", "observed the end of work", "ending work", "end work"]
    );

    let provider = SdkTracerProvider::builder().with_processor(Observer(log.clone())).build();
    provider.tracer("test").in_span("alone", |_| {});
    assert_eq!(log.take(), ["observed alone", "observed the end of alone"]);
}
