#![cfg_attr(docsrs, feature(doc_cfg))]
//! Pools, connections and transactions of [sqlx](https://docs.rs/sqlx) 0.9 with spans and metrics, on the OpenTelemetry API.
//!
//! Only the constructors and the names of types change in a program; queries stay as they are:
//!
//! ```no_run
//! # #[cfg(feature = "sqlite")]
//! # async fn run() -> Result<(), sqlx::Error> {
//! use telemark_sqlx::sqlite::SqlitePool; // instead of sqlx::SqlitePool
//!
//! let pool = SqlitePool::connect("sqlite://shop.db").await?;
//! let name: Option<String> =
//!     sqlx::query_scalar("SELECT name FROM users WHERE id = ?").bind(7).fetch_optional(&pool).await?;
//!
//! let mut transaction = pool.begin().await?;
//! sqlx::query("DELETE FROM users WHERE id = ?").bind(7).execute(&mut *transaction).await?;
//! transaction.commit().await?;
//! # let _ = name;
//! # Ok(())
//! # }
//! ```
//!
//! Each statement, `BEGIN`, `COMMIT`, `ROLLBACK` and savepoint is a span such as `SELECT users` and a measurement of
//! `db.client.operation.duration`. Acquiring a connection has no span, except for statements that fail because they received
//! no connection; `db.client.connection.wait_time` measures the wait. `telemark-db` documents the attributes.
//!
//! The wrappers report to the API's global tracer and meter. [`PoolOptions::with_instrumentation`] selects others, and
//! [`PoolOptions::map_config`] changes the settings. In programs
//! with Telemark, use `telemark::sqlx`, whose types report to its telemetry and are configured by the environment.
//!
//! # Which calls are observed
//! sqlx ties some of its traits to its own types, so functions that require those types receive them by dereferencing. These wrappers
//! do not observe their statements. In a program with the layer of `telemark::tracing`, the events that sqlx emits for statements
//! become spans and measurements instead, and no call is recorded twice:
//!
//! | call | observed by |
//! |---|---|
//! | `query`, `query_as`, `query_scalar`, `raw_sql`, `QueryBuilder` and the macros `query!`, `query_as!`, `query_scalar!`, `query_file!`, with `execute`, `fetch`, `fetch_all`, `fetch_one`, `fetch_optional` on `&pool`, `&mut *connection` or `&mut *transaction` | these types |
//! | `pool.execute(..)` and the other methods of `Executor`, `prepare` | these types |
//! | functions with a parameter `impl Executor<'_, Database = Postgres>` or `impl PgExecutor<'_>` | these types; with `&*pool`, the event |
//! | functions with a parameter `&mut PgConnection` or `&mut PgTransaction<'_>`, the types of this crate | these types |
//! | `pool.begin()`, `begin_with`, `try_begin`, `connection.begin()`, `transaction.begin()`, `commit`, `rollback` | these types |
//! | the same methods of sqlx's types | the event: all with MySQL, `commit` and `rollback` with PostgreSQL, none with SQLite |
//! | a transaction that is dropped: its rollback | neither |
//! | functions with a parameter `&mut sqlx::PgConnection`: pass `&mut connection` or `&mut transaction` | the event |
//! | functions with a parameter `impl Acquire<'_>`: pass `&*pool` or `connection.as_mut()` | the event |
//! | `migrate!().run(..)`, and libraries that hold a `sqlx::PgPool`, such as sea-orm: pass `&*pool`, or `(*pool).clone()` | the event |
//! | `PgListener`, advisory locks: pass `&*pool` or `&mut **connection` | the event |
//! | `COPY` | neither |
//! | statements with which sqlx sets up a connection, such as `SET` and `PRAGMA` | the event |
//!
//! An event tells neither errors nor the database, and on SQLite's threads only spans of `tracing` are known as parents;
//! `telemark::tracing` describes the limits. A span named `telemark.context` takes the context of a call to SQLite's threads, so that
//! its event is recognized there, and log records of the driver belong to the call.
//!
//! # Comments
//! A [`Commenter`] adds the trace to the text of `raw_sql`, of a plain string that is given to an executor, and of
//! `query(..).persistent(false)`. Other queries, also those of the macros, are prepared statements that sqlx keeps by their text, so
//! they receive only the constant tags of the commenter. [`PoolOptions::map_config`] sets it.
//!
//! # Databases
//! The address of the server and the name of the database come from the options with which the pool was opened; a later `USE`
//! or `SET search_path` is not noticed. `db.namespace` is the database, for PostgreSQL with the first schema of a
//! `search_path` among its options, and for SQLite the name of the file. SQLite in memory has spans of kind `INTERNAL`.
//!
//! sqlx uses one driver for MySQL and MariaDB. [`PoolOptions::with_system`] with [`System::MariaDb`] reports MariaDB, with its
//! error codes.
//!
//! # Features
//! | feature | what it adds |
//! |---|---|
//! | `postgres` | the module `postgres`: `PgPool`, `PgPoolOptions`, `PgConnection`, `PgTransaction` |
//! | `mysql` | the module `mysql`: the same for MySQL and MariaDB |
//! | `sqlite` | the module `sqlite`: the same for SQLite |
//!
//! The runtime, TLS and the build of SQLite are chosen by the features of `sqlx`, on which the program depends as well.
//!
//! # Environment variables
//! This crate reads no environment variables itself; see [`ClientConfig::from_env_fn`].

#![cfg_attr(
    not(any(feature = "postgres", feature = "mysql", feature = "sqlite")),
    allow(dead_code, reason = "without a driver, nothing is executed")
)]

mod connection;
mod driver;
mod executor;
mod observe;
mod options;
mod pool;
mod query;
mod telemetry;

pub use connection::{Connection, PoolConnection, Transaction};
pub use driver::{Driver, Options};
pub use options::PoolOptions;
pub use pool::Pool;
pub use telemark_db::{ClientConfig, Commenter, ConfigProblem, DbClientInstrumentation, QueryText, System};
pub use telemetry::{Global, Telemetry};

use opentelemetry::InstrumentationScope;

/// Returns the instrumentation scope of this crate.
pub fn scope() -> InstrumentationScope {
    telemark_kit::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

/// Defines the names that sqlx gives to the types of one driver.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
macro_rules! names {
    ($(#[$doc:meta])* $module:ident: $database:ty, $pool:ident $options:ident $connection:ident $transaction:ident) => {
        $(#[$doc])*
        pub mod $module {
            use crate::telemetry::Global;

            #[doc(no_inline)]
            pub use $database;

            /// A pool, with the API's global telemetry unless its options name another one.
            pub type $pool = crate::Pool<$database, Global>;
            /// The options of a pool.
            pub type $options = crate::PoolOptions<$database, Global>;
            /// A connection.
            pub type $connection = crate::Connection<$database, Global>;
            /// A transaction or a savepoint.
            pub type $transaction<'c> = crate::Transaction<'c, $database, Global>;
        }
    };
}

#[cfg(feature = "postgres")]
names! {
    /// The types for PostgreSQL, with the names that they have in sqlx.
    postgres: sqlx_postgres::Postgres, PgPool PgPoolOptions PgConnection PgTransaction
}
#[cfg(feature = "mysql")]
names! {
    /// The types for MySQL and MariaDB, with the names that they have in sqlx.
    mysql: sqlx_mysql::MySql, MySqlPool MySqlPoolOptions MySqlConnection MySqlTransaction
}
#[cfg(feature = "sqlite")]
names! {
    /// The types for SQLite, with the names that they have in sqlx.
    sqlite: sqlx_sqlite::Sqlite, SqlitePool SqlitePoolOptions SqliteConnection SqliteTransaction
}
