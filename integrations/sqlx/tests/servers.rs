//! Observed calls of real servers: PostgreSQL and MariaDB, as `cargo xtask services` starts them.
#![cfg(all(feature = "postgres", feature = "mysql"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "test helpers")]

mod support;

use std::time::Duration;

use futures_util::TryStreamExt;
use opentelemetry::KeyValue;
use sqlx::Row;
use support::{Recorded, url};
use telemark_sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use telemark_sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use telemark_sqlx::{ClientConfig, Commenter, System};

async fn postgres(recorded: &Recorded, connections: u32) -> Option<PgPool> {
    let url = url("POSTGRES")?;
    let options =
        PgPoolOptions::new().max_connections(connections).with_instrumentation(recorded.instrumentation.clone());
    Some(options.connect(&url).await.unwrap())
}

async fn mariadb(recorded: &Recorded, system: System) -> Option<MySqlPool> {
    let url = url("MARIADB")?;
    let options = MySqlPoolOptions::new()
        .max_connections(2)
        .with_system(system)
        .with_instrumentation(recorded.instrumentation.clone());
    Some(options.connect(&url).await.unwrap())
}

/// Returns the attributes of the only span that describe the server.
fn server(recorded: &Recorded) -> Vec<String> {
    let spans = recorded.exporter.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 1);
    let of = |pair: &KeyValue| matches!(pair.key.as_str(), "db.system.name" | "db.namespace" | "server.address");
    spans[0].attributes.iter().filter(|pair| of(pair)).map(|pair| pair.value.to_string()).collect()
}

fn port(recorded: &Recorded) -> Option<i64> {
    let span = recorded.exporter.get_finished_spans().unwrap().remove(0);
    let port = span.attributes.iter().find(|pair| pair.key.as_str() == "server.port")?;
    port.value.to_string().parse().ok()
}

#[tokio::test]
async fn postgres_is_described_and_its_calls_are_spans() {
    let recorded = Recorded::new(ClientConfig::new().with_opt_in_attributes(["db.response.returned_rows"]));
    let Some(pool) = postgres(&recorded, 1).await else { return };
    let rows = sqlx::query("SELECT n FROM generate_series(1, $1) AS n").bind(5).fetch_all(&pool).await.unwrap();
    assert_eq!(rows.len(), 5);
    assert_eq!(server(&recorded), ["postgresql", "postgres", "127.0.0.1"]);
    assert!(port(&recorded).is_some());
    assert_eq!(
        recorded.spans(),
        ["SELECT generate_series returned_rows=5 text=SELECT n FROM generate_series(1, $1) AS n"]
    );

    let mut transaction = pool.begin().await.unwrap();
    sqlx::raw_sql("CREATE TEMPORARY TABLE t (a int); INSERT INTO t VALUES (1), (2)")
        .execute(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(count(&mut transaction).await, 2);
    transaction.rollback().await.unwrap();
    assert_eq!(
        recorded.spans(),
        [
            "BEGIN returned_rows=0",
            "CREATE TABLE t INSERT t returned_rows=0 \
             text=CREATE TEMPORARY TABLE t (a int); INSERT INTO t VALUES (?), (?)",
            "SELECT t returned_rows=1 text=SELECT count(*) FROM t",
            "ROLLBACK returned_rows=0",
        ]
    );
}

async fn count(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(&mut *connection).await.unwrap()
}

#[tokio::test]
async fn the_schema_of_postgres_is_part_of_the_namespace() {
    let recorded = Recorded::new(ClientConfig::new());
    let Some(url) = url("POSTGRES") else { return };
    let pool = PgPoolOptions::new()
        .with_instrumentation(recorded.instrumentation.clone())
        .connect(&format!("{url}?options=-c%20search_path%3Dapp%2Cpublic"))
        .await
        .unwrap();
    let path: String = sqlx::query_scalar("SHOW search_path").fetch_one(&pool).await.unwrap();
    assert_eq!(path, "app,public");
    assert_eq!(server(&recorded), ["postgresql", "postgres|app", "127.0.0.1"]);
}

#[tokio::test]
async fn failures_of_postgres_have_their_sqlstate() {
    let recorded = Recorded::new(ClientConfig::new());
    let Some(pool) = postgres(&recorded, 2).await else { return };
    assert!(sqlx::query("SELECT * FROM nowhere").fetch_all(&pool).await.is_err());
    assert!(sqlx::query("SELECT $1::int / 0").bind(1).fetch_one(&pool).await.is_err());
    let setup = "CREATE TEMPORARY TABLE u (a int UNIQUE); INSERT INTO u VALUES (1)";
    let mut connection = pool.acquire().await.unwrap();
    sqlx::raw_sql(setup).execute(&mut **connection).await.unwrap();
    assert!(sqlx::query("INSERT INTO u VALUES ($1)").bind(1).execute(&mut *connection).await.is_err());
    assert_eq!(
        recorded.spans(),
        [
            "SELECT nowhere error(error returned from database) status_code=42P01 text=SELECT * FROM nowhere type=42P01",
            "SELECT error(error returned from database) status_code=22012 text=SELECT $1::int / 0 type=22012",
            "INSERT u error(unique violation) status_code=23505 text=INSERT INTO u VALUES ($1) type=23505",
        ]
    );
}

#[tokio::test]
async fn a_connection_of_postgres_that_is_killed_in_a_query_fails_that_query() {
    let recorded = Recorded::new(ClientConfig::new());
    let Some(pool) = postgres(&recorded, 2).await else { return };
    let mut victim = pool.acquire().await.unwrap();
    let id: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut **victim).await.unwrap();
    let sleeping =
        tokio::spawn(async move { sqlx::query("SELECT pg_sleep(60)").execute(&mut *victim).await.map(drop) });
    // Kills the connection as soon as it sleeps.
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE pid = $1 AND state = 'active' AND query LIKE '%pg_sleep%'";
    while sqlx::query_scalar::<_, i64>(kill).bind(id).fetch_one(&*pool).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(sleeping.await.unwrap().is_err());
    assert_eq!(
        recorded.spans(),
        ["SELECT error(error returned from database) status_code=57P01 text=SELECT pg_sleep(?) type=57P01"]
    );
    // The pool replaces the connection.
    sqlx::query("SELECT 1").execute(&pool).await.unwrap();
    support::until(|| pool.num_idle() as u32 == pool.size()).await;
    assert_eq!(recorded.points("db.client.connection.count")[0], "0 state=used");
}

#[tokio::test]
async fn a_cancelled_query_ends_its_span() {
    let recorded = Recorded::new(ClientConfig::new());
    let Some(pool) = postgres(&recorded, 1).await else { return };
    let query = sqlx::query("SELECT pg_sleep(1)").execute(&pool);
    assert!(tokio::time::timeout(Duration::from_millis(100), query).await.is_err());
    assert_eq!(recorded.spans(), ["SELECT outcome=cancelled text=SELECT pg_sleep(?)"]);
    assert_eq!(recorded.points("db.client.operation.duration"), ["n=1 summary=SELECT"]);
    support::until(|| pool.num_idle() as u32 == pool.size()).await;
}

#[tokio::test]
async fn postgres_sees_comments() {
    let config = ClientConfig::new().with_commenter(Commenter::new());
    let recorded = Recorded::new(config);
    let Some(pool) = postgres(&recorded, 1).await else { return };
    let row = sqlx::raw_sql("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        .fetch_one(&pool)
        .await
        .unwrap();
    let seen: String = row.get(0);
    let span = recorded.exporter.get_finished_spans().unwrap().remove(0);
    let parent = format!("traceparent='00-{}-{}-01'", span.span_context.trace_id(), span.span_context.span_id());
    assert!(seen.ends_with(&format!(" /*{parent}*/")), "{seen}");
}

#[tokio::test]
async fn mariadb_is_described_and_its_failures_have_codes() {
    for (system, name, code) in [(System::MySql, "mysql", "1062"), (System::MariaDb, "mariadb", "23000")] {
        let recorded = Recorded::new(ClientConfig::new());
        let Some(pool) = mariadb(&recorded, system).await else { return };
        let mut connection = pool.acquire().await.unwrap();
        let setup = "CREATE TEMPORARY TABLE u (a INT UNIQUE, name TEXT)";
        sqlx::raw_sql(setup).execute(&mut *connection).await.unwrap();
        assert_eq!(server(&recorded), [name, "telemark", "127.0.0.1"]);
        assert_eq!(recorded.spans(), [format!("CREATE TABLE u text={setup}")]);
        let insert = "INSERT INTO u (a, name) VALUES (?, \"Ada\")";
        sqlx::query(insert).bind(1).execute(&mut *connection).await.unwrap();
        assert!(sqlx::query(insert).bind(1).execute(&mut *connection).await.is_err());
        let names: Vec<String> =
            sqlx::query_scalar("SELECT name FROM u WHERE name = \"Ada\"").fetch_all(&mut *connection).await.unwrap();
        assert_eq!(names, ["Ada"]);
        assert_eq!(
            recorded.spans(),
            [
                format!("INSERT u text={insert}"),
                format!("INSERT u error(unique violation) status_code={code} text={insert} type={code}"),
                "SELECT u text=SELECT name FROM u WHERE name = ?".to_owned(),
            ]
        );
        let transaction = pool.begin().await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(recorded.spans(), ["BEGIN", "COMMIT"]);
    }
}

#[tokio::test]
async fn a_connection_of_mariadb_that_is_killed_in_a_query_fails_that_query() {
    let recorded = Recorded::new(ClientConfig::new());
    let Some(pool) = mariadb(&recorded, System::MariaDb).await else { return };
    let mut victim = pool.acquire().await.unwrap();
    let id: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()").fetch_one(&mut **victim).await.unwrap();
    let sleeping = tokio::spawn(async move { sqlx::query("SELECT SLEEP(60)").execute(&mut *victim).await.map(drop) });
    let asleep = "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ? AND info LIKE '%SLEEP%'";
    while sqlx::query_scalar::<_, i64>(asleep).bind(id).fetch_one(&*pool).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("KILL {id}"))).execute(&*pool).await.unwrap();
    assert!(sleeping.await.unwrap().is_err());
    let spans = recorded.spans();
    assert_eq!(spans.len(), 1);
    assert!(spans[0].starts_with("SELECT error("), "{spans:?}");
}

#[tokio::test]
async fn a_comment_is_no_statement_of_its_own_for_mariadb() {
    let recorded = Recorded::new(ClientConfig::new().with_commenter(Commenter::new().with_tag("application", "shop")));
    let Some(pool) = mariadb(&recorded, System::MariaDb).await else { return };
    for sql in ["SELECT 1", "SELECT 1;", "SELECT '--' ;\n", "SELECT 1 -- x;"] {
        let answers: Vec<_> = sqlx::raw_sql(sql).fetch_many(&pool).try_collect().await.unwrap();
        let (rows, results): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.is_right());
        assert_eq!((rows.len(), results.len()), (1, 1), "{sql}");
        sqlx::query(sql).fetch_one(&pool).await.unwrap();
    }
}
