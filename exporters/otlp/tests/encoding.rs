//! Round trips of random spans through the encoder and the official types, in protobuf and in JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1 as proto;
use proptest::prelude::*;
use prost::Message;
use support::limited::{Limited, Refuses, in_parts};
use support::random::{
    Floats, attributes, expected_attribute, expected_resource, expected_scope, resource, same, scope, text,
};
use telemark_otlp::{Encode, Protocol};
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Timestamp;
use telemark_sdk::trace::{CallSite, Scope, SpanChunk, SpanData, SpanEvent};
use telemark_sdk::{Batch, Resource};

type Cache = <Traces as Encode>::Cache;

static SITES: [CallSite; 2] = [
    CallSite::new("shop", "1.0.0", "shop::checkout", "src/shop.rs", 7),
    CallSite::new("shop", "1.0.0", "shop::pay", "src/pay.rs", 300),
];

fn context() -> impl Strategy<Value = SpanContext> {
    let state = prop::collection::vec(("[a-z][a-z0-9]{0,10}", "[ -+.-<>-~\"\\\\\n]{0,60}"), 0..4)
        .prop_map(|members| TraceState::from_key_value(members).unwrap());
    (any::<u128>(), any::<u64>(), any::<u8>(), any::<bool>(), state).prop_map(|(trace, span, flags, remote, state)| {
        SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::new(flags), remote, state)
    })
}

fn events(floats: Floats) -> impl Strategy<Value = Vec<SpanEvent>> {
    let event = (text(), any::<u64>(), attributes(floats), 0u32..3).prop_map(|(name, time, attributes, dropped)| {
        let mut event = SpanEvent::new(name, Timestamp::from_nanos(time), attributes);
        event.dropped_attributes = dropped;
        event
    });
    prop::collection::vec(event, 0..3)
}

fn links(floats: Floats) -> impl Strategy<Value = Vec<Link>> {
    let link = (context(), attributes(floats), any::<u32>())
        .prop_map(|(context, attributes, n)| Link::new(context, attributes, n));
    prop::collection::vec(link, 0..3)
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Unset), Just(Status::Ok), text().prop_map(Status::error)]
}

fn kind() -> impl Strategy<Value = SpanKind> {
    prop::sample::select(vec![
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ])
}

fn span(floats: Floats) -> impl Strategy<Value = SpanData> {
    let identity = (context(), any::<u64>(), any::<bool>(), kind(), text(), any::<[u64; 2]>());
    let content = (attributes(floats), any::<u32>(), events(floats), links(floats), status());
    let origin = (scope(), prop::option::of(0..SITES.len()), 0usize..4);
    (identity, content, origin).prop_map(|(identity, content, origin)| {
        let (context, parent, parent_is_remote, kind, name, [start, end]) = identity;
        let (attributes, dropped, events, links, status) = content;
        let (scope, site, limit) = origin;
        let site = site.map(|site| &SITES[site]);
        let scope = site.map_or_else(|| Scope::from(scope), |site| Scope::Static(site.scope()));
        let mut span = SpanData::new(context, name, scope);
        span.parent_span_id = SpanId::from(if parent % 3 == 0 { 0 } else { parent });
        span.parent_is_remote = parent_is_remote;
        span.kind = kind;
        span.start = Timestamp::from_nanos(start);
        span.end = Timestamp::from_nanos(end);
        span.own_attributes = attributes;
        span.dropped_attributes = dropped;
        // A limit below the number of events and links produces dropped counts.
        events.into_iter().for_each(|event| span.events.push(event, limit));
        links.into_iter().for_each(|link| span.links.push(link, limit));
        span.status = status;
        span.call_site = site;
        span
    })
}

/// Builds the expected request in the slow but obvious way.
fn expected(resource: &Resource, spans: &[SpanData]) -> ExportTraceServiceRequest {
    let mut scopes: Vec<(&InstrumentationScope, Vec<proto::Span>)> = Vec::new();
    for span in spans {
        let of_span: &InstrumentationScope = &span.scope;
        match scopes.iter_mut().find(|(scope, _)| *scope == of_span) {
            Some((_, spans)) => spans.push(expected_span(span)),
            None => scopes.push((of_span, vec![expected_span(span)])),
        }
    }
    let scope_spans = scopes.into_iter().map(|(scope, spans)| proto::ScopeSpans {
        scope: Some(expected_scope(scope)),
        spans,
        schema_url: scope.schema_url().unwrap_or_default().to_owned(),
    });
    let resource_spans = proto::ResourceSpans {
        resource: Some(expected_resource(resource)),
        scope_spans: scope_spans.collect(),
        schema_url: resource.schema_url().unwrap_or_default().to_owned(),
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn expected_span(span: &SpanData) -> proto::Span {
    let (code, message) = match &span.status {
        Status::Unset => (0, ""),
        Status::Ok => (1, ""),
        Status::Error { description } => (2, &**description),
    };
    let status = proto::Status { code, message: message.to_owned() };
    let kind = match span.kind {
        SpanKind::Internal => proto::span::SpanKind::Internal,
        SpanKind::Server => proto::span::SpanKind::Server,
        SpanKind::Client => proto::span::SpanKind::Client,
        SpanKind::Producer => proto::span::SpanKind::Producer,
        SpanKind::Consumer => proto::span::SpanKind::Consumer,
    };
    let has_parent = span.parent_span_id != SpanId::INVALID;
    proto::Span {
        trace_id: span.context.trace_id().to_bytes().to_vec(),
        span_id: span.context.span_id().to_bytes().to_vec(),
        trace_state: span.context.trace_state().header(),
        parent_span_id: if has_parent { span.parent_span_id.to_bytes().to_vec() } else { Vec::new() },
        flags: flags(span.context.trace_flags(), span.parent_is_remote),
        name: span.name.clone().into_owned(),
        kind: kind.into(),
        start_time_unix_nano: span.start.as_nanos(),
        end_time_unix_nano: span.end.as_nanos(),
        attributes: span.attributes().map(expected_attribute).collect(),
        dropped_attributes_count: span.dropped_attributes,
        events: span.events.iter().map(expected_event).collect(),
        dropped_events_count: span.events.dropped(),
        links: span.links.iter().map(expected_link).collect(),
        dropped_links_count: span.links.dropped(),
        status: (code != 0).then_some(status),
    }
}

fn expected_event(event: &SpanEvent) -> proto::span::Event {
    proto::span::Event {
        time_unix_nano: event.time.as_nanos(),
        name: event.name.clone().into_owned(),
        attributes: event.attributes.iter().map(expected_attribute).collect(),
        dropped_attributes_count: event.dropped_attributes,
    }
}

fn expected_link(link: &Link) -> proto::span::Link {
    proto::span::Link {
        trace_id: link.span_context.trace_id().to_bytes().to_vec(),
        span_id: link.span_context.span_id().to_bytes().to_vec(),
        trace_state: link.span_context.trace_state().header(),
        attributes: link.attributes.iter().map(expected_attribute).collect(),
        dropped_attributes_count: link.dropped_attributes_count,
        flags: flags(link.span_context.trace_flags(), link.span_context.is_remote()),
    }
}

fn flags(flags: TraceFlags, is_remote: bool) -> u32 {
    let known = proto::SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = if is_remote { proto::SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    u32::from(flags.to_u8()) | known | remote
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn protobuf_reads_back(resource in resource(Floats::All), spans in prop::collection::vec(span(Floats::All), 1..12)) {
        let (mut cache, chunk) = (Cache::default(), SpanChunk::from_iter(spans.clone()));
        // Run twice, because the state kept from the first batch must not affect the second.
        for _ in 0..2 {
            let mut out = vec![9];
            Traces::protobuf(Batch::new(&resource, &chunk), &mut cache, &mut out);
            let decoded = ExportTraceServiceRequest::decode(&out[1..]).unwrap();
            same(&decoded, &expected(&resource, &spans))?;
        }
    }

    #[test]
    fn json_reads_back(resource in resource(Floats::Finite), spans in prop::collection::vec(span(Floats::Finite), 1..6)) {
        let (mut cache, chunk) = (Cache::default(), SpanChunk::from_iter(spans.clone()));
        for _ in 0..2 {
            let mut out = Vec::new();
            Traces::json(Batch::new(&resource, &chunk), &mut cache, &mut out);
            prop_assert!(!out.contains(&b'\n'));
            let decoded: ExportTraceServiceRequest = serde_json::from_slice(&out).unwrap();
            same(&decoded, &expected(&resource, &spans))?;
        }
    }

    #[test]
    fn parts_keep_the_limit_and_together_are_the_batch(
        resource in resource(Floats::Finite), spans in prop::collection::vec(span(Floats::Finite), 1..12), limit in 300usize..6000
    ) {
        for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
            let encode = if protocol == Protocol::HttpJson { Traces::json } else { Traces::protobuf };
            let decode = |body: &Vec<u8>| match protocol {
                Protocol::HttpJson => serde_json::from_slice(body).unwrap(),
                _ => ExportTraceServiceRequest::decode(&**body).unwrap(),
            };
            let fits = |span: &&SpanData| {
                let mut out = Vec::new();
                let alone = [(*span).clone()].into_iter().collect();
                encode(Batch::new(&resource, &alone), &mut Cache::default(), &mut out);
                out.len() <= limit
            };
            let fitting: Vec<_> = spans.iter().filter(fits).cloned().collect();
            let chunk: SpanChunk = spans.iter().cloned().collect();
            let (failed, bodies) = in_parts::<Traces>(&server(), Batch::new(&resource, &chunk), protocol, limit);
            prop_assert!(bodies.iter().all(|body| body.len() <= limit));
            prop_assert_eq!(failed as usize, spans.len() - fitting.len());
            let arrived: Vec<_> = bodies.iter().map(decode).flat_map(flat).collect();
            let mut expected = flat(expected(&resource, &fitting));
            // Groups are in the order of their first spans, even if those do not fit.
            let place = |line: &String| flat(self::expected(&resource, &spans)).iter().position(|other| other == line);
            expected.sort_by_key(place);
            prop_assert_eq!(arrived, expected);
        }
    }
}

fn server() -> Limited {
    Limited::start(usize::MAX, Refuses::Politely, b"")
}

/// Random spans rarely end within the last bytes of a request.
#[test]
fn every_limit_is_kept_to_the_byte() {
    let server = server();
    let url = |name: &str| format!("https://example.org/{name}");
    // In JSON, every byte of this URL takes six, as much as is reserved for it.
    let escaped = || Some("\u{1}".repeat(10));
    let urls = [(None, None), (None, Some(url("scope"))), (Some(url("resource")), None), (escaped(), escaped())];
    for (of_resource, of_scope) in urls {
        let resource = Resource::with_schema_url([KeyValue::new("service.name", "shop")], of_resource);
        let scopes = ["a", "b"].map(|name| {
            let scope = InstrumentationScope::builder(name);
            let scope = of_scope.iter().fold(scope, |scope, url| scope.with_schema_url(url.clone()));
            Scope::from(scope.build())
        });
        let span = |index: usize| {
            let mut span = example();
            span.scope = scopes[index / 5].clone();
            span
        };
        let spans: SpanChunk = (0..9).map(span).collect();
        let batch = Batch::new(&resource, &spans);
        for (protocol, limits) in [(Protocol::HttpProtobuf, 250..380), (Protocol::HttpJson, 800..1200)] {
            for limit in limits {
                let (failed, bodies) = in_parts::<Traces>(&server, batch, protocol, limit);
                assert!(failed == 0 && bodies.iter().all(|body| body.len() <= limit), "{protocol}: {failed}, {limit}");
                if protocol == Protocol::HttpProtobuf {
                    let requests = bodies.iter().map(|body| ExportTraceServiceRequest::decode(&**body).unwrap());
                    assert_eq!(requests.flat_map(flat).count(), 9, "{limit}");
                }
            }
        }
    }
}

/// Returns each span in a request with its resource and scope.
fn flat(request: ExportTraceServiceRequest) -> Vec<String> {
    let mut lines = Vec::new();
    for resource in request.resource_spans {
        for scope in resource.scope_spans {
            assert!(!scope.spans.is_empty());
            let origin = (&resource.resource, &resource.schema_url, &scope.scope, &scope.schema_url);
            lines.extend(scope.spans.iter().map(|span| format!("{origin:?} {span:?}")));
        }
    }
    lines
}

fn example() -> SpanData {
    let context = SpanContext::new(
        TraceId::from_hex("5b8efff798038103d269b633813fc60c").unwrap(),
        SpanId::from_hex("eee19b7ec3c1b174").unwrap(),
        TraceFlags::SAMPLED,
        false,
        TraceState::from_key_value([("vendor", "x")]).unwrap(),
    );
    let mut span = SpanData::new(context, "I'm a span", InstrumentationScope::builder("lib").build().into());
    span.parent_span_id = SpanId::from(1);
    span.parent_is_remote = true;
    span.kind = SpanKind::Server;
    span.start = Timestamp::from_nanos(1_544_712_660_000_000_000);
    span.end = Timestamp::from_nanos(1_544_712_661_000_000_000);
    span.own_attributes = vec![KeyValue::new("n", 3), KeyValue::new("f", 0.5)];
    span.status = Status::error("no");
    span
}

#[test]
fn json_matches_the_example_of_the_specification() {
    let mut out = Vec::new();
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    Traces::json(Batch::new(&resource, &SpanChunk::from_iter([example()])), &mut Cache::default(), &mut out);
    let expected = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"scope":{"name":"lib"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c",
        "spanId":"eee19b7ec3c1b174","traceState":"vendor=x","parentSpanId":"0000000000000001","flags":769,
        "name":"I'm a span","kind":2,"startTimeUnixNano":"1544712660000000000",
        "endTimeUnixNano":"1544712661000000000","attributes":[{"key":"n","value":{"intValue":"3"}},
        {"key":"f","value":{"doubleValue":0.5}}],"status":{"message":"no","code":2}}]}]}]}"#;
    let expected: String = expected.lines().map(str::trim).collect();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_changed_resource_is_encoded_again() {
    let mut cache = Cache::default();
    for name in ["a", "b"] {
        let resource = Resource::new([KeyValue::new("service.name", name)]);
        let mut out = Vec::new();
        Traces::protobuf(Batch::new(&resource, &SpanChunk::from_iter([example()])), &mut cache, &mut out);
        let decoded = ExportTraceServiceRequest::decode(&*out).unwrap();
        assert_eq!(decoded, expected(&resource, &[example()]));
    }
}

#[test]
fn a_batch_like_the_last_one_costs_no_allocation() {
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    let scopes: Vec<Scope> = ["a", "b", "a"].map(|name| InstrumentationScope::builder(name).build().into()).into();
    let chunk: SpanChunk = (0..512)
        .map(|index| {
            let site = (index % 5 == 0).then(|| &SITES[index % 2]);
            let mut span = example();
            span.scope = site.map_or_else(|| scopes[index % 3].clone(), |site| Scope::Static(site.scope()));
            span.call_site = site;
            span.events.push(SpanEvent::new("event", Timestamp::from_nanos(1), vec![KeyValue::new("k", "v")]), 1);
            span.links.push(Link::new(example().context.clone(), vec![KeyValue::new("k", 1.5)], 0), 1);
            let array = Value::Array(Array::I64(vec![1, 2, 3]));
            span.own_attributes.push(KeyValue::new("array", array));
            span
        })
        .collect();
    for (format, encode) in [("protobuf", Traces::protobuf as fn(_, &mut _, &mut _)), ("json", Traces::json)] {
        let (mut cache, mut out) = (Cache::default(), Vec::new());
        encode(Batch::new(&resource, &chunk), &mut cache, &mut out);
        let len = out.len();
        let counted = allocation_counter::measure(|| {
            out.clear();
            encode(Batch::new(&resource, &chunk), &mut cache, &mut out);
        });
        assert_eq!((counted.count_total, out.len()), (0, len), "{format}");
    }
}
