//! Compares the requests that a program sends with Telemark and with `opentelemetry_sdk` plus `opentelemetry-otlp`. They
//! may differ only as listed in `DIFFERENCES`.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, Link, Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue as Pair, any_value};
use opentelemetry_proto::tonic::trace::v1::{self as otlp, status::StatusCode};
use telemark_sdk::config::Env;
use telemark_sdk::time::Deadline;
use telemark_tests::{Script, Sink};

/// The random-trace-id flag of W3C trace context level 2, which only Telemark sets.
const RANDOM: u32 = 2;

/// Returns a fixed time for the program to pass in.
fn moment(nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000) + Duration::from_nanos(nanos)
}

fn every_type() -> Vec<KeyValue> {
    let text = |text: &'static str| StringValue::from(text);
    vec![
        KeyValue::new("true", true),
        KeyValue::new("false", false),
        KeyValue::new("zero", 0),
        KeyValue::new("largest", i64::MAX),
        KeyValue::new("smallest", i64::MIN),
        KeyValue::new("half", 0.5),
        KeyValue::new("minus zero", -0.0),
        KeyValue::new("not a number", f64::NAN),
        KeyValue::new("infinite", f64::NEG_INFINITY),
        KeyValue::new("text", "käse \"\\\n\u{0} 🧀"),
        KeyValue::new("empty text", ""),
        KeyValue::new("owned", "text".to_owned()),
        KeyValue::new("bools", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("integers", Value::Array(Array::I64(vec![0, -1, i64::MAX]))),
        KeyValue::new("floats", Value::Array(Array::F64(vec![0.0, -1.5]))),
        KeyValue::new("texts", Value::Array(Array::String(vec![text("a"), text("")]))),
        KeyValue::new("nothing", Value::Array(Array::I64(vec![]))),
    ]
}

fn remote(trace: u128, span: u64, flags: TraceFlags, state: &str) -> SpanContext {
    let state = TraceState::from_key_value(state.split_once('=')).unwrap();
    SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, true, state)
}

/// The program under comparison, which uses only the API.
fn program<P>(provider: &P)
where
    P: TracerProvider<Tracer: Tracer<Span: Send + Sync + 'static>>,
{
    let scope = InstrumentationScope::builder("shop")
        .with_version("1.2.3")
        .with_schema_url("https://opentelemetry.io/schemas/1.37.0")
        .with_attributes([KeyValue::new("scope", "attribute")])
        .build();
    let shop = provider.tracer_with_scope(scope);
    let root = shop
        .span_builder("root")
        .with_kind(SpanKind::Server)
        .with_attributes(every_type())
        .with_start_time(moment(0))
        .with_links(vec![
            Link::with_context(remote(7, 8, TraceFlags::SAMPLED, "vendor=state")),
            Link::new(remote(9, 10, TraceFlags::NOT_SAMPLED, ""), every_type(), 3),
        ])
        .with_events(vec![Event::new("from the builder", moment(5), every_type(), 2)]);
    let context = Context::new().with_span(shop.build_with_context(root, &Context::new()));

    for (name, kind) in [
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
        ("internal", SpanKind::Internal),
    ] {
        let span = shop.span_builder(name).with_kind(kind).with_start_time(moment(10));
        shop.build_with_context(span, &context).end_with_timestamp(moment(20));
    }

    for (name, statuses) in [
        ("ok", vec![Status::Ok]),
        ("error", vec![Status::error("sold out")]),
        ("error without words", vec![Status::error("")]),
        ("ok stays", vec![Status::error("first"), Status::Ok, Status::error("late"), Status::Unset]),
        ("error does not become unset", vec![Status::error("first"), Status::Unset]),
    ] {
        let mut span = shop.start_with_context(name, &context);
        statuses.into_iter().for_each(|status| span.set_status(status));
    }

    let mut changing = shop.start_with_context("first name", &context);
    changing.update_name("changing");
    changing.set_attributes([KeyValue::new("once", 1), KeyValue::new("other", true)]);
    changing.add_event("plain", vec![]);
    changing.add_event_with_timestamp("timed", moment(7), vec![KeyValue::new("at", 7)]);
    changing.record_error(&std::io::Error::other("broken"));
    changing.add_link(context.span().span_context().clone(), vec![KeyValue::new("to", "root")]);
    changing.end();
    changing.set_attribute(KeyValue::new("after the end", true));
    changing.end();

    // Repeats a key. Only one of its values may be kept.
    let twice = shop.span_builder("twice").with_attributes([KeyValue::new("key", 1), KeyValue::new("key", 2)]);
    shop.build_with_context(twice, &context).set_attribute(KeyValue::new("key", 3));

    // Exceeds the limits of 128 attributes, events and links.
    let mut crowded = shop.start_with_context("crowded", &context);
    for n in 0..130 {
        crowded.set_attribute(KeyValue::new(format!("key {n:03}"), n));
        crowded.add_event("event", vec![]);
        crowded.add_link(remote(7, 8, TraceFlags::SAMPLED, ""), vec![]);
    }
    drop(crowded);

    // Uses another scope, nested twice.
    let library = provider.tracer("library");
    let inner = Context::new().with_remote_span_context(context.span().span_context().clone());
    let outer = context.with_span(library.start_with_context("outer", &context));
    drop(library.start_with_context("inner", &outer));
    drop(outer);
    drop(library.start_with_context("below the root as if from elsewhere", &inner));

    // Continues traces from other processes, one of which is not sampled.
    for (name, flags) in [("continued", TraceFlags::SAMPLED), ("not recorded", TraceFlags::NOT_SAMPLED)] {
        let parent = Context::new().with_remote_span_context(remote(0xa, 0xb, flags, "vendor=state"));
        library.start_with_context(name, &parent).end();
    }
    context.span().end_with_timestamp(moment(1_000_000_000));
}

fn telemark() -> Vec<ExportTraceServiceRequest> {
    let sink = Sink::start(Script::Take).unwrap();
    let endpoint = sink.endpoint();
    let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)]);
    let telemetry = telemark::builder().with_env(env).with_service_name("equivalence").build().unwrap();
    program(telemetry.tracer_provider());
    telemetry.shutdown(Deadline::after(Duration::from_secs(20))).unwrap();
    sink.requests()
}

fn upstream() -> Vec<ExportTraceServiceRequest> {
    let sink = Sink::start(Script::Take).unwrap();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", sink.endpoint()))
        .build()
        .unwrap();
    let resource = opentelemetry_sdk::Resource::builder_empty();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
        .with_resource(resource.with_service_name("equivalence").build())
        .with_batch_exporter(exporter)
        .build();
    program(&provider);
    provider.shutdown().unwrap();
    sink.requests()
}

/// Returns the requests as text, with span names in place of ids and without times read from the clock.
fn text(requests: &[ExportTraceServiceRequest]) -> String {
    let resources: Vec<_> = requests.iter().flat_map(|request| &request.resource_spans).collect();
    let spans: Vec<_> = resources.iter().flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans).collect();
    let name = |trace_id: &[u8], span_id: &[u8]| {
        let found = spans.iter().find(|span| span.trace_id == trace_id && span.span_id == span_id);
        let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        found.map_or_else(|| format!("{}:{}", hex(trace_id), hex(span_id)), |span| format!("{:?}", span.name))
    };
    let mut text = String::new();
    // Ignores how spans are distributed over requests, and the order of scopes.
    let first = resources[0];
    assert!(resources.iter().all(|of| of.resource == first.resource && of.schema_url == first.schema_url));
    writeln!(text, "resource\n  schema {:?}", first.schema_url).unwrap();
    let resource = first.resource.clone().unwrap_or_default();
    let detected = ["host.", "os.", "process.", "service.instance."];
    let mut named = resource.attributes;
    named.retain(|pair| !detected.iter().any(|prefix| pair.key.starts_with(prefix)));
    attributes(&mut text, "", &named, resource.dropped_attributes_count);
    let mut scopes: Vec<_> = resources.iter().flat_map(|of| &of.scope_spans).collect();
    scopes.sort_by_key(|of| of.scope.as_ref().map(|scope| &scope.name));
    for of_same in scopes.chunk_by(|a, b| a.scope == b.scope && a.schema_url == b.schema_url) {
        let scope = of_same[0].scope.clone().unwrap_or_default();
        writeln!(text, "scope {:?} {:?} schema {:?}", scope.name, scope.version, of_same[0].schema_url).unwrap();
        attributes(&mut text, "", &scope.attributes, scope.dropped_attributes_count);
        for span in of_same.iter().flat_map(|of| &of.spans) {
            write_span(&mut text, span, &name);
        }
    }
    text
}

fn write_span(text: &mut String, span: &otlp::Span, name: &dyn Fn(&[u8], &[u8]) -> String) {
    assert!(span.trace_id.len() == 16 && span.span_id.len() == 8);
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    writeln!(text, "span {:?} {:?} flags {:#x}", span.name, span.kind(), span.flags & !RANDOM).unwrap();
    writeln!(text, "  time {} {}", time(span.start_time_unix_nano), time(span.end_time_unix_nano)).unwrap();
    if !span.parent_span_id.is_empty() {
        writeln!(text, "  below {}", name(&span.trace_id, &span.parent_span_id)).unwrap();
    }
    if !span.trace_state.is_empty() {
        writeln!(text, "  state {}", span.trace_state).unwrap();
    }
    if let Some(status) = &span.status
        && (status.code() != StatusCode::Unset || !status.message.is_empty())
    {
        writeln!(text, "  status {:?} {:?}", status.code(), status.message).unwrap();
    }
    attributes(text, "  ", &span.attributes, span.dropped_attributes_count);
    for event in &span.events {
        writeln!(text, "  event {:?} {}", event.name, time(event.time_unix_nano)).unwrap();
        attributes(text, "    ", &event.attributes, event.dropped_attributes_count);
    }
    for link in &span.links {
        let target = name(&link.trace_id, &link.span_id);
        writeln!(text, "  link {target} state {:?} flags {:#x}", link.trace_state, link.flags & !RANDOM).unwrap();
        attributes(text, "    ", &link.attributes, link.dropped_attributes_count);
    }
    for (count, what) in [(span.dropped_events_count, "events"), (span.dropped_links_count, "links")] {
        if count > 0 {
            writeln!(text, "  {count} {what} dropped").unwrap();
        }
    }
}

/// Formats a time that the program passed in, as nanoseconds since `moment(0)`.
fn time(nanos: u64) -> String {
    match nanos.checked_sub(1_500_000_000_000_000_000) {
        Some(since) if since < 10_000_000_000 => since.to_string(),
        Some(_) => "now".to_owned(),
        None => format!("?{nanos}"),
    }
}

fn attributes(text: &mut String, indent: &str, pairs: &[Pair], dropped: u32) {
    for pair in pairs {
        writeln!(text, "{indent}  {}={}", pair.key, value(pair.value.as_ref())).unwrap();
    }
    if dropped > 0 {
        writeln!(text, "{indent}  {dropped} attributes dropped").unwrap();
    }
}

fn value(value: Option<&AnyValue>) -> String {
    use any_value::Value as V;
    match value.and_then(|value| value.value.as_ref()) {
        None => "()".to_owned(),
        Some(V::StringValue(text)) => format!("{text:?}"),
        Some(V::BoolValue(flag)) => flag.to_string(),
        Some(V::IntValue(number)) => number.to_string(),
        Some(V::DoubleValue(number)) => format!("{number:?}"),
        Some(V::ArrayValue(array)) => {
            let values = array.values.iter().map(|item| self::value(Some(item)));
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        Some(other) => format!("{other:?}"),
    }
}

/// Returns the lines that exist on only one side, each below the preceding line that names a span, a scope or a
/// resource. Fails if these heading lines differ.
fn difference(ours: &str, theirs: &str) -> String {
    let blocks = |text: &str| {
        let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
        for line in text.lines() {
            match blocks.last_mut() {
                Some((_, lines)) if line.starts_with(' ') => lines.push(line.trim().to_owned()),
                _ => blocks.push((line.to_owned(), Vec::new())),
            }
        }
        blocks
    };
    let (ours, theirs) = (blocks(ours), blocks(theirs));
    let heads = |blocks: &[(String, Vec<String>)]| blocks.iter().map(|(head, _)| head.clone()).collect::<Vec<_>>();
    assert_eq!(heads(&ours), heads(&theirs));
    let mut text = String::new();
    for ((head, our_lines), (_, their_lines)) in ours.iter().zip(&theirs) {
        let mut lines = String::new();
        for (mark, these, those) in [("ours", our_lines, their_lines), ("theirs", their_lines, our_lines)] {
            let mut others = those.clone();
            for line in these {
                match others.iter().position(|other| other == line) {
                    Some(at) => drop(others.remove(at)),
                    None => writeln!(lines, "  {mark}: {line}").unwrap(),
                }
            }
        }
        if !lines.is_empty() {
            writeln!(text, "{head}\n{lines}").unwrap();
        }
    }
    text
}

/// All differences, except for detected resource attributes and the random flag.
const DIFFERENCES: &str = r#"
resource
  ours: schema "https://opentelemetry.io/schemas/1.45.0"
  ours: telemetry.sdk.language="rust"
  ours: telemetry.sdk.name="telemark"
  ours: telemetry.sdk.version="0.1.0"
  theirs: schema ""

span "twice" Internal flags 0x101
  theirs: key=1
  theirs: key=2

span "root" Server flags 0x101
  ours: 2 attributes dropped
  ours: 3 attributes dropped

"#;

#[test]
fn the_same_program_sends_the_same_but_for_what_stands_here() {
    let (ours, theirs) = (telemark(), upstream());
    assert_eq!(difference(&text(&ours), &text(&theirs)), DIFFERENCES.trim_start());
    // spec: trace/api.md#spancontext — Telemark sets the flag on traces that it starts and keeps the parent's flag on
    // all others.
    let random = |requests: &[ExportTraceServiceRequest]| {
        let spans = requests.iter().flat_map(|request| &request.resource_spans).flat_map(|of| &of.scope_spans);
        spans.flat_map(|of| &of.spans).filter(|span| span.flags & RANDOM != 0).count()
    };
    assert_eq!((random(&ours), random(&theirs)), (16, 0));
}

#[test]
fn a_difference_is_noticed() {
    let ours = "resource\nspan \"a\"\n  x=1\n  x=1\n  y=2\n";
    let theirs = "resource\nspan \"a\"\n  y=2\n  x=1\n  z=3\n";
    assert_eq!(difference(ours, theirs), "span \"a\"\n  ours: x=1\n  theirs: z=3\n\n");
}
