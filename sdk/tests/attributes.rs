//! An attribute with an empty key is never recorded, whether on spans, events, links, scopes, resources, series or
//! exemplars.
//!
//! spec: common/README.md#attribute
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use opentelemetry::metrics::{AsyncInstrument, MeterProvider};
use opentelemetry::trace::{
    Event, Link, Span, SpanContext, SpanId, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use std::borrow::Cow;
use std::time::SystemTime;
use telemark_sdk::Resource;
use telemark_sdk::metrics::{ExemplarFilter, PullReader, SdkMeterProvider, View};
use telemark_sdk::sampling::{Decision, Sampler, SamplingRequest, SamplingResult};
use telemark_sdk::testing::{TestTelemetry, metrics_text};
use telemark_sdk::time::Deadline;

fn keyless() -> KeyValue {
    KeyValue::new("", "x")
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("lib").with_attributes([keyless(), KeyValue::new("a", 1)]).build()
}

#[derive(Debug)]
struct Adds;

impl Sampler for Adds {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        SamplingResult::new(Decision::RecordAndSample).with_attributes(vec![keyless(), KeyValue::new("rule", 7)])
    }

    fn description(&self) -> Cow<'static, str> {
        "Adds".into()
    }
}

#[test]
fn spans_events_links_and_scopes_have_none_and_count_it() {
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(Adds));
    let tracer = telemetry.provider().tracer_with_scope(scope());
    let other = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, true, TraceState::NONE);
    let both = || vec![keyless(), KeyValue::new("k", 1)];
    let mut span = tracer
        .span_builder("s")
        .with_attributes(both())
        .with_events(vec![Event::new("early", SystemTime::UNIX_EPOCH, both(), 0)])
        .with_links(vec![Link::new(other.clone(), both(), 0)])
        .start(&tracer);
    span.set_attribute(keyless());
    span.set_attributes(both());
    span.add_event("late", both());
    span.add_link(other, both());
    // The link has no valid context and, once the attribute is dropped, nothing else to record.
    span.add_link(SpanContext::NONE, vec![keyless()]);
    span.end();
    let span = &telemetry.spans()[0];
    let keys = |attributes: &[KeyValue]| attributes.iter().map(|one| one.key.to_string()).collect::<Vec<_>>().join(",");
    // One attribute comes from the builder, one from the sampler, and two are set later.
    assert_eq!((keys(&span.own_attributes).as_str(), span.dropped_attributes), ("k,rule", 4));
    for event in span.events.iter() {
        assert_eq!((keys(&event.attributes).as_str(), event.dropped_attributes), ("k", 1), "{}", event.name);
    }
    for link in span.links.iter() {
        assert_eq!((keys(&link.attributes).as_str(), link.dropped_attributes_count), ("k", 1));
    }
    assert_eq!((span.events.len(), span.links.len()), (2, 2));
    assert_eq!(span.scope.attributes().collect::<Vec<_>>(), [&KeyValue::new("a", 1)]);
}

#[test]
fn series_exemplars_and_scopes_of_metrics_have_none() {
    let reader = PullReader::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.clone())
        .with_exemplar_filter(ExemplarFilter::AlwaysOn)
        .with_view(View::of("filtered").with_attribute_keys(["a"]))
        .build();
    let meter = provider.meter_with_scope(scope());
    let given = [keyless(), KeyValue::new("a", 1)];
    let counter = meter.u64_counter("c").build();
    // With or without the attribute, looked up or cached, bound or not, the series is always the same.
    counter.add(1, &given);
    counter.add(1, &given);
    counter.add(1, &given[1..]);
    counter.bind(&given).add(1);
    counter.add(1, &given[..1]);
    counter.add(1, &[]);
    meter.u64_counter("filtered").build().add(1, &given);
    let observe = |o: &dyn AsyncInstrument<u64>| o.observe(5, &[keyless(), KeyValue::new("a", 1)]);
    meter.u64_observable_counter("o").with_callback(observe).build();
    let collected = reader.collect(Deadline::NEVER).unwrap();
    let text = metrics_text(&collected);
    let mut lines: Vec<_> = text.lines().map(|line| line.split(" # ").next().unwrap_or_default()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["c sum 2", "c{a=1} sum 4", "filtered{a=1} sum 1", "o{a=1} sum 5"]);
    assert!(!text.contains("=x"), "an exemplar has it: {text}");
    assert_eq!(collected[0].scope.attributes().collect::<Vec<_>>(), [&KeyValue::new("a", 1)]);
}

#[test]
fn a_resource_has_none() {
    let resource = Resource::new([keyless(), KeyValue::new("a", 1)]).merge(&Resource::new([keyless()]));
    assert_eq!(resource.iter().collect::<Vec<_>>(), [&KeyValue::new("a", 1)]);
}
