//! Measurements read back from independent receivers are complete, over every protocol and for every instrument and
//! temporality, including exemplars.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use telemark::otlp::OtlpExporter;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{Aggregation, ReaderConfig, TemporalityPreference, View};
use telemark_sdk::signal::Metrics;
use telemark_sdk::testing::ManualClock;
use telemark_sdk::time::Deadline;
use telemark_tests::{Point, Points, Receiver, RecordedMetrics, Script, Sink};

/// A service that exports to one receiver.
struct Service {
    name: String,
    telemetry: Telemetry,
    recorded: RecordedMetrics,
    /// Span names by id.
    spans: BTreeMap<String, String>,
}

impl Service {
    fn start(protocol: &str, preference: TemporalityPreference, receiver: &str, endpoint: &str) -> Self {
        let name = format!("metrics {preference:?} {protocol} {receiver} {}", std::process::id());
        // mockotlpserver exits on compressed HTTP requests, and the sink cannot decompress.
        let compression = if receiver == "rotel" { "gzip" } else { "none" };
        let env = || {
            Env::from_pairs([
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
                ("OTEL_RESOURCE_ATTRIBUTES", "shop.area=north%20west"),
                ("OTEL_SERVICE_NAME", &*name),
                ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
            ])
        };
        let recorded = RecordedMetrics::default();
        let exporter = recorded.before(OtlpExporter::<Metrics>::from_env(&env()).unwrap());
        let telemetry = Telemetry::builder(env())
            .with_configured_metric_exporter(exporter, ReaderConfig::new().with_temporality(preference))
            .with_view(View::of("orders").without_attribute_keys(["user.id"]))
            .with_view(View::of("size").with_aggregation(Aggregation::exponential()))
            .with_span_exporter(telemark_sdk::testing::InMemoryExporter::new())
            .build()
            .unwrap();
        Service { name, telemetry, recorded, spans: BTreeMap::new() }
    }

    /// Runs `work` inside a new span.
    fn in_span(&mut self, name: &'static str, work: impl FnOnce()) {
        let span = self.telemetry.tracer("shop").start(name);
        self.spans.insert(span.span_context().span_id().to_string(), name.to_owned());
        let _guard = Context::current_with_span(span).attach();
        work();
    }

    /// Records with every instrument and exports, both twice.
    fn record(&mut self) {
        let scope = InstrumentationScope::builder("shop-lib")
            .with_version("1.2")
            .with_attributes([KeyValue::new("scope.of", "shop")])
            .build();
        let meter = self.telemetry.meter_provider().meter_with_scope(scope);
        let orders = meter.u64_counter("orders").with_unit("{order}").with_description("Orders käse \"q\".").build();
        let revenue = meter.f64_counter("revenue").with_unit("EUR").build();
        let waiting = meter.i64_up_down_counter("waiting").build();
        let temperature = meter.f64_gauge("temperature").with_unit("Cel").build();
        let extreme = meter.i64_gauge("extreme").build();
        let duration = meter.f64_histogram("duration").with_unit("s").with_boundaries(vec![0.5, 2.0]).build();
        let plain = meter.u64_histogram("plain").with_boundaries(vec![]).build();
        let size = meter.f64_histogram("size").with_unit("By").build();
        let _seen = meter.u64_observable_counter("seen").with_callback(|seen| seen.observe(42, &[])).build();
        let _level = meter.f64_observable_gauge("level").with_callback(|level| level.observe(0.1, &[])).build();

        let kind = [KeyValue::new("kind", "web"), KeyValue::new("user.id", 7)];
        self.in_span("first", || {
            orders.add(3, &kind);
            revenue.add(0.1, &[]);
            waiting.add(-2, &[KeyValue::new("at", 0.5), KeyValue::new("vip", true)]);
            temperature.record(-0.5, &[]);
            extreme.record(i64::MIN, &[KeyValue::new("end", "low")]);
            extreme.record(i64::MAX, &[KeyValue::new("end", "high")]);
            for value in [0.25, 0.75, 7.0] {
                duration.record(value, &[]);
            }
            plain.record(5, &[]);
            for value in [0.0, 1.0, 3.0, 1e-9] {
                size.record(value, &[]);
            }
        });
        self.flush();
        revenue.add(0.2, &[]);
        self.in_span("second", || {
            orders.add(1, &kind);
            waiting.add(5, &[KeyValue::new("at", 0.5), KeyValue::new("vip", true)]);
            duration.record(0.5, &[]);
            plain.record(6, &[]);
            size.record(1e9, &[]);
        });
        self.flush();
    }

    fn flush(&self) {
        self.telemetry.force_flush(Deadline::after(Duration::from_secs(30))).unwrap();
    }
}

/// All points without their times: first those from the first export, then those from the second.
const CUMULATIVE: &str = r#"
orders[{order}] "Orders käse \"q\"." kind="web" cumulative monotonic sum 3 # 3 in first user.id=7
revenue[EUR] "" cumulative monotonic sum 0.1 # 0.1 in first
waiting[] "" at=0.5 vip=true cumulative sum -2 # -2 in first
temperature[Cel] "" gauge -0.5 # -0.5 in first
extreme[] "" end="high" gauge 9223372036854775807 # 9223372036854775807 in first
extreme[] "" end="low" gauge -9223372036854775808 # -9223372036854775808 in first
duration[s] "" cumulative histogram count=3 sum=8.0 min=0.25 max=7.0 bounds=[0.5, 2.0] counts=[1, 1, 1] # 0.25 in first # 0.75 in first # 7.0 in first
plain[] "" cumulative histogram count=1 sum=5.0 min=5.0 max=5.0 bounds=[] counts=[1] # 5 in first
size[By] "" cumulative exponential histogram count=4 sum=4.000000001 min=0.0 max=3.0 scale=2 zeros=1 positive=-120+127{-120: 1, -1: 1, 6: 1} negative=none # 0.0 in first # 1.0 in first # 1e-9 in first # 3.0 in first
seen[] "" cumulative monotonic sum 42
level[] "" gauge 0.1
orders[{order}] "Orders käse \"q\"." kind="web" cumulative monotonic sum 4 # 1 in second user.id=7
revenue[EUR] "" cumulative monotonic sum 0.30000000000000004 # 0.1 in first
waiting[] "" at=0.5 vip=true cumulative sum 3 # 5 in second
temperature[Cel] "" gauge -0.5 # -0.5 in first
extreme[] "" end="high" gauge 9223372036854775807 # 9223372036854775807 in first
extreme[] "" end="low" gauge -9223372036854775808 # -9223372036854775808 in first
duration[s] "" cumulative histogram count=4 sum=8.5 min=0.25 max=7.0 bounds=[0.5, 2.0] counts=[2, 1, 1] # 0.5 in second # 0.75 in first # 7.0 in first
plain[] "" cumulative histogram count=2 sum=11.0 min=5.0 max=6.0 bounds=[] counts=[2] # 6 in second
size[By] "" cumulative exponential histogram count=5 sum=1000000004.0 min=0.0 max=1000000000.0 scale=1 zeros=1 positive=-60+120{-60: 1, -1: 1, 3: 1, 59: 1} negative=none # 1.0 in first # 1000000000.0 in second # 1e-9 in first # 3.0 in first
seen[] "" cumulative monotonic sum 42
level[] "" gauge 0.1
"#;

const DELTA: &str = r#"
orders[{order}] "Orders käse \"q\"." kind="web" delta monotonic sum 3 # 3 in first user.id=7
revenue[EUR] "" delta monotonic sum 0.1 # 0.1 in first
waiting[] "" at=0.5 vip=true cumulative sum -2 # -2 in first
temperature[Cel] "" gauge -0.5 # -0.5 in first
extreme[] "" end="high" gauge 9223372036854775807 # 9223372036854775807 in first
extreme[] "" end="low" gauge -9223372036854775808 # -9223372036854775808 in first
duration[s] "" delta histogram count=3 sum=8.0 min=0.25 max=7.0 bounds=[0.5, 2.0] counts=[1, 1, 1] # 0.25 in first # 0.75 in first # 7.0 in first
plain[] "" delta histogram count=1 sum=5.0 min=5.0 max=5.0 bounds=[] counts=[1] # 5 in first
size[By] "" delta exponential histogram count=4 sum=4.000000001 min=0.0 max=3.0 scale=2 zeros=1 positive=-120+127{-120: 1, -1: 1, 6: 1} negative=none # 0.0 in first # 1.0 in first # 1e-9 in first # 3.0 in first
seen[] "" delta monotonic sum 42
level[] "" gauge 0.1
orders[{order}] "Orders käse \"q\"." kind="web" delta monotonic sum 1 # 1 in second user.id=7
revenue[EUR] "" delta monotonic sum 0.2
waiting[] "" at=0.5 vip=true cumulative sum 3 # 5 in second
temperature[Cel] "" gauge -0.5 # -0.5 in first
extreme[] "" end="high" gauge 9223372036854775807 # 9223372036854775807 in first
extreme[] "" end="low" gauge -9223372036854775808 # -9223372036854775808 in first
duration[s] "" delta histogram count=1 sum=0.5 min=0.5 max=0.5 bounds=[0.5, 2.0] counts=[1, 0, 0] # 0.5 in second
plain[] "" delta histogram count=1 sum=6.0 min=6.0 max=6.0 bounds=[] counts=[1] # 6 in second
size[By] "" delta exponential histogram count=1 sum=1000000000.0 min=1000000000.0 max=1000000000.0 scale=20 zeros=0 positive=31349646+1{31349646: 1} negative=none # 1000000000.0 in second
seen[] "" delta monotonic sum 0
level[] "" gauge 0.1
"#;

/// Compares the exported points with the expected text, and the received points with the exported ones, including times.
#[track_caller]
fn check(preference: TemporalityPreference, expected: &str) {
    let sink = Sink::start(Script::Take).unwrap();
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        for receiver in Receiver::running() {
            // rotel decodes JSON with opentelemetry-proto, which drops integers and the messages that contain them:
            // https://github.com/open-telemetry/opentelemetry-rust/issues/3527
            if (receiver.name, protocol) == ("rotel", "http/json") {
                continue;
            }
            let endpoint = if protocol == "grpc" { &receiver.grpc } else { &receiver.http };
            let mut service = Service::start(protocol, preference, receiver.name, endpoint);
            service.record();
            let recorded = service.recorded.as_received();
            assert_eq!(recorded.text(&service.spans), expected.trim_start());
            let recorded = if receiver.name == "rotel" { recorded.without_types() } else { recorded };
            // The end of the receiver's output may be incomplete.
            let is_complete = |received: &Points| {
                received.points.len() >= recorded.points.len() && received.points.last() == recorded.points.last()
            };
            let received = receiver.await_points(&service.name, is_complete);
            assert_eq!(received.text(&service.spans), recorded.text(&service.spans), "{protocol} {}", receiver.name);
            assert_eq!(received, recorded, "{protocol} {}", receiver.name);
        }
        if protocol != "http/json" {
            let mut service = Service::start(protocol, preference, "sink", &sink.endpoint());
            service.record();
            let of_service = format!("{:?}", service.name);
            let mut points = sink.points().points;
            points.retain(|point| point.resource.get("service.name") == Some(&of_service));
            assert_eq!(Points { points }, service.recorded.as_received(), "{protocol} sink");
        }
    }
}

#[test]
fn cumulative() {
    check(TemporalityPreference::Cumulative, CUMULATIVE);
}

#[test]
fn delta() {
    check(TemporalityPreference::Delta, DELTA);
}

/// What a decoder of OTLP reads of series that expire, are removed and come back.
#[test]
fn series_that_come_back_have_a_start_of_their_own() {
    const EXPIRY: Duration = Duration::from_secs(600);

    fn shown<const N: usize>(points: [&str; N]) -> BTreeSet<String> {
        points.map(str::to_owned).into()
    }

    let sink = Sink::start(Script::Take).unwrap();
    let endpoint = sink.endpoint();
    let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let clock = ManualClock::new();
    let exporter = OtlpExporter::<Metrics>::from_env(&env).unwrap();
    let telemetry = Telemetry::builder(env)
        .with_clock(clock.clock())
        .with_series_expiry(EXPIRY)
        .with_metric_exporter(exporter)
        .build()
        .unwrap();
    let began = clock.clock().now().as_nanos();
    let orders = telemetry.meter_provider().meter("shop").u64_counter("orders").build();
    // Each thread ends and no longer holds its series.
    let add = |tenant: &'static str, count: u64| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| orders.add(count, &[KeyValue::new("tenant", tenant)]));
            thread.join().unwrap();
        });
    };
    // Exports, and returns each new point: its tenant, its total, and the seconds from the beginning to its start and to its time.
    let mut known = 0;
    let mut exported = || {
        telemetry.flush(Duration::from_secs(30)).unwrap();
        let points = sink.points().points;
        let new = points[std::mem::replace(&mut known, points.len())..].iter();
        let after = |nanos: u64| (nanos - began) / 1_000_000_000;
        let shown = new.map(|point| {
            let Point { attributes, value, start, time, .. } = point;
            format!("{}={value} {}-{}", attributes["tenant"], after(*start), after(*time))
        });
        shown.collect::<BTreeSet<_>>()
    };

    add("gone", 100);
    add("idle", 50);
    assert_eq!(exported(), shown([r#""gone"=100 0-0"#, r#""idle"=50 0-0"#]));
    assert_eq!(telemetry.meter_provider().remove_series("orders", &[KeyValue::new("tenant", "gone")]), 1);
    assert_eq!(exported(), shown([r#""idle"=50 0-0"#]));
    clock.advance(EXPIRY);
    assert!(exported().is_empty());
    clock.advance(EXPIRY);
    add("gone", 3);
    add("idle", 4);
    // A point begins when its series begins, so that a receiver sees a reset and no gap in between.
    assert_eq!(exported(), shown([r#""gone"=3 1200-1200"#, r#""idle"=4 1200-1200"#]));
}
