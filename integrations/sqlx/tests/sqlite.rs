//! The API of sqlx on observed pools, connections and transactions, with SQLite.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]
#![allow(clippy::explicit_auto_deref, reason = "the calls are written as sqlx's users write them")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use sqlx::sqlite::SqliteRow;
use sqlx::{Acquire, Connection as _, Executor, QueryBuilder, Row, Sqlite};
use support::{Recorded, until};
use telemark_sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteTransaction};
use telemark_sqlx::{ClientConfig, Commenter, QueryText};

/// Opens a database in memory with a table of three rows.
async fn open(config: ClientConfig, connections: u32) -> (Recorded, SqlitePool) {
    let recorded = Recorded::new(config);
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(60))
        .with_instrumentation(recorded.instrumentation.clone())
        .connect("sqlite::memory:")
        .await
        .unwrap();
    // The statements of the fixture are not observed.
    let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE); \
                  INSERT INTO users (name) VALUES ('Ada'), ('Grace'), ('Mary')";
    sqlx::raw_sql(schema).execute(&*pool).await.unwrap();
    assert_eq!(recorded.spans(), [""; 0]);
    (recorded, pool)
}

async fn open_one() -> (Recorded, SqlitePool) {
    open(ClientConfig::new().with_opt_in_attributes(["db.response.returned_rows"]), 1).await
}

#[derive(sqlx::FromRow)]
struct User {
    name: String,
}

#[tokio::test]
async fn each_way_to_run_a_query_is_one_span() {
    let (recorded, pool) = open_one().await;
    let check = |expected: &str| assert_eq!(recorded.spans(), [format!("SELECT users Internal {expected}")]);
    const ALL: &str = "SELECT name FROM users ORDER BY id";
    const ONE: &str = "SELECT name FROM users WHERE id = ?";
    let text = |rows: u32, sql: &str| format!("returned_rows={rows} text={sql}");

    let rows = sqlx::query(ALL).fetch_all(&pool).await.unwrap();
    assert_eq!(rows.len(), 3);
    check(&text(3, ALL));
    let row = sqlx::query(ONE).bind(2).fetch_one(&pool).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "Grace");
    check(&text(1, ONE));
    let none = sqlx::query(ONE).bind(7).fetch_optional(&pool).await.unwrap();
    assert!(none.is_none());
    check(&text(0, ONE));
    // That there is no row is not a failure of the database.
    assert!(matches!(sqlx::query(ONE).bind(7).fetch_one(&pool).await, Err(sqlx::Error::RowNotFound)));
    check(&text(0, ONE));
    let users: Vec<User> = sqlx::query_as(ALL).fetch_all(&pool).await.unwrap();
    assert_eq!(users[2].name, "Mary");
    check(&text(3, ALL));
    let name: String = sqlx::query_scalar(ONE).bind(1).fetch_one(&pool).await.unwrap();
    assert_eq!(name, "Ada");
    check(&text(1, ONE));
    // The macros `query!` and `query_as!` expand to this.
    let names = sqlx::query(ALL).try_map(|row: sqlx::sqlite::SqliteRow| row.try_get::<String, _>(0));
    assert_eq!(names.fetch_all(&pool).await.unwrap(), ["Ada", "Grace", "Mary"]);
    check(&text(3, ALL));
    let names: Vec<_> =
        sqlx::query(ALL).fetch(&pool).map_ok(|row| row.get::<String, _>(0)).try_collect().await.unwrap();
    assert_eq!(names.len(), 3);
    check(&text(3, ALL));
    assert_eq!((&pool).fetch_all(ALL).await.unwrap().len(), 3);
    check(&text(3, ALL));
    let mut builder = QueryBuilder::<Sqlite>::new("SELECT name FROM users WHERE id = ");
    builder.push_bind(3);
    assert!(builder.build().fetch_optional(&pool).await.unwrap().is_some());
    check(&text(1, "SELECT name FROM users WHERE id = ?"));

    let done = sqlx::query("INSERT INTO users (name) VALUES (?)").bind("Joan").execute(&pool).await.unwrap();
    assert_eq!((done.rows_affected(), done.last_insert_rowid()), (1, 4));
    assert_eq!(recorded.spans(), ["INSERT users Internal returned_rows=0 text=INSERT INTO users (name) VALUES (?)"]);
    sqlx::raw_sql("DELETE FROM users WHERE name = 'Joan'; DELETE FROM users WHERE id = 9")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(
        recorded.spans(),
        ["DELETE users DELETE users Internal returned_rows=0 \
          text=DELETE FROM users WHERE name = ?; DELETE FROM users WHERE id = ?"]
    );
    let statement = (&pool).prepare(sqlx::SqlStr::from_static(ONE)).await.unwrap();
    assert_eq!(recorded.spans(), ["PREPARE Internal returned_rows=0"]);
    use sqlx::Statement;
    assert!(statement.query().bind(1).fetch_optional(&pool).await.unwrap().is_some());
    check(&text(1, ONE));
}

/// A function of an application whose result outlives the borrow of the pool, as with sqlx's.
fn rows(pool: &SqlitePool) -> BoxStream<'static, Result<SqliteRow, sqlx::Error>> {
    sqlx::query("SELECT name FROM users").fetch(pool)
}

#[tokio::test]
async fn results_do_not_borrow_the_pool() {
    let (recorded, pool) = open_one().await;
    assert_eq!(rows(&pool).count().await, 3);
    let deleted = tokio::spawn(pool.execute("DELETE FROM users")).await.unwrap().unwrap();
    assert_eq!(deleted.rows_affected(), 3);
    assert!(tokio::spawn(pool.fetch_optional("SELECT name FROM users")).await.unwrap().unwrap().is_none());
    tokio::spawn(pool.prepare(sqlx::SqlStr::from_static("SELECT 1"))).await.unwrap().unwrap();
    assert_eq!(recorded.spans().len(), 4);
}

/// A function of an application, which names the types of this crate.
async fn on_a_connection(connection: &mut SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut *connection).await.unwrap()
}

async fn on_any_executor<'e>(executor: impl Executor<'e, Database = Sqlite>) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(executor).await.unwrap()
}

async fn within_a_transaction(transaction: &mut SqliteTransaction<'_>) -> i64 {
    on_a_connection(&mut *transaction).await + on_any_executor(&mut **transaction).await
}

#[tokio::test]
async fn connections_and_transactions_are_executors() {
    let (recorded, pool) = open_one().await;
    let count = |spans: Vec<String>| spans.iter().filter(|span| span.starts_with("SELECT users ")).count();
    assert_eq!(on_any_executor(&pool).await, 3);
    assert_eq!(count(recorded.spans()), 1);

    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(on_a_connection(&mut connection).await + on_a_connection(&mut *connection).await, 6);
    assert_eq!(on_any_executor(&mut *connection).await, 3);
    connection.ping().await.unwrap();
    assert_eq!(count(recorded.spans()), 3);
    drop(connection);

    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(within_a_transaction(&mut transaction).await, 6);
    sqlx::query("DELETE FROM users").execute(&mut *transaction).await.unwrap();
    {
        let mut savepoint = transaction.begin().await.unwrap();
        assert_eq!(on_a_connection(&mut savepoint).await, 0);
        savepoint.rollback().await.unwrap();
        let savepoint = transaction.begin().await.unwrap();
        savepoint.commit().await.unwrap();
    }
    transaction.rollback().await.unwrap();
    let names: Vec<_> =
        recorded.spans().iter().map(|span| span.split(" Internal").next().unwrap().to_owned()).collect();
    assert_eq!(
        names,
        [
            "BEGIN",
            "SELECT users",
            "SELECT users",
            "DELETE users",
            "SAVEPOINT",
            "SELECT users",
            "ROLLBACK TO SAVEPOINT",
            "SAVEPOINT",
            "RELEASE SAVEPOINT",
            "ROLLBACK"
        ]
    );
    assert_eq!(on_any_executor(&pool).await, 3, "the transaction was rolled back");
    pool.begin_with("BEGIN IMMEDIATE").await.unwrap().commit().await.unwrap();
    let names: Vec<_> =
        recorded.spans().iter().map(|span| span.split(" Internal").next().unwrap().to_owned()).collect();
    assert_eq!(names, ["SELECT users", "BEGIN", "COMMIT"]);
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back() {
    let (recorded, pool) = open_one().await;
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("DELETE FROM users").execute(&mut *transaction).await.unwrap();
    drop(transaction);
    assert_eq!(on_any_executor(&pool).await, 3);
    assert_eq!(recorded.spans().len(), 3, "BEGIN, DELETE and SELECT");
}

/// A function of a library, which names the types of sqlx.
async fn on_a_bare_connection(connection: &mut sqlx::SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(connection).await.unwrap()
}

async fn acquires<'a>(pool: impl Acquire<'a, Database = Sqlite>) -> i64 {
    on_a_bare_connection(&mut *pool.acquire().await.unwrap()).await
}

#[tokio::test]
async fn what_needs_the_types_of_sqlx_works_unobserved() {
    let (recorded, pool) = open_one().await;
    assert_eq!(acquires(&*pool).await, 3);
    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(on_a_bare_connection(&mut connection).await, 3);
    assert_eq!(acquires(connection.as_mut()).await, 3);
    drop(connection);
    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(on_a_bare_connection(&mut transaction).await, 3);
    transaction.commit().await.unwrap();
    let migrator = sqlx::migrate::Migrator { ..sqlx::migrate::Migrator::DEFAULT };
    migrator.run(&*pool).await.unwrap();
    assert_eq!(pool.size(), 1);
    let spans = recorded.spans();
    assert_eq!(spans, ["BEGIN Internal returned_rows=0", "COMMIT Internal returned_rows=0"]);
    let again = SqlitePool::from(pool.into_inner());
    again.close().await;
    assert!(again.is_closed());
}

#[tokio::test]
async fn a_stream_that_is_dropped_early_ends_its_span_once() {
    let (recorded, pool) = open_one().await;
    const ALL: &str = "SELECT name FROM users ORDER BY id";
    {
        let mut rows = sqlx::query(ALL).fetch(&pool);
        assert!(rows.next().await.unwrap().is_ok());
    }
    assert_eq!(recorded.spans(), [format!("SELECT users Internal outcome=cancelled returned_rows=1 text={ALL}")]);
    // A stream that is never polled asked nothing of the database.
    drop(sqlx::query(ALL).fetch(&pool));
    assert_eq!(recorded.spans(), [""; 0]);
    // Here, all rows have arrived.
    let mut connection = pool.acquire().await.unwrap();
    {
        let mut items = (&mut *connection).fetch_many("SELECT name FROM users");
        while items.next().await.unwrap().unwrap().is_right() {}
    }
    assert_eq!(recorded.spans(), ["SELECT users Internal returned_rows=3 text=SELECT name FROM users"]);
}

#[tokio::test]
async fn failures_are_errors_without_values() {
    let (recorded, pool) = open(ClientConfig::new(), 1).await;
    let twice = sqlx::query("INSERT INTO users (name) VALUES (?)").bind("Ada").execute(&pool).await;
    assert!(twice.unwrap_err().to_string().contains("UNIQUE"));
    let unknown = sqlx::query("SELECT * FROM nowhere WHERE secret = 'Ada'").fetch_all(&pool).await;
    assert!(unknown.is_err());
    pool.close().await;
    assert!(sqlx::query("SELECT 1").execute(&pool).await.is_err());
    assert_eq!(
        recorded.spans(),
        [
            "INSERT users Internal error(unique violation) status_code=2067 text=INSERT INTO users (name) VALUES (?) \
             type=2067",
            "SELECT nowhere Internal error(error returned from database) status_code=1 \
             text=SELECT * FROM nowhere WHERE secret = ? type=1",
            "SELECT Internal error(pool is closed) text=SELECT ? type=sqlx::Error::PoolClosed",
        ]
    );
    let durations = recorded.points("db.client.operation.duration");
    assert_eq!(
        durations,
        [
            "n=1 summary=INSERT users type=2067",
            "n=1 summary=SELECT nowhere type=1",
            "n=1 summary=SELECT type=sqlx::Error::PoolClosed"
        ]
    );
}

#[tokio::test]
async fn an_exhausted_pool_is_a_failed_call_and_a_timeout() {
    let recorded = Recorded::new(ClientConfig::new());
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        // Enough for the connection on a busy machine too.
        .acquire_timeout(Duration::from_secs(2))
        .with_pool_name("small")
        .with_instrumentation(recorded.instrumentation.clone())
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let held = pool.acquire().await.unwrap();
    assert!(matches!(sqlx::query("SELECT 1").execute(&pool).await, Err(sqlx::Error::PoolTimedOut)));
    assert!(matches!(pool.begin().await, Err(sqlx::Error::PoolTimedOut)));
    assert!(pool.try_acquire().is_none());
    assert_eq!(
        recorded.spans(),
        [
            "SELECT Internal error(pool timed out while waiting for an open connection) text=SELECT ? \
             type=sqlx::Error::PoolTimedOut",
            "BEGIN Internal error(pool timed out while waiting for an open connection) type=sqlx::Error::PoolTimedOut",
        ]
    );
    assert_eq!(recorded.points("db.client.connection.timeouts"), ["2"]);
    assert_eq!(recorded.points("db.client.connection.count"), ["0 state=idle", "1 state=used"]);
    assert_eq!(recorded.points("db.client.connection.limit"), ["1"]);
    drop(held);
    until(|| pool.num_idle() == 1).await;
    assert_eq!(recorded.points("db.client.connection.count"), ["0 state=used", "1 state=idle"]);
    assert_eq!(recorded.points("db.client.connection.use_time"), ["n=1"]);
    assert_eq!(recorded.points("db.client.connection.pending_requests"), ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_queries_at_once_leave_true_numbers() {
    let (recorded, pool) = open(ClientConfig::new(), 4).await;
    sqlx::query("SELECT 1").execute(&pool).await.unwrap();
    recorded.exporter.reset();
    let tasks: Vec<_> = (0..10_000)
        .map(|number: i64| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let query = sqlx::query("SELECT ?").bind(number);
                match number % 4 {
                    // Cancelled somewhere on the way.
                    0 => drop(tokio::time::timeout(Duration::from_micros(50), query.fetch_all(&pool)).await),
                    1 => drop(query.fetch(&pool).next().await),
                    _ => drop(query.fetch_all(&pool).await.unwrap()),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    until(|| pool.num_idle() as u32 == pool.size()).await;
    let spans = recorded.exporter.get_finished_spans().unwrap();
    assert!(spans.len() >= 7_500 && spans.len() <= 10_000, "{}", spans.len());
    let durations = recorded.points("db.client.operation.duration");
    let measured: usize =
        durations.iter().map(|point| point[2..].split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(measured, spans.len() + 1, "each call is measured once");
    assert_eq!(recorded.points("db.client.connection.pending_requests"), ["0"]);
    let counts = recorded.points("db.client.connection.count");
    assert_eq!(counts[0], "0 state=used", "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_closes_leaves_true_numbers() {
    let (recorded, pool) = open(ClientConfig::new(), 1).await;
    let held = pool.acquire().await.unwrap();
    let tasks: Vec<_> = (0..300)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                match number % 2 {
                    0 => pool.acquire().await.map(drop),
                    _ => sqlx::query("SELECT 1").execute(&pool).await.map(drop),
                }
            })
        })
        .collect();
    let pending = || recorded.points("db.client.connection.pending_requests");
    until(|| pending() == ["300"]).await;
    tasks.iter().step_by(3).for_each(|task| task.abort());
    until(|| pending() == ["200"]).await;
    // Closing waits for the connection that is in use.
    let closing = pool.close();
    drop(held);
    closing.await;
    let mut refused = 0;
    for task in tasks {
        match task.await {
            Ok(result) => {
                assert!(matches!(result, Err(sqlx::Error::PoolClosed)), "{result:?}");
                refused += 1;
            }
            Err(error) => assert!(error.is_cancelled()),
        }
    }
    assert_eq!(refused, 200);
    let spans = recorded.spans();
    assert_eq!(spans.len(), 100, "of each query that was not aborted");
    assert!(spans.iter().all(|span| span.starts_with("SELECT Internal error(pool is closed)")), "{spans:?}");
    assert_eq!(pending(), ["0"]);
    assert_eq!(recorded.points("db.client.connection.count"), ["0 state=idle", "0 state=used"]);
}

#[tokio::test]
async fn the_callbacks_of_the_application_still_run() {
    let recorded = Recorded::new(ClientConfig::new());
    let calls = Arc::new(AtomicU32::new(0));
    let counted = |calls: &Arc<AtomicU32>| {
        let calls = Arc::clone(calls);
        move || calls.fetch_add(1, Ordering::Relaxed)
    };
    let (connected, acquired, released) = (counted(&calls), counted(&calls), counted(&calls));
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .with_instrumentation(recorded.instrumentation.clone())
        .after_connect(move |connection, _| {
            connected();
            Box::pin(async move { connection.execute("PRAGMA user_version = 7").await.map(drop) })
        })
        .before_acquire(move |_, _| {
            acquired();
            Box::pin(async { Ok(true) })
        })
        .after_release(move |_, _| {
            released();
            Box::pin(async { Ok(true) })
        })
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&pool).await.unwrap();
    assert_eq!(version, 7);
    until(|| calls.load(Ordering::Relaxed) == 3).await;
}

#[tokio::test]
async fn a_call_is_a_child_of_the_current_span() {
    let (recorded, pool) = open(ClientConfig::new(), 1).await;
    let parent = recorded.tracers.tracer("test").start("parent");
    let context = Context::new().with_span(parent);
    {
        use opentelemetry::trace::FutureExt;
        sqlx::query("SELECT 1").execute(&pool).with_context(context.clone()).await.unwrap();
    }
    let spans = recorded.exporter.get_finished_spans().unwrap();
    assert_eq!(spans[0].parent_span_id, context.span().span_context().span_id());
}

#[tokio::test]
async fn comments_are_added_on_request() {
    let config = ClientConfig::new().with_commenter(Commenter::new().with_tag("application", "shop"));
    let (recorded, pool) = open(config, 1).await;
    // A view keeps the text with which it was created.
    sqlx::raw_sql("CREATE VIEW v AS SELECT 1 AS a").execute(&pool).await.unwrap();
    let span = recorded.exporter.get_finished_spans().unwrap().remove(0);
    let sql: String =
        sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE name = 'v'").fetch_one(&*pool).await.unwrap();
    let trace = format!("traceparent='00-{}-{}-01'", span.span_context.trace_id(), span.span_context.span_id());
    assert_eq!(sql, format!("CREATE VIEW v AS SELECT 1 AS a /*application='shop',{trace}*/"));
    // A prepared statement receives constant tags only.
    sqlx::query("CREATE VIEW w AS SELECT 2 AS b").execute(&pool).await.unwrap();
    let sql: String =
        sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE name = 'w'").fetch_one(&*pool).await.unwrap();
    assert_eq!(sql, "CREATE VIEW w AS SELECT 2 AS b /*application='shop'*/");
    // One that is prepared for this call only receives the trace as well.
    recorded.exporter.reset();
    sqlx::query("CREATE VIEW x AS SELECT 3 AS c").persistent(false).execute(&pool).await.unwrap();
    let span = recorded.exporter.get_finished_spans().unwrap().remove(0);
    let sql: String =
        sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE name = 'x'").fetch_one(&*pool).await.unwrap();
    let trace = format!("traceparent='00-{}-{}-01'", span.span_context.trace_id(), span.span_context.span_id());
    assert_eq!(sql, format!("CREATE VIEW x AS SELECT 3 AS c /*application='shop',{trace}*/"));
}

#[tokio::test]
async fn options_change_some_settings() {
    let recorded = Recorded::new(ClientConfig::new().with_opt_in_attributes(["db.response.returned_rows"]));
    let pool = SqlitePoolOptions::new()
        .with_instrumentation(recorded.instrumentation.clone())
        .map_config(|config| config.with_query_text(QueryText::Off).without_pool_metrics())
        .connect("sqlite::memory:")
        .await
        .unwrap();
    sqlx::query("SELECT 1").execute(&pool).await.unwrap();
    assert_eq!(recorded.spans(), ["SELECT Internal returned_rows=1"]);
    assert_eq!(recorded.points("db.client.operation.duration"), ["n=1 summary=SELECT"]);
    assert_eq!(recorded.points("db.client.connection.limit"), [""; 0]);
}

#[tokio::test]
async fn a_disabled_integration_leaves_no_trace() {
    let (recorded, pool) = open(ClientConfig::new().with_enabled(false), 1).await;
    assert_eq!(on_any_executor(&pool).await, 3);
    pool.begin().await.unwrap().commit().await.unwrap();
    assert_eq!(recorded.spans(), [""; 0]);
    assert_eq!(recorded.points("db.client.operation.duration"), [""; 0]);
    assert_eq!(recorded.points("db.client.connection.count"), [""; 0]);
}

#[tokio::test]
async fn a_file_is_a_client_call_with_its_name() {
    let folder = std::env::temp_dir().join(format!("telemark-sqlx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let recorded = Recorded::new(ClientConfig::new());
    let url = format!("sqlite://{}/shop.db?mode=rwc", folder.display());
    let mut connection =
        SqliteConnection::connect(&url).await.unwrap().with_instrumentation(recorded.instrumentation.clone());
    sqlx::query("SELECT 1").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let spans = recorded.exporter.get_finished_spans().unwrap();
    let namespace = spans[0].attributes.iter().find(|pair| pair.key.as_str() == "db.namespace").unwrap();
    assert_eq!(namespace.value.as_str(), "shop.db");
    assert_eq!(recorded.spans(), ["SELECT text=SELECT ?"]);
}
