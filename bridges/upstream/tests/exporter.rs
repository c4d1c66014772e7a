//! Tests of the adapter for upstream exporters: they receive the same data as from upstream itself, and cannot
//! harm the thread.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::trace::{
    Link, Span, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, SdkTracerProvider, SpanData as Upstream, SpanExporter, SpanLimits,
};
use proptest::prelude::*;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::trace::{CallSite, SpanChunk, SpanData, SpanEvent};
use telemark_sdk::{Batch, ExportError, Exporter, Resource};
use telemark_upstream::{UpstreamExporter, resource_to_upstream, span_to_upstream};

fn upstream(span: SpanData) -> Upstream {
    let chunk = SpanChunk::from_iter([span]);
    chunk.iter().map(span_to_upstream).next().unwrap()
}

fn far() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn span(name: &'static str) -> SpanData {
    let context =
        SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, false, TraceState::default());
    SpanData::new(context, name, InstrumentationScope::builder("test").build().into())
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_123_456_789 + seconds * 1_000_000_000)
}

/// Records a span that uses every feature, with the upstream tracer. Returns the span as received by the upstream
/// exporter.
fn recorded_upstream() -> (Upstream, Link) {
    let limits = SpanLimits {
        max_events_per_span: 2,
        max_attributes_per_span: 3,
        max_links_per_span: 1,
        ..SpanLimits::default()
    };
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).with_span_limits(limits).build();
    let scope = InstrumentationScope::builder("shop")
        .with_version("1.2")
        .with_schema_url("https://example.com/1")
        .with_attributes([KeyValue::new("scope", true)])
        .build();
    let state = TraceState::from_key_value([("vendor", "x")]).unwrap();
    let parent = SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, true, state);
    let link = Link::new(parent.clone(), vec![KeyValue::new("why", "retry")], 0);
    let mut builder = SpanBuilder::from_name("checkout").with_kind(SpanKind::Consumer).with_start_time(at(0));
    builder.links = Some(vec![link.clone(), link.clone()]);
    let mut span =
        provider.tracer_with_scope(scope).build_with_context(builder, &Context::new().with_remote_span_context(parent));
    for (n, value) in attributes().into_iter().enumerate() {
        span.set_attribute(value);
        span.add_event_with_timestamp("step", at(n as u64).into(), vec![KeyValue::new("n", n as i64)]);
    }
    span.set_attribute(KeyValue::new("one.too.many", 1));
    span.set_status(Status::error("sold out"));
    span.end_with_timestamp(at(5).into());
    (exporter.get_finished_spans().unwrap().remove(0), link)
}

fn attributes() -> [KeyValue; 3] {
    [
        KeyValue::new("items", 3),
        KeyValue::new("price", 9.5),
        KeyValue::new("tags", Value::Array(Array::String(vec!["a".into(), "b".into()]))),
    ]
}

#[test]
fn a_full_span_equals_what_the_upstream_tracer_records() {
    let (theirs, link) = recorded_upstream();
    let mut ours = SpanData::new(theirs.span_context.clone(), "checkout", theirs.instrumentation_scope.clone().into());
    ours.parent_span_id = SpanId::from(8);
    ours.parent_is_remote = true;
    ours.kind = SpanKind::Consumer;
    (ours.start, ours.end) = (at(0), at(5));
    ours.own_attributes = attributes().to_vec();
    ours.dropped_attributes = 1;
    for n in 0..3 {
        ours.events.push(SpanEvent::new("step", at(n), vec![KeyValue::new("n", n as i64)]), 2);
    }
    (0..2).for_each(|_| ours.links.push(link.clone(), 1));
    ours.status = Status::error("sold out");
    assert_eq!(upstream(ours), theirs);
    assert_eq!((theirs.events.dropped_count, theirs.links.dropped_count, theirs.dropped_attributes_count), (1, 1, 1));
}

#[test]
fn call_site_attributes_are_exported() {
    static SITE: CallSite = CallSite::new("shop", "1.0", "shop::checkout", "src/shop.rs", 7);
    let mut span = span("checkout");
    span.call_site = Some(&SITE);
    let keys: Vec<_> = upstream(span).attributes.iter().map(|a| a.key.to_string()).collect();
    assert_eq!(keys.join(" "), "code.function.name code.file.path code.line.number");
}

#[test]
fn the_in_memory_exporter_gets_the_batch() {
    let memory = InMemorySpanExporter::default();
    let mut exporter = UpstreamExporter::new(memory.clone());
    let spans = SpanChunk::from_iter([span("a"), span("b")]);
    let report = exporter.export(Batch::new(&Resource::empty(), &spans), far()).unwrap();
    assert_eq!(report.rejected, 0);
    let expected: Vec<_> = spans.iter().map(span_to_upstream).collect();
    assert_eq!(memory.get_finished_spans().unwrap(), expected);
    exporter.shutdown(far()).unwrap();
    assert!(memory.is_shutdown_called());
}

/// An exporter that does what the first span's name requests, and counts its calls.
#[derive(Clone, Debug, Default)]
struct Scripted {
    exports: Arc<AtomicUsize>,
    resources: Arc<std::sync::Mutex<Vec<opentelemetry_sdk::Resource>>>,
}

impl SpanExporter for Scripted {
    async fn export(&self, batch: Vec<Upstream>) -> OTelSdkResult {
        self.exports.fetch_add(1, Ordering::Relaxed);
        match &*batch[0].name {
            "hang" => std::future::pending().await,
            "panic" => panic!("as told"),
            "timeout" => Err(OTelSdkError::Timeout(Duration::from_millis(70))),
            "fail" => Err(OTelSdkError::InternalFailure("no space".into())),
            "closed" => Err(OTelSdkError::AlreadyShutdown),
            #[cfg(feature = "tokio")]
            "timer" => {
                // Only a runtime with a timer ends this.
                let never = std::future::pending::<()>();
                match tokio::time::timeout(Duration::from_millis(1), never).await {
                    Ok(()) => Err(OTelSdkError::InternalFailure("what never ends has ended".into())),
                    Err(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match timeout {
            Duration::MAX => panic!("an exporter may add the timeout to a clock"),
            _ => Ok(()),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Err(OTelSdkError::InternalFailure("nothing to flush to".into()))
    }

    fn set_resource(&mut self, resource: &opentelemetry_sdk::Resource) {
        self.resources.lock().unwrap().push(resource.clone());
    }
}

fn export(
    exporter: &mut UpstreamExporter<Scripted>,
    name: &'static str,
    deadline: Deadline,
) -> Result<(), ExportError> {
    exporter.export(Batch::new(&Resource::empty(), &SpanChunk::from_iter([span(name)])), deadline).map(drop)
}

#[test]
fn upstream_errors_keep_their_kind() {
    let mut exporter = UpstreamExporter::new(Scripted::default());
    let mut check = |name, expected: &str| {
        let error = export(&mut exporter, name, far()).unwrap_err();
        assert_eq!(format!("{}: {error}", error.error_type()), expected);
    };
    check("timeout", "timeout: the exporter gave up after 70 ms");
    check("fail", "_OTHER: no space");
    check("closed", "already_shutdown: already shut down");
}

#[test]
fn a_hanging_exporter_ends_at_the_deadline_and_may_work_again() {
    let mut exporter = UpstreamExporter::new(Scripted::default());
    let error = export(&mut exporter, "hang", Deadline::after(Duration::from_millis(20))).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    export(&mut exporter, "work", far()).unwrap();
}

#[test]
fn a_panic_leaves_an_exporter_that_may_work_again() {
    let mut exporter = UpstreamExporter::new(Scripted::default());
    // The SDK's thread catches panics in the same way.
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| export(&mut exporter, "panic", far())));
    assert!(panicked.is_err());
    export(&mut exporter, "work", far()).unwrap();
}

#[test]
fn the_resource_is_set_when_it_is_new() {
    let scripted = Scripted::default();
    let mut exporter = UpstreamExporter::new(scripted.clone());
    let [a, b] = ["a", "b"].map(|name| Resource::new([KeyValue::new("service.name", name)]));
    for resource in [&a, &a.clone(), &b] {
        exporter.export(Batch::new(resource, &SpanChunk::from_iter([span("work")])), far()).unwrap();
    }
    assert_eq!(*scripted.resources.lock().unwrap(), [resource_to_upstream(&a), resource_to_upstream(&b)]);
}

#[test]
fn shutdown_reports_a_failed_flush_and_takes_any_deadline() {
    for deadline in [far(), Deadline::NEVER, Deadline::after(Duration::ZERO)] {
        let mut exporter = UpstreamExporter::new(Scripted::default());
        assert_eq!(exporter.shutdown(deadline).unwrap_err().to_string(), "nothing to flush to");
    }
}

#[test]
fn an_exporter_that_cannot_be_made_fails_every_export_and_is_tried_once() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let mut exporter = UpstreamExporter::<Scripted>::from_fn(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Err(std::io::Error::other("no certificate"))
    });
    assert_eq!(format!("{exporter:?}"), "UpstreamExporter(not created yet)");
    exporter.flush(far()).unwrap();
    assert_eq!(tries.load(Ordering::Relaxed), 0);
    let error = export(&mut exporter, "work", far()).unwrap_err();
    assert_eq!(error.to_string(), "the exporter could not be created: no certificate");
    assert!(export(&mut exporter, "work", far()).is_err());
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    exporter.shutdown(far()).unwrap();
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use super::*;

    #[test]
    fn an_exporter_finds_timers_and_the_deadline_still_holds() {
        let mut exporter = UpstreamExporter::new(Scripted::default()).with_tokio();
        export(&mut exporter, "timer", far()).unwrap();
        let error = export(&mut exporter, "hang", Deadline::after(Duration::from_millis(20))).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        export(&mut exporter, "timer", Deadline::NEVER).unwrap();
    }

    #[test]
    fn an_exporter_is_made_and_gets_its_resource_inside_the_runtime() {
        let mut exporter =
            UpstreamExporter::from_fn(|| tokio::runtime::Handle::try_current().map(|_| Scripted::default()))
                .with_tokio();
        export(&mut exporter, "timer", far()).unwrap();
    }

    #[test]
    fn an_exporter_may_be_dropped_inside_another_runtime() {
        let mut exporter = UpstreamExporter::new(Scripted::default()).with_tokio();
        export(&mut exporter, "timer", far()).unwrap();
        let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
        other.block_on(async { drop(exporter) });
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_in_conversion(
        name: String,
        ids in any::<(u128, u64, u64, u8)>(),
        times in any::<(u64, u64)>(),
        flags in any::<(bool, bool)>(),
        attributes in proptest::collection::vec(("[a-z]{1,8}", any::<i64>()), 0..8),
        steps in proptest::collection::vec((any::<String>(), any::<u64>()), 0..6),
        dropped: u32,
        limit in 0..6usize,
    ) {
        let context = SpanContext::new(
            ids.0.into(), ids.1.into(), TraceFlags::new(ids.3), flags.0, TraceState::default(),
        );
        let mut span = SpanData::new(context.clone(), name.clone(), InstrumentationScope::builder("t").build().into());
        span.parent_span_id = ids.2.into();
        span.parent_is_remote = flags.1;
        (span.start, span.end) = (Timestamp::from_nanos(times.0), Timestamp::from_nanos(times.1));
        span.own_attributes = attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), *value)).collect();
        span.dropped_attributes = dropped;
        for (text, time) in &steps {
            span.events.push(SpanEvent::new(text.clone(), Timestamp::from_nanos(*time), Vec::new()), limit);
            span.links.push(Link::new(context.clone(), vec![KeyValue::new("text", text.clone())], 3), limit);
        }

        let own_attributes = span.own_attributes.clone();
        let upstream = upstream(span);
        prop_assert_eq!(&upstream.span_context, &context);
        prop_assert_eq!(upstream.parent_span_id, SpanId::from(ids.2));
        prop_assert_eq!(upstream.parent_span_is_remote, flags.1);
        prop_assert_eq!(&*upstream.name, name.as_str());
        prop_assert_eq!(Timestamp::from(upstream.start_time).as_nanos(), times.0);
        prop_assert_eq!(Timestamp::from(upstream.end_time).as_nanos(), times.1);
        prop_assert_eq!(&upstream.attributes, &own_attributes);
        prop_assert_eq!(upstream.dropped_attributes_count, dropped);
        prop_assert_eq!(upstream.events.len() + upstream.events.dropped_count as usize, steps.len());
        prop_assert_eq!(upstream.links.len() + upstream.links.dropped_count as usize, steps.len());
        for (event, (text, time)) in upstream.events.iter().zip(&steps) {
            prop_assert_eq!((&*event.name, Timestamp::from(event.timestamp).as_nanos()), (text.as_str(), *time));
        }
        for (link, (text, _)) in upstream.links.iter().zip(&steps) {
            let value = link.attributes[0].value.as_str();
            prop_assert_eq!((&*value, link.dropped_attributes_count), (text.as_str(), 3));
        }
    }
}
