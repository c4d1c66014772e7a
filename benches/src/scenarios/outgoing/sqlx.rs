//! The cost of a statement with sqlx.

use std::fmt::Debug;
use std::hint::black_box;
use std::sync::Arc;

use opentelemetry::KeyValue;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::runtime::Runtime;
use tracing::Instrument;

use super::{REGIMES, Sides, burst, in_span, install, runtime};
use crate::Failure;
use crate::meters;
use crate::scenarios::{Layout, Run, Scenario};
use crate::subjects;

pub(in crate::scenarios) static SCENARIO: Scenario = Scenario {
    name: "sqlx",
    about: "CPU time that instrumentation adds to a query of one row, exported span included: SQLite in memory through a pool of \
            sqlx, with a pause after each 100 queries, less the same queries on the bare pool, in turns. `metrics`: the metrics \
            that the library has by default are recorded too, those of the pool included. `one span`: a span of the API with five \
            attributes. `by hand`: the same with a span of `tracing`.",
    subjects: &[TELEMARK, TELEMARK_METRICS, SDK, SQLX_OTEL, SQLX_OTEL_METRICS, TRACING],
    regimes: REGIMES,
    layout: Layout::RowPerRegime(&[
        (TELEMARK_METRICS, SQLX_OTEL_METRICS),
        (TELEMARK_METRICS, SDK),
        (TELEMARK, SQLX_OTEL),
        (TELEMARK, TRACING),
    ]),
    reference: TELEMARK,
    measure: |run| super::measure(run, &sides(run)?),
};

const TELEMARK: &str = "telemark::sqlx";
const TELEMARK_METRICS: &str = "telemark::sqlx, metrics";
const SDK: &str = "opentelemetry_sdk, one span";
const SQLX_OTEL: &str = "sqlx-otel";
const SQLX_OTEL_METRICS: &str = "sqlx-otel, metrics";
const TRACING: &str = "tracing-opentelemetry, by hand";

const SELECT: &str = "SELECT name FROM items WHERE id = ?";

fn sides(run: &Run<'_>) -> Result<Sides, Failure> {
    let runtime = &runtime()?;
    let pool = pool(runtime)?;
    let bare = {
        let pool = pool.clone();
        burst(runtime, async move |id| check(sqlx::query_scalar(SELECT).bind(row(id)).fetch_one(&pool).await))
    };
    let install = |name| install(name, run.endpoint);
    let (flush, observed, metrics) = match run.subject {
        TELEMARK | TELEMARK_METRICS => {
            let metrics = (run.subject == TELEMARK_METRICS).then(|| (9, meters::make_telemark_global()));
            let pool = telemark::sqlx::SqlitePool::from(pool);
            let call = async move |id| check(sqlx::query_scalar(SELECT).bind(row(id)).fetch_one(&pool).await);
            (install(subjects::TRACED)?, burst(runtime, call), metrics)
        }
        SDK => {
            let call = async move |id| {
                let attributes = [
                    KeyValue::new("db.system.name", "sqlite"),
                    KeyValue::new("db.query.text", SELECT),
                    KeyValue::new("db.query.summary", "SELECT items"),
                    KeyValue::new("db.operation.name", "SELECT"),
                ];
                let rows = KeyValue::new("db.response.returned_rows", 1);
                let query = sqlx::query_scalar(SELECT).bind(row(id)).fetch_one(&pool);
                check(in_span("SELECT items", attributes, rows, query).await);
            };
            (install(subjects::SDK)?, burst(runtime, call), None)
        }
        SQLX_OTEL | SQLX_OTEL_METRICS => {
            let metrics = (run.subject == SQLX_OTEL_METRICS).then(|| (5, meters::make_opentelemetry_sdk_0_32_global()));
            let flush = subjects::install_0_32(run.endpoint)?;
            let pool = sqlx_otel::PoolBuilder::from(pool).build();
            let call = async move |id| check(sqlx::query_scalar(SELECT).bind(row(id)).fetch_one(&pool).await);
            (flush, burst(runtime, call), metrics)
        }
        TRACING => {
            let call = async move |id| {
                let span = tracing::info_span!(
                    "SELECT items",
                    otel.kind = "client",
                    db.system.name = "sqlite",
                    db.query.text = SELECT,
                    db.query.summary = "SELECT items",
                    db.operation.name = "SELECT",
                    db.response.returned_rows = tracing::field::Empty,
                );
                let query = sqlx::query_scalar(SELECT).bind(row(id)).fetch_one(&pool);
                check(query.instrument(span.clone()).await);
                span.record("db.response.returned_rows", 1);
            };
            (install(subjects::BRIDGE)?, burst(runtime, call), None)
        }
        other => return Err(format!("unknown subject {other:?}").into()),
    };
    Ok(Sides { bare, observed, flush, metrics })
}

const ROWS: i64 = 10;

fn row(id: u64) -> i64 {
    i64::try_from(id).unwrap_or_default() % ROWS
}

/// Returns a pool of one connection, because each connection would have a database of its own.
fn pool(runtime: &Arc<Runtime>) -> Result<SqlitePool, Failure> {
    Ok(runtime.block_on(async {
        let options = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = options.connect("sqlite::memory:").await?;
        sqlx::query("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").execute(&pool).await?;
        for id in 0..ROWS {
            sqlx::query("INSERT INTO items VALUES (?, ?)").bind(id).bind(format!("cup {id}")).execute(&pool).await?;
        }
        Ok::<_, sqlx::Error>(pool)
    })?)
}

fn check<E: Debug>(name: Result<String, E>) {
    black_box(name.expect("the row exists"));
}
