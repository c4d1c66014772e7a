//! Every attribute and every metric of calls and pools, checked by name, type and requirement level against the tables of the
//! conventions. Names that are in no table are refused.
//!
//! spec: semantic-conventions 1.45.0, docs/db/sql.md, docs/db/database-spans.md and docs/db/database-metrics.md
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::collections::BTreeSet;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use telemark_db::{Call, ClientConfig, Database, DbClientInstrumentation, End, Failure, PoolState, System};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Level {
    Required,
    /// Conditionally required or recommended.
    Expected,
    OptIn,
    /// One of Telemark's own.
    Own,
}
use Level::{Expected, OptIn, Own, Required};

type Row = (&'static str, &'static str, Level);

const SPAN: &[Row] = &[
    ("db.collection.name", "string", Expected),
    ("db.namespace", "string", Expected),
    ("db.operation.batch.size", "int", Expected),
    ("db.operation.name", "string", Expected),
    ("db.query.summary", "string", Expected),
    ("db.query.text", "string", Expected),
    ("db.response.returned_rows", "int", OptIn),
    ("db.response.status_code", "string", Expected),
    ("db.stored_procedure.name", "string", Expected),
    ("db.system.name", "string", Required),
    ("error.type", "string", Expected),
    ("server.address", "string", Expected),
    ("server.port", "int", Expected),
    ("telemark.outcome", "string", Own),
    ("telemark.truncated", "string[]", Own),
];

const CALL: &[Row] = &[
    ("db.collection.name", "string", Expected),
    ("db.namespace", "string", Expected),
    ("db.operation.name", "string", Expected),
    ("db.query.summary", "string", Expected),
    ("db.response.status_code", "string", Expected),
    ("db.stored_procedure.name", "string", Expected),
    ("db.system.name", "string", Required),
    ("error.type", "string", Expected),
    ("server.address", "string", Expected),
    ("server.port", "int", Expected),
];

const POOL: &[Row] = &[
    ("db.client.connection.pool.name", "string", Required),
    ("db.namespace", "string", Expected),
    ("db.system.name", "string", Expected),
    ("server.address", "string", Expected),
    ("server.port", "int", Expected),
];

const STATE: &[Row] = &[
    ("db.client.connection.pool.name", "string", Required),
    ("db.client.connection.state", "string", Required),
    ("db.namespace", "string", Expected),
    ("db.system.name", "string", Expected),
    ("server.address", "string", Expected),
    ("server.port", "int", Expected),
];

/// The name, the kind, the unit, the boundaries and the attributes of each metric.
type Instrument = (&'static str, &'static str, &'static str, &'static [f64], &'static [Row]);

const METRICS: &[Instrument] = &[
    ("db.client.operation.duration", "histogram", "s", &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0], CALL),
    (
        "db.client.response.returned_rows",
        "histogram",
        "{row}",
        &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0],
        CALL,
    ),
    ("db.client.connection.count", "updowncounter", "{connection}", &[], STATE),
    ("db.client.connection.idle.max", "updowncounter", "{connection}", &[], POOL),
    ("db.client.connection.idle.min", "updowncounter", "{connection}", &[], POOL),
    ("db.client.connection.limit", "updowncounter", "{connection}", &[], POOL),
    ("db.client.connection.pending_requests", "updowncounter", "{request}", &[], POOL),
    ("db.client.connection.timeouts", "counter", "{timeout}", &[], POOL),
    ("db.client.connection.wait_time", "histogram", "s", &[], POOL),
    ("db.client.connection.use_time", "histogram", "s", &[], POOL),
];

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::I64(_) => "int",
        Value::F64(_) => "double",
        Value::Bool(_) => "boolean",
        Value::Array(opentelemetry::Array::String(_)) => "string[]",
        _ => "other",
    }
}

/// Lists what is wrong with attributes. Adds the names that occurred to `seen`.
fn violations<'a>(
    of: &str,
    attributes: impl IntoIterator<Item = &'a KeyValue>,
    table: &[Row],
    opted_in: bool,
    seen: &mut BTreeSet<String>,
) -> Vec<String> {
    let mut violations = Vec::new();
    let mut names = Vec::new();
    for KeyValue { key, value, .. } in attributes {
        let key = key.as_str();
        match table.iter().find(|(name, ..)| *name == key) {
            None => violations.push(format!("{of} has {key}, which is in no table")),
            Some((_, kind, _)) if *kind != type_of(value) => violations.push(format!("{of}: {key} is no {kind}")),
            Some((.., OptIn)) if !opted_in => violations.push(format!("{of} has {key} without being asked for it")),
            Some(_) if names.contains(&key.to_owned()) => violations.push(format!("{of} has {key} twice")),
            Some(_) => {}
        }
        seen.insert(key.to_owned());
        names.push(key.to_owned());
    }
    for (name, _, level) in table {
        if *level == Required && !names.iter().any(|seen| seen == name) {
            violations.push(format!("{of} lacks {name}"));
        }
    }
    violations
}

struct State;

impl PoolState for State {
    fn used(&self) -> u64 {
        1
    }
    fn idle(&self) -> u64 {
        0
    }
    fn limit(&self) -> Option<u64> {
        Some(2)
    }
    fn idle_max(&self) -> Option<u64> {
        Some(2)
    }
    fn idle_min(&self) -> Option<u64> {
        Some(0)
    }
}

/// Makes calls of every kind with every end.
fn exercise(client: &DbClientInstrumentation) {
    let full = Database::new(System::PostgreSql).with_namespace("shop").with_server("db", Some(6432));
    let long = format!("SELECT {}", "a, ".repeat(3000));
    for database in [full.clone(), Database::new(System::Sqlite).with_in_memory()] {
        for call in [
            Call::statement("SELECT * FROM t WHERE a = 'x'", false),
            Call::statement(&long, true),
            Call::statement("?", false),
            Call::statement("CALL work()", false).with_procedure("work"),
            Call::operation("CREATE").with_collection("t"),
            Call::batch(&["DELETE FROM t", "DELETE FROM t"]),
            Call::batch(&[]),
        ] {
            let end = |end: End<'_>| {
                let mut operation = client.begin(&database, call.clone()).unwrap();
                operation.add_rows(3);
                operation.end(end);
            };
            end(End::Completed);
            end(End::Cancelled);
            end(End::Failed(Failure::new("driver::Error::Io", "the connection was reset")));
            end(End::Failed(Failure::new("driver::Error", "unique violation").with_code("23505")));
        }
    }
    let pool = client.pool(&full, Some("shop"), State);
    drop(pool.wait().connected());
    pool.wait().timed_out();
    // Observed until the metrics are collected.
    std::mem::forget(pool);
}

fn metric_violations(metric: &Metric, seen: &mut BTreeSet<String>) -> Vec<String> {
    let name = metric.name();
    let Some((_, kind, unit, boundaries, table)) = METRICS.iter().find(|(known, ..)| *known == name) else {
        return vec![format!("{name} is in no table")];
    };
    let mut violations = Vec::new();
    let mut found = "";
    if metric.unit() != *unit {
        violations.push(format!("the unit of {name} is no {unit}"));
    }
    macro_rules! histogram {
        ($data:expr) => {{
            found = "histogram";
            for point in $data.data_points() {
                violations.extend(self::violations(name, point.attributes(), table, false, &mut BTreeSet::new()));
                if !boundaries.is_empty() && point.bounds().collect::<Vec<_>>() != *boundaries {
                    violations.push(format!("the boundaries of {name} differ"));
                }
            }
        }};
    }
    macro_rules! sum {
        ($data:expr) => {{
            found = if $data.is_monotonic() { "counter" } else { "updowncounter" };
            for point in $data.data_points() {
                violations.extend(self::violations(name, point.attributes(), table, false, &mut BTreeSet::new()));
            }
        }};
    }
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(data)) => histogram!(data),
        AggregatedMetrics::U64(MetricData::Histogram(data)) => histogram!(data),
        AggregatedMetrics::U64(MetricData::Sum(data)) => sum!(data),
        AggregatedMetrics::I64(MetricData::Sum(data)) => sum!(data),
        _ => {}
    }
    if found != *kind {
        violations.push(format!("{name} is a {found} and no {kind}"));
    }
    seen.insert(name.to_owned());
    violations
}

#[test]
fn every_name_is_in_the_tables_and_every_table_is_exercised() {
    let mut violations = Vec::new();
    let mut seen = BTreeSet::new();
    let mut metrics_seen = BTreeSet::new();
    for opted_in in [false, true] {
        let exporter = InMemorySpanExporter::default();
        let tracers = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let metrics = InMemoryMetricExporter::default();
        let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
        let config = ClientConfig::new();
        let config = if opted_in { config.with_opt_in_attributes(["db.response.returned_rows"]) } else { config };
        let client = DbClientInstrumentation::new(config, tracers.tracer("test")).with_meter(&meters.meter("test"));
        exercise(&client);
        for span in exporter.get_finished_spans().unwrap() {
            violations.extend(self::violations(&span.name, &span.attributes, SPAN, opted_in, &mut seen));
        }
        meters.force_flush().unwrap();
        for resource in metrics.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
                violations.extend(metric_violations(metric, &mut metrics_seen));
            }
        }
    }
    assert_eq!(violations, [""; 0]);
    assert_eq!(seen, SPAN.iter().map(|(name, ..)| (*name).to_owned()).collect(), "each row was exercised");
    assert_eq!(
        metrics_seen,
        METRICS.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        "each metric was exercised"
    );
}

#[test]
fn planted_attributes_are_noticed() {
    let system = KeyValue::new("db.system.name", "sqlite");
    let check = |attributes: &[KeyValue], expected: &[&str]| {
        assert_eq!(violations("span", attributes, SPAN, false, &mut BTreeSet::new()), expected);
    };
    check(std::slice::from_ref(&system), &[]);
    check(&[], &["span lacks db.system.name"]);
    check(&[system.clone(), KeyValue::new("db.statement", "x")], &["span has db.statement, which is in no table"]);
    check(&[system.clone(), KeyValue::new("server.port", "1")], &["span: server.port is no int"]);
    check(&[system.clone(), system.clone()], &["span has db.system.name twice"]);
    let rows = KeyValue::new("db.response.returned_rows", 1);
    check(&[system, rows], &["span has db.response.returned_rows without being asked for it"]);
}
