//! The spans and the metrics of calls, on the providers of `opentelemetry_sdk`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};
use telemark_db::{Call, ClientConfig, Database, DbClientInstrumentation, End, Failure, PoolState, QueryText, System};

struct Fixture {
    client: DbClientInstrumentation,
    tracers: SdkTracerProvider,
    spans: InMemorySpanExporter,
    meters: SdkMeterProvider,
    metrics: InMemoryMetricExporter,
    milliseconds: Arc<AtomicU64>,
}

impl Fixture {
    fn new(config: ClientConfig) -> Self {
        let spans = InMemorySpanExporter::default();
        let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let metrics = InMemoryMetricExporter::default();
        let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
        let milliseconds = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&milliseconds);
        let config =
            config.with_clock(move || SystemTime::UNIX_EPOCH + Duration::from_millis(clock.load(Ordering::Relaxed)));
        let client = DbClientInstrumentation::new(config, tracers.tracer("test")).with_meter(&meters.meter("test"));
        Fixture { client, tracers, spans, meters, metrics, milliseconds }
    }

    fn pass(&self, milliseconds: u64) {
        self.milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Returns the spans that have ended: name, kind if it is not a client, status, duration, and attributes.
    fn spans(&self) -> Vec<String> {
        let spans = self.spans.get_finished_spans().unwrap();
        self.spans.reset();
        spans
            .into_iter()
            .map(|span| {
                let kind =
                    if span.span_kind == SpanKind::Client { String::new() } else { format!(" {:?}", span.span_kind) };
                let status = match &span.status {
                    Status::Unset => String::new(),
                    Status::Ok => " ok".to_owned(),
                    Status::Error { description } => format!(" error({description})"),
                };
                let passed = span.end_time.duration_since(span.start_time).unwrap().as_millis();
                format!("{}{kind}{status} {passed}ms{}", span.name, shown(&span.attributes))
            })
            .collect()
    }

    /// Returns the points of all metrics.
    fn points(&self) -> Vec<String> {
        self.meters.force_flush().unwrap();
        let exported = self.metrics.get_finished_metrics().unwrap();
        self.metrics.reset();
        let mut lines = Vec::new();
        for metric in exported.iter().flat_map(|resource| resource.scope_metrics()).flat_map(|scope| scope.metrics()) {
            let name = format!("{} [{}]", metric.name(), metric.unit());
            match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                    for point in histogram.data_points() {
                        let attributes: Vec<_> = point.attributes().cloned().collect();
                        lines.push(format!("{name} n={} sum={}{}", point.count(), point.sum(), shown(&attributes)));
                    }
                }
                AggregatedMetrics::U64(MetricData::Histogram(histogram)) => {
                    for point in histogram.data_points() {
                        let attributes: Vec<_> = point.attributes().cloned().collect();
                        lines.push(format!("{name} n={} sum={}{}", point.count(), point.sum(), shown(&attributes)));
                    }
                }
                AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                    for point in sum.data_points() {
                        let attributes: Vec<_> = point.attributes().cloned().collect();
                        lines.push(format!("{name} {}{}", point.value(), shown(&attributes)));
                    }
                }
                AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                    for point in sum.data_points() {
                        let attributes: Vec<_> = point.attributes().cloned().collect();
                        lines.push(format!("{name} {}{}", point.value(), shown(&attributes)));
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        lines.sort();
        lines
    }
}

fn shown(attributes: &[KeyValue]) -> String {
    let mut pairs: Vec<_> = attributes.iter().map(|pair| format!(" {}={}", pair.key, pair.value)).collect();
    pairs.sort();
    pairs.concat()
}

fn postgres() -> Database {
    Database::new(System::PostgreSql).with_namespace("shop").with_server("db", Some(6432))
}

const SERVER: &str = " db.system.name=postgresql server.address=db server.port=6432";

#[test]
fn a_statement_is_a_span_and_a_measurement() {
    let fixture = Fixture::new(ClientConfig::new());
    let call = Call::statement("SELECT name FROM users WHERE id = $1", true);
    let mut operation = fixture.client.begin(&postgres(), call).unwrap();
    fixture.pass(30);
    operation.add_rows(2);
    operation.end(End::Completed);
    operation.end(End::Cancelled);
    drop(operation);
    assert_eq!(
        fixture.spans(),
        [format!(
            "SELECT users 30ms db.namespace=shop db.query.summary=SELECT users \
             db.query.text=SELECT name FROM users WHERE id = $1{SERVER}"
        )]
    );
    let attributes = format!("db.namespace=shop db.query.summary=SELECT users{SERVER}");
    assert_eq!(
        fixture.points(),
        [
            format!("db.client.operation.duration [s] n=1 sum=0.03 {attributes}"),
            format!("db.client.response.returned_rows [{{row}}] n=1 sum=2 {attributes}"),
        ]
    );
}

#[test]
fn the_text_follows_the_settings() {
    let check = |config: ClientConfig, sql: &str, is_parameterized: bool, expected: Option<&str>| {
        let fixture = Fixture::new(config);
        drop(fixture.client.begin(&Database::new(System::MySql), Call::statement(sql, is_parameterized)));
        let span = fixture.spans.get_finished_spans().unwrap().remove(0);
        let text = span.attributes.iter().find(|pair| pair.key.as_str() == "db.query.text");
        assert_eq!(text.map(|pair| pair.value.to_string()).as_deref(), expected);
    };
    let sql = "SELECT 'x' FROM t WHERE a = ?";
    check(ClientConfig::new(), sql, true, Some(sql));
    check(ClientConfig::new(), sql, false, Some("SELECT ? FROM t WHERE a = ?"));
    let sanitized = ClientConfig::new().with_query_text(QueryText::Sanitized);
    check(sanitized, sql, true, Some("SELECT ? FROM t WHERE a = ?"));
    check(ClientConfig::new().with_query_text(QueryText::Off), sql, true, None);
}

#[test]
fn names_follow_the_precedence_of_the_conventions() {
    let fixture = Fixture::new(ClientConfig::new().without_metrics());
    let check = |database: &Database, call: Call<'_>, expected: &str| {
        drop(fixture.client.begin(database, call));
        let span = fixture.spans.get_finished_spans().unwrap().remove(0);
        assert_eq!(span.name, expected);
        fixture.spans.reset();
    };
    let bare = Database::new(System::Sqlite);
    check(&bare, Call::statement("SELECT 1 FROM t", false).with_collection("c"), "SELECT t");
    check(&bare, Call::operation("COMMIT"), "COMMIT");
    check(&bare, Call::operation("CREATE").with_collection("users"), "CREATE users");
    check(&bare, Call::statement("?", false).with_collection("users"), "users");
    check(&bare, Call::statement("?", false).with_procedure("work"), "work");
    check(&postgres(), Call::statement("?", false), "shop");
    check(&Database::new(System::MySql).with_server("db", Some(3307)), Call::statement("?", false), "db:3307");
    check(&bare, Call::statement("?", false), "sqlite");
}

#[test]
fn a_span_and_its_measurement_have_the_same_summary() {
    let long = "x".repeat(250);
    let with_long = format!("CREATE TABLE {long}");
    for (call, expected) in [
        (Call::operation("CREATE").with_collection("users"), "CREATE users"),
        (Call::operation("EXECUTE").with_procedure("work"), "EXECUTE work"),
        (Call::operation("COMMIT"), "COMMIT"),
        (Call::operation("INSERT").with_collection(&long), "INSERT"),
        (Call::statement("SELECT 1 FROM t", false).with_collection("c"), "SELECT t"),
        (Call::statement(&with_long, false), "CREATE TABLE"),
    ] {
        let fixture = Fixture::new(ClientConfig::new());
        fixture.client.begin(&postgres(), call).unwrap().end(End::Completed);
        let span = fixture.spans.get_finished_spans().unwrap().remove(0);
        let summary = span.attributes.iter().find(|pair| pair.key.as_str() == "db.query.summary").unwrap();
        assert_eq!((&*span.name, &*summary.value.to_string()), (expected, expected));
        let point = format!(" db.query.summary={expected} db.");
        let points = fixture.points();
        assert!(points[0].contains(&point), "{points:#?}");
    }
}

#[test]
fn failures_have_a_code_or_a_type() {
    let fixture = Fixture::new(ClientConfig::new());
    let end = |client: &DbClientInstrumentation, failure: Failure<'_>| {
        let mut operation = client.begin(&postgres(), Call::operation("COMMIT")).unwrap();
        operation.end(End::Failed(failure));
    };
    let violation =
        || Failure::new("sqlx::Error::Database", "unique violation").with_message("value (ada@example.com)");
    end(&fixture.client, violation().with_code("23505"));
    end(&fixture.client, violation());
    end(&fixture.client, violation().with_code("01000"));
    let common = "db.namespace=shop db.operation.name=COMMIT db.query.summary=COMMIT";
    assert_eq!(
        fixture.spans(),
        [
            format!(
                "COMMIT error(unique violation) 0ms {common} db.response.status_code=23505{} error.type=23505{}",
                " db.system.name=postgresql", " server.address=db server.port=6432"
            ),
            format!(
                "COMMIT error(unique violation) 0ms {common} db.system.name=postgresql error.type=sqlx::Error::Database{}",
                " server.address=db server.port=6432"
            ),
            format!("COMMIT 0ms {common} db.response.status_code=01000{SERVER}"),
        ]
    );
    let points = fixture.points();
    assert_eq!(points.len(), 3, "{points:#?}");
    assert!(
        points
            .iter()
            .any(|point| point.contains("db.response.status_code=23505") && point.contains("error.type=23505"))
    );
    let fixture = Fixture::new(ClientConfig::new().with_error_messages());
    end(&fixture.client, violation());
    assert!(fixture.spans()[0].contains("error(value (ada@example.com))"));
}

#[test]
fn a_dropped_call_is_cancelled_and_no_error() {
    let fixture = Fixture::new(ClientConfig::new().with_opt_in_attributes(["db.response.returned_rows"]));
    let mut operation = fixture.client.begin(&Database::new(System::Sqlite), Call::operation("BEGIN")).unwrap();
    operation.add_rows(7);
    drop(operation);
    assert_eq!(
        fixture.spans(),
        ["BEGIN 0ms db.operation.name=BEGIN db.query.summary=BEGIN db.response.returned_rows=7 db.system.name=sqlite \
          telemark.outcome=cancelled"]
    );
}

#[test]
fn batches_are_one_call() {
    let fixture = Fixture::new(ClientConfig::new());
    let check = |statements: &[&str], expected: &str| {
        drop(fixture.client.begin(&Database::new(System::Sqlite), Call::batch(statements)));
        assert_eq!(fixture.spans(), [expected]);
    };
    const END: &str = "db.system.name=sqlite telemark.outcome=cancelled";
    let insert = "INSERT INTO t VALUES (1)";
    check(
        &[insert, "INSERT INTO t VALUES (2)"],
        &format!(
            "BATCH INSERT t 0ms db.operation.batch.size=2 db.query.summary=BATCH INSERT t \
             db.query.text=INSERT INTO t VALUES (?) {END}"
        ),
    );
    check(
        &[insert, "DELETE FROM u"],
        &format!(
            "BATCH 0ms db.operation.batch.size=2 db.query.summary=BATCH \
             db.query.text=INSERT INTO t VALUES (?); DELETE FROM u {END}"
        ),
    );
    check(&[insert], &format!("INSERT t 0ms db.query.summary=INSERT t db.query.text=INSERT INTO t VALUES (?) {END}"));
    check(&[], &format!("BATCH 0ms db.operation.batch.size=0 db.query.summary=BATCH {END}"));
}

#[test]
fn calls_in_memory_are_internal_and_long_texts_are_cut() {
    let fixture = Fixture::new(ClientConfig::new());
    let sql = format!("SELECT {}", "a, ".repeat(3000));
    drop(fixture.client.begin(&Database::new(System::Sqlite).with_in_memory(), Call::statement(&sql, true)));
    let spans = fixture.spans();
    assert!(spans[0].starts_with("SELECT Internal 0ms"), "{spans:?}");
    assert!(spans[0].ends_with("telemark.outcome=cancelled telemark.truncated=[\"db.query.text\"]"), "{spans:?}");
}

#[test]
fn a_call_is_a_child_of_the_current_span_and_below_an_unsampled_one_it_is_measured_only() {
    let fixture = Fixture::new(ClientConfig::new());
    let off = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build();
    for (tracers, expected) in [(&fixture.tracers, 1), (&off, 0)] {
        fixture.spans.reset();
        let parent = tracers.tracer("parent").start("parent");
        let context = Context::new().with_span(parent);
        let _current = context.clone().attach();
        drop(fixture.client.begin(&Database::new(System::Sqlite), Call::operation("BEGIN")));
        let spans = fixture.spans.get_finished_spans().unwrap();
        assert_eq!(spans.len(), expected);
        assert!(spans.iter().all(|span| span.parent_span_id == context.span().span_context().span_id()));
        fixture.spans.reset();
    }
    assert!(fixture.points()[0].starts_with("db.client.operation.duration [s] n=2"));
}

#[test]
fn a_suppressed_call_goes_unobserved() {
    let fixture = Fixture::new(ClientConfig::new());
    {
        let _suppressed = Context::current().with_telemetry_suppressed().attach();
        assert!(fixture.client.begin(&postgres(), Call::operation("COMMIT")).is_none());
    }
    assert_eq!((fixture.spans(), fixture.points()), (Vec::new(), Vec::new()));
    assert!(fixture.client.begin(&postgres(), Call::operation("COMMIT")).is_some());
}

#[test]
fn databases_made_from_one_are_measured_apart() {
    let fixture = Fixture::new(ClientConfig::new());
    let base = Database::new(System::PostgreSql).with_server("apart", None);
    for database in [base.clone().with_namespace("a"), base.with_namespace("b")] {
        fixture.client.begin(&database, Call::operation("COMMIT")).unwrap().end(End::Completed);
    }
    let points = fixture.points();
    assert!(points.len() == 2 && points[1].contains("db.namespace=b"), "{points:#?}");
}

#[test]
fn a_shared_instrumentation_accepts_another_meter() {
    let fixture = Fixture::new(ClientConfig::new());
    let metrics = InMemoryMetricExporter::default();
    let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
    let other = fixture.client.clone().with_meter(&meters.meter("other"));
    other.begin(&postgres(), Call::operation("COMMIT")).unwrap().end(End::Completed);
    meters.force_flush().unwrap();
    assert_eq!((metrics.get_finished_metrics().unwrap().len(), fixture.points().len()), (1, 0));
}

struct State;

impl PoolState for State {
    fn used(&self) -> u64 {
        2
    }
    fn idle(&self) -> u64 {
        1
    }
    fn limit(&self) -> Option<u64> {
        Some(10)
    }
    fn idle_max(&self) -> Option<u64> {
        Some(10)
    }
    fn idle_min(&self) -> Option<u64> {
        Some(0)
    }
}

#[test]
fn a_pool_is_observed_while_it_lives() {
    let fixture = Fixture::new(ClientConfig::new());
    let pool = fixture.client.pool(&postgres(), None, State);
    let waiting = [pool.wait(), pool.wait(), pool.wait(), pool.wait()];
    fixture.pass(100);
    let [first, second, third, _fourth] = waiting;
    let used = first.connected();
    second.timed_out();
    drop(third);
    fixture.pass(400);
    drop(used);
    let name = "db.client.connection.pool.name=shop";
    let rest = format!("db.namespace=shop{SERVER}");
    assert_eq!(
        fixture.points(),
        [
            format!("db.client.connection.count [{{connection}}] 1 {name} db.client.connection.state=idle {rest}"),
            format!("db.client.connection.count [{{connection}}] 2 {name} db.client.connection.state=used {rest}"),
            format!("db.client.connection.idle.max [{{connection}}] 10 {name} {rest}"),
            format!("db.client.connection.idle.min [{{connection}}] 0 {name} {rest}"),
            format!("db.client.connection.limit [{{connection}}] 10 {name} {rest}"),
            format!("db.client.connection.pending_requests [{{request}}] 1 {name} {rest}"),
            format!("db.client.connection.timeouts [{{timeout}}] 1 {name} {rest}"),
            format!("db.client.connection.use_time [s] n=1 sum=0.4 {name} {rest}"),
            format!("db.client.connection.wait_time [s] n=1 sum=0.1 {name} {rest}"),
        ]
    );
}

#[test]
fn each_step_of_a_connection_reads_the_clock_once() {
    let readings = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&readings);
    let config = ClientConfig::new()
        .with_clock(move || SystemTime::UNIX_EPOCH + Duration::from_millis(counter.fetch_add(1, Ordering::Relaxed)));
    let fixture = Fixture::new(ClientConfig::new());
    let client = DbClientInstrumentation::new(config, fixture.tracers.tracer("test"));
    let pool = client.with_meter(&fixture.meters.meter("test")).pool(&postgres(), None, State);
    for expected in [3, 6] {
        drop(pool.wait().connected());
        assert_eq!(readings.load(Ordering::Relaxed), expected);
    }
}
