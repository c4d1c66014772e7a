//! Statements of sqlx in a program with the layer for `tracing`: each row of the table of `telemark-sqlx` is recorded once, by the
//! types of `telemark::sqlx` or from sqlx's event.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test helpers")]
#![allow(clippy::explicit_auto_deref, reason = "the calls are written as sqlx's users write them")]

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, future};
use opentelemetry::trace::{SpanKind, Status};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgAdvisoryLock, PgConnectOptions, PgListener};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Acquire, ConnectOptions, Connection, Executor, SqlSafeStr};
use telemark::sqlx::{PgPool, PgPoolOptions, SqlitePool, SqlitePoolOptions};
use telemark::testing::TestTelemetry;
use telemark::trace::SpanData;
use telemark_sdk::metrics::MetricData;
use telemark_sdk::sampling::AlwaysOff;
use telemark_tests::skip;
use tracing::{Instrument, info_span};
use tracing_subscriber::prelude::*;

/// Sets the subscriber of the program, which SQLite's threads use as well.
fn subscribe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::registry().with(telemark::tracing::layer()).init());
}

/// Returns the URL of a server; `None` where no server runs.
fn url(server: &str) -> Option<String> {
    let variable = format!("TELEMARK_TEST_{server}_URL");
    let url = std::env::var(&variable).ok();
    if url.is_none() {
        skip(&format!("{variable} is not set; `cargo xtask services` starts the server"));
    }
    url
}

/// The statements of a trace: the name of each span, and the way in which it came about.
fn statements(telemetry: &TestTelemetry) -> String {
    let spans = telemetry.spans();
    let request = spans.iter().find(|span| span.name == "request").map(|span| span.context.span_id());
    let statements: Vec<&SpanData> = spans.iter().filter(|span| span.scope.name() == "telemark-sqlx").collect();
    assert!(statements.iter().all(|span| Some(span.parent_span_id) == request), "{}", telemetry.tree());
    let lines: Vec<_> = statements.iter().map(|span| format!("{} by {}", span.name, way(span))).collect();
    assert_eq!(measurements(telemetry), lines.len() as u64, "one measurement for each of {lines:?}");
    assert_eq!(telemetry.logs(), "");
    lines.join(", ")
}

/// Returns the statements in an order of their own: SQLite's thread emits an event when the caller may have gone on already.
fn sorted(statements: &str) -> Vec<&str> {
    let mut statements: Vec<_> = statements.split(", ").collect();
    statements.sort_unstable();
    statements
}

/// Only the types know the server, or that the database is in memory.
fn way(span: &SpanData) -> &'static str {
    let knows_server = span.own_attributes.iter().any(|attribute| attribute.key.as_str() == "server.address");
    if knows_server || span.kind == SpanKind::Internal { "types" } else { "event" }
}

fn measurements(telemetry: &TestTelemetry) -> u64 {
    let scopes = telemetry.collect();
    let metrics = scopes.iter().flat_map(|scope| &scope.metrics);
    let durations = metrics.filter(|metric| &*metric.name == "db.client.operation.duration");
    durations
        .map(|metric| match &metric.data {
            MetricData::Histogram { points, .. } => points.iter().map(|point| point.count).sum(),
            _ => 0,
        })
        .sum()
}

/// The rows that all drivers have in common.
macro_rules! rows {
    ($module:ident: $database:ident, $pool:ident $options:ident $connection:ident, $url:expr,
     transaction: $transaction:literal, rolled back: $rolled_back:literal) => {
        mod $module {
            use sqlx::$database;
            use telemark::sqlx::{$connection, $options, $pool};

            use super::*;

            /// Makes calls in a request, and compares the statements that are recorded.
            async fn check(calls: impl AsyncFnOnce(&$pool), expected: &str) {
                let telemetry = TestTelemetry::new();
                if run(&telemetry, calls).await {
                    assert_eq!(sorted(&statements(&telemetry)), sorted(expected));
                }
            }

            /// Makes calls in a request. Returns false if there is no server.
            async fn run(telemetry: &TestTelemetry, calls: impl AsyncFnOnce(&$pool)) -> bool {
                let Some(url) = $url else { return false };
                subscribe();
                let _attached = telemetry.attach();
                // The statements of the fixture are not recorded.
                let pool = telemark::suppress_future(async {
                    let pool = $options::new().max_connections(1).connect(&url).await.unwrap();
                    sqlx::raw_sql("CREATE TEMPORARY TABLE t (a INTEGER)").execute(&*pool).await.unwrap();
                    pool
                })
                .await;
                calls(&pool).instrument(info_span!("request")).await;
                // SQLite's thread has emitted its events once it answers.
                (*pool).acquire().await.unwrap().ping().await.unwrap();
                true
            }

            #[tokio::test]
            async fn queries_on_pools_connections_and_transactions() {
                const SELECT: &str = "SELECT a FROM t";
                let calls = async |pool: &$pool| {
                    sqlx::query(SELECT).fetch_all(pool).await.unwrap();
                    sqlx::query(SELECT).fetch_optional(pool).await.unwrap();
                    sqlx::raw_sql(SELECT).execute(pool).await.unwrap();
                    let mut connection = pool.acquire().await.unwrap();
                    sqlx::query_scalar::<_, i32>(SELECT).fetch_all(&mut *connection).await.unwrap();
                };
                check(calls, &["SELECT t by types"; 4].join(", ")).await;
            }

            #[tokio::test]
            async fn methods_of_executor() {
                let calls = async |pool: &$pool| {
                    pool.execute("SELECT a FROM t").await.unwrap();
                    pool.prepare("SELECT a FROM t".into_sql_str()).await.unwrap();
                };
                check(calls, "SELECT t by types, PREPARE by types").await;
            }

            #[tokio::test]
            async fn functions_that_take_any_executor() {
                async fn select(executor: impl Executor<'_, Database = $database>) {
                    sqlx::query("SELECT a FROM t").execute(executor).await.unwrap();
                }
                let calls = async |pool: &$pool| {
                    select(pool).await;
                    select(&**pool).await;
                };
                check(calls, "SELECT t by types, SELECT t by event").await;
            }

            #[tokio::test]
            async fn functions_that_take_a_connection() {
                async fn ours(connection: &mut $connection) {
                    sqlx::query("SELECT a FROM t").execute(connection).await.unwrap();
                }
                async fn of_sqlx(connection: &mut sqlx::$connection) {
                    sqlx::query("DELETE FROM t").execute(connection).await.unwrap();
                }
                let calls = async |pool: &$pool| {
                    let mut connection = pool.acquire().await.unwrap();
                    ours(&mut connection).await;
                    of_sqlx(&mut connection).await;
                };
                check(calls, "SELECT t by types, DELETE t by event").await;
            }

            #[tokio::test]
            async fn transactions() {
                let calls = async |pool: &$pool| {
                    let mut transaction = pool.begin().await.unwrap();
                    sqlx::query("DELETE FROM t").execute(&mut *transaction).await.unwrap();
                    transaction.commit().await.unwrap();
                };
                check(calls, "BEGIN by types, DELETE t by types, COMMIT by types").await;
            }

            #[tokio::test]
            async fn transactions_of_sqlx() {
                let calls = async |pool: &$pool| {
                    let mut transaction = (**pool).begin().await.unwrap();
                    sqlx::query("DELETE FROM t").execute(&mut *transaction).await.unwrap();
                    transaction.commit().await.unwrap();
                };
                check(calls, $transaction).await;
                let calls = async |pool: &$pool| (**pool).begin().await.unwrap().rollback().await.unwrap();
                check(calls, $rolled_back).await;
            }

            #[tokio::test]
            async fn a_transaction_that_is_dropped() {
                let calls = async |pool: &$pool| drop(pool.begin().await.unwrap());
                check(calls, "BEGIN by types").await;
            }

            #[tokio::test]
            async fn functions_that_take_what_can_be_acquired() {
                async fn select<'a>(from: impl Acquire<'a, Database = $database>) {
                    let mut connection = from.acquire().await.unwrap();
                    sqlx::query("SELECT a FROM t").execute(&mut *connection).await.unwrap();
                }
                let calls = async |pool: &$pool| {
                    select(&**pool).await;
                    let mut connection = pool.acquire().await.unwrap();
                    select(connection.as_mut()).await;
                };
                check(calls, "SELECT t by event, SELECT t by event").await;
            }

            #[tokio::test]
            async fn a_library_that_holds_a_pool_of_sqlx() {
                struct Library(sqlx::Pool<$database>);
                let calls = async |pool: &$pool| {
                    let library = Library((**pool).clone());
                    let mut rows = sqlx::query("SELECT a FROM t").fetch(&library.0);
                    assert!(rows.try_next().await.unwrap().is_none());
                };
                check(calls, "SELECT t by event").await;
            }

            #[tokio::test]
            async fn a_statement_that_fails() {
                let telemetry = TestTelemetry::new();
                let calls = async |pool: &$pool| {
                    sqlx::query("SELECT a FROM nowhere").execute(&**pool).await.unwrap_err();
                    sqlx::query("SELECT a FROM nowhere").execute(pool).await.unwrap_err();
                };
                if !run(&telemetry, calls).await {
                    return;
                }
                let expected = "SELECT nowhere by event, SELECT nowhere by types";
                assert_eq!(sorted(&statements(&telemetry)), sorted(expected));
                let spans = telemetry.spans();
                let failed = spans.iter().filter(|span| matches!(span.status, Status::Error { .. }));
                assert_eq!(failed.map(way).collect::<Vec<_>>(), ["types"], "the event does not tell");
            }

            #[tokio::test]
            async fn a_stream_that_is_dropped_early() {
                const MANY: &str = "SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3";
                let calls = async |pool: &$pool| {
                    let mut rows = sqlx::query(MANY).fetch(pool);
                    rows.next().await.unwrap().unwrap();
                    drop(rows);
                    let mut rows = sqlx::query(MANY).fetch(&**pool);
                    rows.next().await.unwrap().unwrap();
                };
                check(calls, "SELECT by types, SELECT by event").await;
            }

            #[tokio::test]
            async fn an_unsampled_request_has_no_statements_but_measures_them() {
                let telemetry = TestTelemetry::with(|provider| provider.with_sampler(AlwaysOff));
                let calls = async |pool: &$pool| {
                    sqlx::query("SELECT a FROM t").execute(&**pool).await.unwrap();
                    sqlx::query("SELECT a FROM t").execute(pool).await.unwrap();
                };
                if run(&telemetry, calls).await {
                    assert_eq!((telemetry.tree().as_str(), measurements(&telemetry)), ("", 2));
                }
            }
        }
    };
}

rows!(sqlite: Sqlite, SqlitePool SqlitePoolOptions SqliteConnection, Some("sqlite::memory:".to_owned()),
      transaction: "DELETE t by event", rolled back: "");
rows!(postgres: Postgres, PgPool PgPoolOptions PgConnection, url("POSTGRES"),
      transaction: "DELETE t by event, COMMIT by event", rolled back: "ROLLBACK by event");
rows!(mariadb: MySql, MySqlPool MySqlPoolOptions MySqlConnection, url("MARIADB"),
      transaction: "BEGIN by event, DELETE t by event, COMMIT by event",
      rolled back: "BEGIN by event, ROLLBACK by event");

/// Makes calls with a pool that is opened in a request, and returns what the request records.
async fn in_request<P, C: Future<Output = P>>(connect: C, calls: impl AsyncFnOnce(&P)) -> TestTelemetry {
    subscribe();
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let pool = telemark::suppress_future(connect).await;
    calls(&pool).instrument(info_span!("request")).await;
    // SQLite's thread keeps the span until it is done with the last command.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !telemetry.spans().iter().any(|span| span.name == "request") {
        assert!(tokio::time::Instant::now() < deadline, "the request never ends");
        tokio::task::yield_now().await;
    }
    telemetry
}

async fn sqlite(connections: u32) -> SqlitePool {
    SqlitePoolOptions::new().max_connections(connections).connect("sqlite::memory:").await.unwrap()
}

/// Waits until the connection's thread has emitted its events.
async fn settled(pool: &SqlitePool) {
    (**pool).acquire().await.unwrap().ping().await.unwrap();
}

async fn postgres(url: &str, connections: u32) -> PgPool {
    PgPoolOptions::new().max_connections(connections).connect(url).await.unwrap()
}

fn migrations() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/migrations"))
}

#[tokio::test]
async fn migrations_of_sqlite() {
    let telemetry = in_request(sqlite(1), async |pool| {
        Migrator::new(migrations()).await.unwrap().run(&**pool).await.unwrap();
        settled(pool).await;
    });
    let statements = statements(&telemetry.await);
    assert!(statements.contains("CREATE TABLE users by event") && !statements.contains("by types"), "{statements}");
}

#[tokio::test]
async fn migrations_of_postgres() {
    let Some(url) = url("POSTGRES") else { return };
    let schema = format!("statements_{}", std::process::id());
    let migrated = format!("{url}?options=-c%20search_path%3D{schema}");
    let connect = async {
        let admin = postgres(&url, 1).await;
        admin.execute(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await.unwrap();
        (admin, postgres(&migrated, 1).await)
    };
    let telemetry = in_request(connect, async |(admin, pool)| {
        Migrator::new(migrations()).await.unwrap().run(&**pool).await.unwrap();
        let drop = sqlx::AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
        telemark::suppress_future(async { admin.execute(drop).await.unwrap() }).await;
    });
    let statements = statements(&telemetry.await);
    assert!(statements.contains("CREATE TABLE users by event") && !statements.contains("by types"), "{statements}");
}

#[tokio::test]
async fn listeners_locks_and_copies_of_postgres() {
    let Some(url) = url("POSTGRES") else { return };
    // A listener that is dropped executes a statement in the background.
    let mut kept = None;
    let telemetry = in_request(postgres(&url, 2), async |pool: &PgPool| {
        let mut listener = PgListener::connect_with(&**pool).await.unwrap();
        listener.listen("news").await.unwrap();
        kept = Some(listener);
        let lock = PgAdvisoryLock::new("statements");
        let mut connection = pool.acquire().await.unwrap();
        let guard = lock.acquire(&mut **connection).await.unwrap();
        guard.release_now().await.unwrap();
        telemark::suppress_future(async { connection.execute("CREATE TEMPORARY TABLE t (a INTEGER)").await.unwrap() })
            .await;
        let mut copy = connection.copy_in_raw("COPY t FROM STDIN").await.unwrap();
        copy.send(&b"1\n"[..]).await.unwrap();
        assert_eq!(copy.finish().await.unwrap(), 1);
    });
    let statements = statements(&telemetry.await);
    drop(kept);
    assert_eq!(statements, "LISTEN by event, SELECT by event, SELECT by event");
}

#[tokio::test]
async fn a_hundred_statements_at_once_are_a_hundred_spans() {
    let telemetry = in_request(sqlite(4), async |pool| {
        // One span of `tracing` for all of them, which SQLite's four threads enter at the same time.
        let statements = (0..100).map(|number| async move {
            match number % 2 {
                0 => sqlx::query("SELECT 1").execute(pool).await.unwrap(),
                _ => sqlx::query("SELECT 1").execute(&**pool).await.unwrap(),
            }
        });
        future::join_all(statements).await;
        // Each connection, because each has a thread.
        let mut connections = Vec::new();
        while let Some(mut connection) = (**pool).try_acquire() {
            connection.ping().await.unwrap();
            connections.push(connection);
        }
    });
    let telemetry = telemetry.await;
    let spans = telemetry.spans();
    let of = |expected| spans.iter().filter(|span| span.name == "SELECT" && way(span) == expected).count();
    assert_eq!((of("types"), of("event")), (50, 50), "{}", telemetry.tree());
}

#[tokio::test]
async fn a_hundred_statements_at_once_on_a_server_are_a_hundred_spans() {
    let Some(url) = url("POSTGRES") else { return };
    let telemetry = in_request(postgres(&url, 4), async |pool| {
        let statements = (0..100).map(|number| async move {
            match number % 2 {
                0 => sqlx::query("SELECT 1").execute(pool).await.unwrap(),
                _ => sqlx::query("SELECT 1").execute(&**pool).await.unwrap(),
            }
        });
        future::join_all(statements).await;
    });
    let telemetry = telemetry.await;
    let spans = telemetry.spans();
    let of = |expected| spans.iter().filter(|span| span.name == "SELECT" && way(span) == expected).count();
    assert_eq!((of("types"), of("event")), (50, 50), "{}", telemetry.tree());
    assert_eq!(measurements(&telemetry), 100);
}

#[telemark::traced]
async fn select(pool: &sqlx::PgPool) {
    sqlx::query("SELECT 1").execute(pool).await.unwrap();
}

#[tokio::test]
async fn a_traced_function_within_a_span_of_tracing_is_the_parent() {
    let Some(url) = url("POSTGRES") else { return };
    let telemetry = in_request(postgres(&url, 1), async |pool| select(pool).await).await;
    let tree = telemetry.tree();
    let lines: Vec<_> = tree.lines().map(|line| line.split(" db.").next().unwrap()).collect();
    assert_eq!(lines, ["request", "  select", "    SELECT (client)"], "{tree}");
}

#[tokio::test]
async fn a_slow_statement_is_one_span_that_began_when_it_did() {
    let Some(url) = url("POSTGRES") else { return };
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.log_slow_statements(log::LevelFilter::Warn, Duration::from_millis(1));
    let connect = async { sqlx::PgPool::connect_with(options).await.unwrap() };
    let telemetry = in_request(connect, async |pool: &sqlx::PgPool| {
        sqlx::query("SELECT pg_sleep(0.02), 'secret'").execute(pool).await.unwrap();
    });
    let telemetry = telemetry.await;
    assert_eq!(statements(&telemetry), "SELECT by event");
    let spans = telemetry.spans();
    let span = spans.iter().find(|span| span.name == "SELECT").unwrap();
    let took = span.end.as_nanos() - span.start.as_nanos();
    assert!(took >= 20_000_000, "{took}");
    assert!(telemetry.tree().contains("db.query.text=SELECT pg_sleep(?), ?"), "{}", telemetry.tree());
}

#[tokio::test]
async fn without_the_logging_of_statements_only_the_types_record() {
    let options: SqliteConnectOptions = "sqlite::memory:".parse().unwrap();
    let options = options.disable_statement_logging();
    let connect = async { SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap() };
    let telemetry = in_request(connect, async |pool| {
        sqlx::query("SELECT 1").execute(&**pool).await.unwrap();
        sqlx::query("SELECT 1").execute(pool).await.unwrap();
        settled(pool).await;
    });
    assert_eq!(statements(&telemetry.await), "SELECT by types");
}

#[tokio::test]
async fn a_pool_that_is_disabled_in_code_stays_unobserved() {
    let connect = async {
        use telemark::sqlx::{ClientConfig, DbClientInstrumentation};
        let tracer = telemark::trace::ActiveTracer::new(telemark::sqlx::scope());
        let off = DbClientInstrumentation::new(ClientConfig::new().with_enabled(false), tracer);
        let options = SqlitePoolOptions::new().max_connections(1).with_instrumentation(off);
        options.connect("sqlite::memory:").await.unwrap()
    };
    let telemetry = in_request(connect, async |pool| {
        sqlx::query("SELECT 1").execute(pool).await.unwrap();
        settled(pool).await;
    });
    assert_eq!(statements(&telemetry.await), "");
}
