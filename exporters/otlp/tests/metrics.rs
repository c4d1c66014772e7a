//! Round trips of random metrics through the encoder and the official types, and the ways in which metric exports differ
//! from trace exports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1 as proto;
use proptest::prelude::*;
use prost::Message;
use support::http::{Server, Step};
use support::limited::{Limited, Refuses, in_parts};
use support::random::{
    Floats, attributes, expected_attribute, expected_resource, expected_scope, resource, same, text,
};
use support::random::{float, integer, scope};
use support::{PATIENCE, outcome, quick_retries};
use telemark_otlp::{Encode, JsonLinesExporter, OtlpExporter, Protocol};
use telemark_sdk::metrics::{
    Attributes, Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint,
    ScopeMetrics, Temporality,
};
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::{Batch, Exporter, Resource};

type Cache = <Metrics as Encode>::Cache;

fn number(floats: Floats) -> impl Strategy<Value = Number> {
    prop_oneof![
        integer().prop_map(Number::I64),
        prop_oneof![any::<u64>(), 0u64..300, Just(u64::MAX)].prop_map(Number::U64),
        float(floats).prop_map(Number::F64),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<u64>(), Just(0)].prop_map(Timestamp::from_nanos)
}

fn exemplars(floats: Floats) -> impl Strategy<Value = Vec<Exemplar>> {
    let span = prop::option::of((any::<u128>(), any::<u64>()));
    let exemplar = (number(floats), time(), attributes(floats), span).prop_map(|(value, time, filtered, span)| {
        let exemplar = Exemplar::new(value, time).with_filtered_attributes(Attributes::new(filtered));
        match span {
            Some((trace, span)) => exemplar.in_span(TraceId::from(trace), SpanId::from(span)),
            None => exemplar,
        }
    });
    prop::collection::vec(exemplar, 0..3)
}

fn number_points(floats: Floats) -> impl Strategy<Value = Vec<NumberPoint>> {
    let point = (attributes(floats), number(floats), time(), time(), exemplars(floats)).prop_map(
        |(attributes, value, start, time, exemplars)| {
            let mut point = NumberPoint::new(Attributes::new(attributes), value).at(start, time);
            point.exemplars = exemplars.into();
            point
        },
    );
    prop::collection::vec(point, 0..5)
}

fn counts() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![0u64..200, 0..=u64::MAX >> 8], 0..40)
}

fn histograms(floats: Floats) -> impl Strategy<Value = Vec<HistogramPoint>> {
    let optional = move || prop::option::of(float(floats));
    let content = (counts(), prop::collection::vec(float(floats), 0..20), optional(), optional(), optional());
    let point = (attributes(floats), content, time(), time(), exemplars(floats)).prop_map(
        |(attributes, (counts, bounds, sum, min, max), start, time, exemplars)| {
            let mut point = HistogramPoint::new(Attributes::new(attributes), bounds, counts).at(start, time);
            (point.sum, point.min, point.max, point.exemplars) = (sum, min, max, exemplars.into());
            point
        },
    );
    prop::collection::vec(point, 0..4)
}

fn exponential(floats: Floats) -> impl Strategy<Value = Vec<ExponentialHistogramPoint>> {
    let optional = move || prop::option::of(float(floats));
    let buckets = || (any::<i32>(), counts()).prop_map(|(offset, counts)| Buckets::new(offset, counts));
    let content = (any::<i32>(), 0u64..1000, buckets(), buckets(), optional(), optional(), optional(), 0u8..3);
    let point = (attributes(floats), content, time(), time(), exemplars(floats)).prop_map(
        |(attributes, content, start, time, exemplars)| {
            let (scale, zeros, positive, negative, sum, min, max, threshold) = content;
            let attributes = Attributes::new(attributes);
            let mut point = ExponentialHistogramPoint::new(attributes, scale, zeros, positive, negative);
            (point.start, point.time, point.exemplars) = (start, time, exemplars.into());
            (point.sum, point.min, point.max) = (sum, min, max);
            point.zero_threshold = f64::from(threshold);
            point
        },
    );
    prop::collection::vec(point, 0..4)
}

fn temporality() -> impl Strategy<Value = Temporality> {
    prop_oneof![Just(Temporality::Cumulative), Just(Temporality::Delta)]
}

fn data(floats: Floats) -> impl Strategy<Value = MetricData> {
    prop_oneof![
        number_points(floats).prop_map(|points| MetricData::Gauge { points }),
        (number_points(floats), temporality(), any::<bool>())
            .prop_map(|(points, temporality, monotonic)| MetricData::Sum { points, temporality, monotonic }),
        (histograms(floats), temporality())
            .prop_map(|(points, temporality)| MetricData::Histogram { points, temporality }),
        (exponential(floats), temporality())
            .prop_map(|(points, temporality)| MetricData::ExponentialHistogram { points, temporality }),
    ]
}

fn metrics(floats: Floats) -> impl Strategy<Value = Vec<ScopeMetrics>> {
    let metric = (text(), text(), "[a-zA-Z/{}]{0,8}", data(floats)).prop_map(|(name, description, unit, data)| {
        Metric::new(name, data).with_description(description).with_unit(unit)
    });
    let scope =
        (scope(), prop::collection::vec(metric, 0..4)).prop_map(|(scope, metrics)| ScopeMetrics::new(scope, metrics));
    prop::collection::vec(scope, 1..4)
}

/// Builds the expected request in the slow but obvious way. Leaves out metrics without points.
fn expected(resource: &Resource, scopes: &[ScopeMetrics]) -> ExportMetricsServiceRequest {
    let has_points = |metric: &&Metric| !metric.data.is_empty();
    let scopes = scopes.iter().filter(|scope| scope.metrics.iter().any(|metric| has_points(&metric)));
    let scope_metrics = scopes.map(|scope| proto::ScopeMetrics {
        scope: Some(expected_scope(&scope.scope)),
        metrics: scope.metrics.iter().filter(has_points).map(expected_metric).collect(),
        schema_url: scope.scope.schema_url().unwrap_or_default().to_owned(),
    });
    let resource_metrics = proto::ResourceMetrics {
        resource: Some(expected_resource(resource)),
        scope_metrics: scope_metrics.collect(),
        schema_url: resource.schema_url().unwrap_or_default().to_owned(),
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

fn expected_metric(metric: &Metric) -> proto::Metric {
    let temporality_number = |temporality: &Temporality| match temporality {
        Temporality::Delta => proto::AggregationTemporality::Delta as i32,
        Temporality::Cumulative => proto::AggregationTemporality::Cumulative as i32,
    };
    let data = match &metric.data {
        MetricData::Gauge { points } => {
            proto::metric::Data::Gauge(proto::Gauge { data_points: points.iter().map(expected_number).collect() })
        }
        MetricData::Sum { points, temporality, monotonic } => proto::metric::Data::Sum(proto::Sum {
            data_points: points.iter().map(expected_number).collect(),
            aggregation_temporality: temporality_number(temporality),
            is_monotonic: *monotonic,
        }),
        MetricData::Histogram { points, temporality } => proto::metric::Data::Histogram(proto::Histogram {
            data_points: points.iter().map(expected_histogram).collect(),
            aggregation_temporality: temporality_number(temporality),
        }),
        MetricData::ExponentialHistogram { points, temporality } => {
            proto::metric::Data::ExponentialHistogram(proto::ExponentialHistogram {
                data_points: points.iter().map(expected_exponential).collect(),
                aggregation_temporality: temporality_number(temporality),
            })
        }
        other => panic!("{other:?}"),
    };
    proto::Metric {
        name: metric.name.to_string(),
        description: metric.description.to_string(),
        unit: metric.unit.to_string(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn expected_number(point: &NumberPoint) -> proto::NumberDataPoint {
    use proto::number_data_point::Value::{AsDouble, AsInt};
    proto::NumberDataPoint {
        attributes: point.attributes.iter().map(expected_attribute).collect(),
        start_time_unix_nano: point.start.as_nanos(),
        time_unix_nano: point.time.as_nanos(),
        exemplars: point.exemplars.iter().map(expected_exemplar).collect(),
        flags: 0,
        value: Some(match point.value {
            Number::I64(value) => AsInt(value),
            Number::U64(value) if value > i64::MAX as u64 => AsDouble(value as f64),
            Number::U64(value) => AsInt(value as i64),
            Number::F64(value) => AsDouble(value),
        }),
    }
}

fn expected_histogram(point: &HistogramPoint) -> proto::HistogramDataPoint {
    proto::HistogramDataPoint {
        attributes: point.attributes.iter().map(expected_attribute).collect(),
        start_time_unix_nano: point.start.as_nanos(),
        time_unix_nano: point.time.as_nanos(),
        count: point.count,
        sum: point.sum,
        bucket_counts: point.bucket_counts.clone(),
        explicit_bounds: point.bounds.to_vec(),
        exemplars: point.exemplars.iter().map(expected_exemplar).collect(),
        flags: 0,
        min: point.min,
        max: point.max,
    }
}

fn expected_exponential(point: &ExponentialHistogramPoint) -> proto::ExponentialHistogramDataPoint {
    let buckets = |buckets: &Buckets| {
        (!buckets.counts.is_empty()).then(|| proto::exponential_histogram_data_point::Buckets {
            offset: buckets.offset,
            bucket_counts: buckets.counts.clone(),
        })
    };
    proto::ExponentialHistogramDataPoint {
        attributes: point.attributes.iter().map(expected_attribute).collect(),
        start_time_unix_nano: point.start.as_nanos(),
        time_unix_nano: point.time.as_nanos(),
        count: point.count,
        sum: point.sum,
        scale: point.scale,
        zero_count: point.zero_count,
        positive: buckets(&point.positive),
        negative: buckets(&point.negative),
        flags: 0,
        exemplars: point.exemplars.iter().map(expected_exemplar).collect(),
        min: point.min,
        max: point.max,
        zero_threshold: point.zero_threshold,
    }
}

fn expected_exemplar(exemplar: &Exemplar) -> proto::Exemplar {
    use proto::exemplar::Value::{AsDouble, AsInt};
    let bytes = |valid: bool, bytes: &[u8]| if valid { bytes.to_vec() } else { Vec::new() };
    proto::Exemplar {
        filtered_attributes: exemplar.filtered_attributes.iter().map(expected_attribute).collect(),
        time_unix_nano: exemplar.time.as_nanos(),
        span_id: bytes(exemplar.span_id != SpanId::INVALID, &exemplar.span_id.to_bytes()),
        trace_id: bytes(exemplar.trace_id != TraceId::INVALID, &exemplar.trace_id.to_bytes()),
        value: Some(match exemplar.value {
            Number::I64(value) => AsInt(value),
            Number::U64(value) if value > i64::MAX as u64 => AsDouble(value as f64),
            Number::U64(value) => AsInt(value as i64),
            Number::F64(value) => AsDouble(value),
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn protobuf_reads_back(resource in resource(Floats::All), metrics in metrics(Floats::All)) {
        let mut cache = Cache::default();
        // Run twice, because the state kept from the first batch must not affect the second.
        for _ in 0..2 {
            let mut out = vec![9];
            Metrics::protobuf(Batch::new(&resource, &metrics), &mut cache, &mut out);
            let decoded = ExportMetricsServiceRequest::decode(&out[1..]).unwrap();
            same(&decoded, &expected(&resource, &metrics))?;
        }
    }

    #[test]
    fn json_reads_back(resource in resource(Floats::Finite), metrics in metrics(Floats::Finite)) {
        let mut cache = Cache::default();
        for _ in 0..2 {
            let mut out = Vec::new();
            Metrics::json(Batch::new(&resource, &metrics), &mut cache, &mut out);
            prop_assert!(!out.contains(&b'\n'));
            let decoded: ExportMetricsServiceRequest = serde_json::from_slice(&out).unwrap();
            same(&decoded, &expected(&resource, &metrics))?;
        }
    }

    #[test]
    fn parts_keep_the_limit_and_together_are_the_batch(
        resource in resource(Floats::Finite), metrics in metrics(Floats::Finite), limit in 300usize..4000
    ) {
        for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
            let decode = |body: &Vec<u8>| match protocol {
                Protocol::HttpJson => serde_json::from_slice(body).unwrap(),
                _ => ExportMetricsServiceRequest::decode(&**body).unwrap(),
            };
            let (failed, bodies) = in_parts::<Metrics>(&server(), Batch::new(&resource, &metrics), protocol, limit);
            prop_assert!(bodies.iter().all(|body| body.len() <= limit));
            let encode = if protocol == Protocol::HttpJson { Metrics::json } else { Metrics::protobuf };
            let fits = |alone: &Vec<ScopeMetrics>| {
                let mut out = Vec::new();
                encode(Batch::new(&resource, alone), &mut Cache::default(), &mut out);
                out.len() <= limit
            };
            let all = single_points(&metrics);
            let fitting: Vec<_> = all.iter().filter(|alone| fits(alone)).collect();
            prop_assert_eq!(failed as usize, all.len() - fitting.len());
            let arrived: Vec<_> = bodies.iter().map(decode).flat_map(flat).collect();
            let expected: Vec<_> = fitting.into_iter().flat_map(|alone| flat(expected(&resource, alone))).collect();
            prop_assert_eq!(arrived, expected);
        }
    }
}

fn server() -> Limited {
    Limited::start(usize::MAX, Refuses::Politely, b"")
}

/// Random points rarely end within the last bytes of a request.
#[test]
fn every_limit_is_kept_to_the_byte() {
    let server = server();
    let url = |name: &str| format!("https://example.org/{name}");
    let [one] = &example()[..] else { panic!("one scope") };
    // In JSON, every byte of this URL takes six, as much as is reserved for it.
    let escaped = || Some("\u{1}".repeat(10));
    let urls = [(None, None), (None, Some(url("scope"))), (Some(url("resource")), None), (escaped(), escaped())];
    for (of_resource, of_scope) in urls {
        let resource = Resource::with_schema_url([KeyValue::new("service.name", "shop")], of_resource);
        let scope = InstrumentationScope::builder("shop");
        let scope = of_scope.into_iter().fold(scope, |scope, url| scope.with_schema_url(url)).build();
        let two = [scope.clone(), scope].map(|scope| ScopeMetrics::new(scope, one.metrics.clone())).into();
        let batch = Batch::new(&resource, &two);
        for (protocol, limits) in [(Protocol::HttpProtobuf, 350..480), (Protocol::HttpJson, 900..1300)] {
            for limit in limits {
                let (failed, bodies) = in_parts::<Metrics>(&server, batch, protocol, limit);
                assert!(failed == 0 && bodies.iter().all(|body| body.len() <= limit), "{protocol}: {failed}, {limit}");
                if protocol == Protocol::HttpProtobuf {
                    let requests = bodies.iter().map(|body| ExportMetricsServiceRequest::decode(&**body).unwrap());
                    assert_eq!(requests.flat_map(flat).count(), 8, "{limit}");
                }
            }
        }
    }
}

/// Returns a batch for each point.
fn single_points(metrics: &[ScopeMetrics]) -> Vec<Vec<ScopeMetrics>> {
    fn each<P: Clone>(points: &[P], data: impl Fn(Vec<P>) -> MetricData) -> Vec<MetricData> {
        points.iter().map(|point| data(vec![point.clone()])).collect()
    }
    let mut batches = Vec::new();
    for scope in metrics {
        for metric in &scope.metrics {
            let data = match &metric.data {
                MetricData::Gauge { points } => each(points, |points| MetricData::Gauge { points }),
                &MetricData::Sum { ref points, temporality, monotonic } => {
                    each(points, |points| MetricData::Sum { points, temporality, monotonic })
                }
                &MetricData::Histogram { ref points, temporality } => {
                    each(points, |points| MetricData::Histogram { points, temporality })
                }
                &MetricData::ExponentialHistogram { ref points, temporality } => {
                    each(points, |points| MetricData::ExponentialHistogram { points, temporality })
                }
                other => panic!("{other:?}"),
            };
            batches.extend(data.into_iter().map(|data| {
                let mut metric = metric.clone();
                metric.data = data;
                vec![ScopeMetrics::new(scope.scope.clone(), vec![metric])]
            }));
        }
    }
    batches
}

/// Returns each point in a request with its resource, scope and metric.
fn flat(request: ExportMetricsServiceRequest) -> Vec<String> {
    use proto::metric::Data::{ExponentialHistogram, Gauge, Histogram, Sum};
    fn lines<P: std::fmt::Debug>(of: impl std::fmt::Debug, points: Vec<P>) -> Vec<String> {
        assert!(!points.is_empty());
        points.iter().map(|point| format!("{of:?} {point:?}")).collect()
    }
    let mut all = Vec::new();
    for resource in request.resource_metrics {
        for scope in resource.scope_metrics {
            assert!(!scope.metrics.is_empty());
            let origin = (&resource.resource, &resource.schema_url, &scope.scope, &scope.schema_url);
            for metric in scope.metrics {
                let origin = (origin, &metric.name, &metric.description, &metric.unit);
                all.extend(match metric.data.unwrap() {
                    Gauge(gauge) => lines((origin, "gauge"), gauge.data_points),
                    Sum(sum) => lines((origin, sum.aggregation_temporality, sum.is_monotonic), sum.data_points),
                    Histogram(histogram) => lines((origin, histogram.aggregation_temporality), histogram.data_points),
                    ExponentialHistogram(histogram) => {
                        lines((origin, histogram.aggregation_temporality), histogram.data_points)
                    }
                    other => panic!("{other:?}"),
                });
            }
        }
    }
    all
}

/// Returns one metric of every kind, with exemplars.
fn example() -> Vec<ScopeMetrics> {
    let attributes = || Attributes::new([KeyValue::new("route", "/cart")]);
    let (start, time) = (Timestamp::from_nanos(1_000_000_000), Timestamp::from_nanos(2_000_000_000));
    let exemplar = || {
        Exemplar::new(0.25, Timestamp::from_nanos(1_500_000_000))
            .in_span(TraceId::from_hex("5b8efff798038103d269b633813fc60c").unwrap(), SpanId::from(1))
            .with_filtered_attributes(Attributes::new([KeyValue::new("user", 7)]))
    };
    let cumulative = Temporality::Cumulative;
    let requests = NumberPoint::new(attributes(), 3u64).at(start, time).with_exemplar(exemplar());
    let duration = HistogramPoint::new(attributes(), [0.1, 1.0], vec![1, 2, 0])
        .at(start, time)
        .with_sum(1.25)
        .with_extremes(0.05, 0.7)
        .with_exemplar(exemplar());
    let positive = Buckets::new(-2, vec![1, 0, 300]);
    let size = ExponentialHistogramPoint::new(attributes(), -1, 2, positive, Buckets::default()).at(start, time);
    let metrics = vec![
        Metric::new("requests", MetricData::Sum { points: vec![requests], temporality: cumulative, monotonic: true })
            .with_description("Requests")
            .with_unit("{request}"),
        Metric::new("depth", MetricData::Gauge { points: vec![NumberPoint::new(attributes(), -2.5).at(start, time)] }),
        Metric::new("duration", MetricData::Histogram { points: vec![duration], temporality: Temporality::Delta }),
        Metric::new("size", MetricData::ExponentialHistogram { points: vec![size], temporality: cumulative }),
    ];
    vec![ScopeMetrics::new(InstrumentationScope::builder("shop").build(), metrics)]
}

#[test]
fn json_matches_the_example_of_the_specification() {
    let mut out = Vec::new();
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    Metrics::json(Batch::new(&resource, &example()), &mut Cache::default(), &mut out);
    let expected = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeMetrics":[{"scope":{"name":"shop"},"metrics":[
        {"name":"requests","description":"Requests","unit":"{request}","sum":{"aggregationTemporality":2,"isMonotonic":true,
        "dataPoints":[{"attributes":[{"key":"route","value":{"stringValue":"/cart"}}],
        "startTimeUnixNano":"1000000000","timeUnixNano":"2000000000","asInt":"3",
        "exemplars":[{"filteredAttributes":[{"key":"user","value":{"intValue":"7"}}],"timeUnixNano":"1500000000",
        "asDouble":0.25,"spanId":"0000000000000001","traceId":"5b8efff798038103d269b633813fc60c"}]}]}},
        {"name":"depth","gauge":{"dataPoints":[{"attributes":[{"key":"route","value":{"stringValue":"/cart"}}],
        "startTimeUnixNano":"1000000000","timeUnixNano":"2000000000","asDouble":-2.5}]}},
        {"name":"duration","histogram":{"aggregationTemporality":1,
        "dataPoints":[{"attributes":[{"key":"route","value":{"stringValue":"/cart"}}],
        "startTimeUnixNano":"1000000000","timeUnixNano":"2000000000","count":"3","sum":1.25,
        "bucketCounts":["1","2","0"],"explicitBounds":[0.1,1.0],
        "exemplars":[{"filteredAttributes":[{"key":"user","value":{"intValue":"7"}}],"timeUnixNano":"1500000000",
        "asDouble":0.25,"spanId":"0000000000000001","traceId":"5b8efff798038103d269b633813fc60c"}],
        "min":0.05,"max":0.7}]}},
        {"name":"size","exponentialHistogram":{"aggregationTemporality":2,
        "dataPoints":[{"attributes":[{"key":"route","value":{"stringValue":"/cart"}}],
        "startTimeUnixNano":"1000000000","timeUnixNano":"2000000000","count":"303","scale":-1,"zeroCount":"2",
        "positive":{"offset":-2,"bucketCounts":["1","0","300"]}}]}}]}]}]}"#;
    let expected: String = expected.lines().map(str::trim).collect();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_batch_like_the_last_one_costs_no_allocation() {
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    let metrics: Vec<_> = std::iter::repeat_with(example).take(50).flatten().collect();
    for (format, encode) in [("protobuf", Metrics::protobuf as fn(_, &mut _, &mut _)), ("json", Metrics::json)] {
        let (mut cache, mut out) = (Cache::default(), Vec::new());
        encode(Batch::new(&resource, &metrics), &mut cache, &mut out);
        let len = out.len();
        let counted = allocation_counter::measure(|| {
            out.clear();
            encode(Batch::new(&resource, &metrics), &mut cache, &mut out);
        });
        assert_eq!((counted.count_total, out.len()), (0, len), "{format}");
    }
}

fn export(exporter: &mut impl Exporter<Metrics>) -> String {
    outcome(&exporter.export(Batch::new(&Resource::empty(), &example()), Deadline::after(PATIENCE)))
}

#[test]
fn over_http_points_may_be_refused() {
    let body = b"\x0a\x0d\x08\x03\x12\x09too large";
    let server = Server::start([Step::reply("503 Busy", "", b""), Step::reply("200 OK", "", body)]);
    let builder = OtlpExporter::<Metrics>::builder().with_base_endpoint(server.url()).with_retry(quick_retries());
    let mut exporter = builder.build().unwrap();
    assert_eq!(export(&mut exporter), "taken, 3 rejected, 1 retries (too large)");
    for request in server.finish() {
        assert_eq!(request.head.lines().next(), Some("POST /v1/metrics HTTP/1.1"));
        let decoded = ExportMetricsServiceRequest::decode(&*request.body).unwrap();
        assert_eq!(decoded, expected(&Resource::empty(), &example()));
    }
}

#[test]
fn over_http_with_json_points_have_their_own_name() {
    let body = br#"{"partialSuccess":{"rejectedDataPoints":"2","rejectedSpans":"9","errorMessage":"why"}}"#;
    let server = Server::start([Step::reply("200 OK", "content-type: application/json\r\n", body)]);
    let builder = OtlpExporter::<Metrics>::builder().with_base_endpoint(server.url()).with_protocol(Protocol::HttpJson);
    assert_eq!(export(&mut builder.build().unwrap()), "taken, 2 rejected, 0 retries (why)");
    assert_eq!(server.finish()[0].head.lines().next(), Some("POST /v1/metrics HTTP/1.1"));
}

#[cfg(feature = "grpc")]
#[test]
fn over_grpc_the_service_is_that_of_metrics() {
    use support::grpc::{Server, Step, frame};
    let partial = frame(b"\x0a\x0d\x08\x03\x12\x09too large");
    let server = Server::start([Step::trailers(partial, &[("grpc-status", "0")])]);
    let builder = OtlpExporter::<Metrics>::builder().with_protocol(Protocol::Grpc);
    let mut exporter = builder.with_endpoint(format!("http://{}", server.address)).build().unwrap();
    assert_eq!(export(&mut exporter), "taken, 3 rejected, 0 retries (too large)");
    drop(exporter);
    let call = &server.finish()[0];
    assert_eq!(call.path, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
    assert_eq!(ExportMetricsServiceRequest::decode(&call.body[5..]).unwrap(), expected(&Resource::empty(), &example()));
}

#[test]
fn points_beyond_the_limit_are_not_sent() {
    let builder = OtlpExporter::<Metrics>::builder().with_max_request_size(20);
    let batch = example();
    let error = builder.build().unwrap().export(Batch::new(&Resource::empty(), &batch), Deadline::after(PATIENCE));
    let error = error.unwrap_err();
    assert!(error.is_too_large() && error.to_string().contains("the limit is 20 bytes: not sent"), "{error}");
}

#[test]
fn lines_of_json_are_one_batch_each() {
    let path = std::env::temp_dir().join(format!("telemark-metrics-{}.jsonl", std::process::id()));
    let mut exporter = JsonLinesExporter::<Metrics>::to_file(&path).unwrap();
    for _ in 0..2 {
        assert_eq!(export(&mut exporter), "taken, 0 rejected, 0 retries");
    }
    exporter.shutdown(Deadline::after(PATIENCE)).unwrap();
    let lines = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let decoded: Vec<ExportMetricsServiceRequest> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(decoded, vec![expected(&Resource::empty(), &example()); 2]);
}
