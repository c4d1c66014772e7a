//! Pools, connections and transactions of sqlx 0.9 that report to the installed telemetry. This module is not that crate: a program
//! depends on `sqlx` as well, with features for its runtime, its driver and TLS, and imports only these types from here.
//!
//! ```no_run
//! # #[cfg(feature = "sqlx-sqlite")]
//! # async fn run() -> Result<(), sqlx::Error> {
//! use telemark::sqlx::SqlitePool; // instead of sqlx::SqlitePool
//!
//! let pool = SqlitePool::connect("sqlite://shop.db").await?;
//! let name: String = sqlx::query_scalar("SELECT name FROM users WHERE id = ?").bind(7).fetch_one(&pool).await?;
//! # let _ = name;
//! # Ok(())
//! # }
//! ```
//!
//! `&*pool` is sqlx's own pool, for migrations and for crates that take one; these types do not observe its calls, but the layer of
//! `telemark::tracing` does. `SqlitePool::from(pool)` wraps a pool that other code opened. `telemark-sqlx` lists
//! the calls that are observed in either way; the variables `OTEL_RUST_DB_CLIENT_*` are the settings.

pub use telemark_sqlx::{
    ClientConfig, Commenter, ConfigProblem, DbClientInstrumentation, Driver, Options, QueryText, System, Telemetry,
    scope,
};

/// The telemetry started by [`init`](crate::init), with settings from the environment. Pools and connections that are opened in
/// a test report to the [`TestTelemetry`](crate::testing::TestTelemetry) attached there.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Installed;

impl Telemetry for Installed {
    fn instrumentation() -> DbClientInstrumentation {
        super::instrumentation()
    }
}

/// A pool of sqlx whose calls are spans and measurements.
pub type Pool<DB> = telemark_sqlx::Pool<DB, Installed>;
/// The options of a pool.
pub type PoolOptions<DB> = telemark_sqlx::PoolOptions<DB, Installed>;
/// A connection from a pool.
pub type PoolConnection<DB> = telemark_sqlx::PoolConnection<DB, Installed>;
/// A connection of sqlx whose calls are spans and measurements.
pub type Connection<DB> = telemark_sqlx::Connection<DB, Installed>;
/// A transaction or a savepoint.
pub type Transaction<'c, DB> = telemark_sqlx::Transaction<'c, DB, Installed>;

/// Defines the names that sqlx gives to the types of one driver.
macro_rules! names {
    ($feature:literal $database:ty: $pool:ident $options:ident $connection:ident $transaction:ident) => {
        #[cfg(feature = $feature)]
        #[doc = concat!("A pool of connections. Feature `", $feature, "`.")]
        pub type $pool = Pool<$database>;
        #[cfg(feature = $feature)]
        #[doc = concat!("The options of a pool. Feature `", $feature, "`.")]
        pub type $options = PoolOptions<$database>;
        #[cfg(feature = $feature)]
        #[doc = concat!("A connection. Feature `", $feature, "`.")]
        pub type $connection = Connection<$database>;
        #[cfg(feature = $feature)]
        #[doc = concat!("A transaction or a savepoint. Feature `", $feature, "`.")]
        pub type $transaction<'c> = Transaction<'c, $database>;
    };
}

names!("sqlx-postgres" telemark_sqlx::postgres::Postgres: PgPool PgPoolOptions PgConnection PgTransaction);
names!("sqlx-mysql" telemark_sqlx::mysql::MySql: MySqlPool MySqlPoolOptions MySqlConnection MySqlTransaction);
names!("sqlx-sqlite" telemark_sqlx::sqlite::Sqlite: SqlitePool SqlitePoolOptions SqliteConnection SqliteTransaction);

#[cfg(all(test, feature = "sqlx-sqlite"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::testing::TestTelemetry;

    #[test]
    fn a_pool_opened_in_a_test_reports_to_its_telemetry() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
            let transaction = pool.begin().await.unwrap();
            transaction.commit().await.unwrap();
        });
        let names: Vec<_> = telemetry.spans().iter().map(|span| span.name.to_string()).collect();
        assert_eq!(names, ["BEGIN", "COMMIT"]);
    }
}
