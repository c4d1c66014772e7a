//! The macros of sqlx on observed pools, connections and transactions.
//!
//! The macros find the description of each query in the folder `.sqlx`, because `.env` makes them ignore `DATABASE_URL`. A fresh
//! clone therefore compiles without a database. sqlx writes the description of a new query if these tests are compiled with
//! `SQLX_OFFLINE=false`, the `DATABASE_URL` of a database that has its tables, and `SQLX_OFFLINE_DIR` with the path of the folder.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]
#![allow(clippy::explicit_auto_deref, reason = "the calls are written as sqlx's users write them")]

mod support;

use futures_util::TryStreamExt;
use sqlx::{MySql, Postgres, Sqlite};
use support::{Recorded, url};
use telemark_sqlx::mysql::MySqlPoolOptions;
use telemark_sqlx::postgres::PgPoolOptions;
use telemark_sqlx::sqlite::{SqliteConnection, SqlitePoolOptions};
use telemark_sqlx::{ClientConfig, Pool, Telemetry};

#[derive(Debug, PartialEq)]
struct User {
    id: i64,
    name: String,
}

/// A function for the pools of any telemetry, such as those of `telemark::sqlx`.
async fn on_sqlite<T: Telemetry>(pool: &Pool<Sqlite, T>) {
    let mut transaction = pool.begin().await.unwrap();
    let done = sqlx::query!("INSERT INTO users (name) VALUES (?)", "Ada").execute(&mut *transaction).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
    transaction.commit().await.unwrap();

    let record = sqlx::query!("SELECT id, name FROM users WHERE id = ?", 1_i64).fetch_one(pool).await.unwrap();
    assert_eq!((record.id, &*record.name), (1, "Ada"));
    let users: Vec<User> =
        sqlx::query_as!(User, "SELECT id, name FROM users ORDER BY id").fetch(pool).try_collect().await.unwrap();
    assert_eq!(users, [User { id: 1, name: "Ada".to_owned() }]);
    let mut connection = pool.acquire().await.unwrap();
    let name = sqlx::query_scalar!("SELECT name FROM users WHERE id = ?", 2_i64).fetch_optional(&mut *connection);
    assert_eq!(name.await.unwrap(), None);
    let record = sqlx::query_file!("tests/data/user.sql", 1_i64).fetch_one(&mut **connection).await.unwrap();
    assert_eq!(record.name, "Ada", "on a connection of sqlx, unobserved");
}

/// A function for a connection or a transaction.
async fn on_a_connection(connection: &mut SqliteConnection) -> User {
    sqlx::query_file_as!(User, "tests/data/user.sql", 1_i64).fetch_one(&mut *connection).await.unwrap()
}

#[tokio::test]
async fn macros_run_on_pools_connections_and_transactions() {
    let recorded = Recorded::new(ClientConfig::new());
    let options = SqlitePoolOptions::new().max_connections(1).with_instrumentation(recorded.instrumentation.clone());
    let pool = options.connect("sqlite::memory:").await.unwrap();
    let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL)";
    sqlx::raw_sql(schema).execute(&*pool).await.unwrap();
    on_sqlite(&pool).await;
    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(on_a_connection(&mut transaction).await.id, 1);
    transaction.commit().await.unwrap();
    assert_eq!(
        recorded.spans(),
        [
            "BEGIN Internal",
            "INSERT users Internal text=INSERT INTO users (name) VALUES (?)",
            "COMMIT Internal",
            "SELECT users Internal text=SELECT id, name FROM users WHERE id = ?",
            "SELECT users Internal text=SELECT id, name FROM users ORDER BY id",
            "SELECT users Internal text=SELECT name FROM users WHERE id = ?",
            "BEGIN Internal",
            "SELECT users Internal text=SELECT id, name\nFROM users\nWHERE id = ?\n",
            "COMMIT Internal",
        ]
    );
}

async fn on_postgres<T: Telemetry>(pool: &Pool<Postgres, T>) {
    let mut transaction = pool.begin().await.unwrap();
    let sum = sqlx::query_scalar!(r#"SELECT $1::bigint + 1 AS "sum!""#, 41_i64);
    assert_eq!(sum.fetch_one(&mut *transaction).await.unwrap(), 42);
    let record = sqlx::query!(r#"SELECT $1::bigint + 1 AS "sum!""#, 1_i64).fetch_one(pool).await.unwrap();
    assert_eq!(record.sum, 2);
}

async fn on_mysql<T: Telemetry>(pool: &Pool<MySql, T>) {
    sqlx::query!("DO ?", 1_i64).execute(pool).await.unwrap();
}

#[tokio::test]
async fn macros_run_on_servers() {
    let recorded = Recorded::new(ClientConfig::new());
    if let Some(url) = url("POSTGRES") {
        let options = PgPoolOptions::new().with_instrumentation(recorded.instrumentation.clone());
        on_postgres(&options.connect(&url).await.unwrap()).await;
        let sum = r#"SELECT text=SELECT $1::bigint + 1 AS "sum!""#;
        assert_eq!(recorded.spans(), ["BEGIN", sum, sum]);
    }
    if let Some(url) = url("MARIADB") {
        let options = MySqlPoolOptions::new().with_instrumentation(recorded.instrumentation.clone());
        on_mysql(&options.connect(&url).await.unwrap()).await;
        assert_eq!(recorded.spans(), ["DO text=DO ?"]);
    }
}
