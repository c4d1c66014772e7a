//! The database: SQLite, or PostgreSQL at the address in `DATABASE_URL`. The pools of Telemark make each statement a span.

use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ColumnIndex, ConnectOptions, Decode, FromRow, Row, Type};
use telemark::sqlx::{PgPool, PgPoolOptions, SqlitePool, SqlitePoolOptions};

/// The tables. They belong to one connection, so a server has no trace of the shop afterwards. Only the numbering of orders
/// differs between databases.
macro_rules! schema {
    ($number:literal) => {
        concat!(
            "CREATE TEMPORARY TABLE products (sku TEXT PRIMARY KEY, name TEXT NOT NULL, cents BIGINT NOT NULL);
             CREATE TEMPORARY TABLE orders (number ",
            $number,
            ", sku TEXT NOT NULL, quantity BIGINT NOT NULL);
             INSERT INTO products VALUES ('teapot', 'A brown teapot', 2400), ('cup', 'A cup', 600), ('milk jug', 'A jug', 900);"
        )
    };
}

#[derive(Serialize)]
pub(crate) struct Product {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) cents: i64,
}

pub(crate) enum Store {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs the same code on the pool of either database.
macro_rules! on {
    ($store:expr, $pool:ident => $run:expr) => {
        match $store {
            Store::Sqlite($pool) => $run,
            Store::Postgres($pool) => $run,
        }
    };
}

impl Store {
    /// Opens a pool whose only connection, which has the tables, is never closed. The database is PostgreSQL if `url` names
    /// such a server, and otherwise SQLite in memory.
    pub(crate) async fn open(url: Option<&str>) -> Result<Self, sqlx::Error> {
        // Each statement has a span, so sqlx need not log it as well. The pool of sqlx behind each pool observes nothing.
        if let Some(url) = url.filter(|url| url.starts_with("postgres")) {
            let one = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
            let options: PgConnectOptions = url.parse()?;
            let pool = one.connect_with(options.disable_statement_logging()).await?;
            sqlx::raw_sql(schema!("BIGINT GENERATED ALWAYS AS IDENTITY")).execute(&*pool).await?;
            return Ok(Store::Postgres(pool));
        }
        let one = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
        let pool = one.connect_with(options).await?;
        sqlx::raw_sql(schema!("INTEGER PRIMARY KEY")).execute(&*pool).await?;
        Ok(Store::Sqlite(pool))
    }

    pub(crate) async fn products(&self) -> Result<Vec<Product>, sqlx::Error> {
        const SQL: &str = "SELECT sku, name, cents FROM products ORDER BY sku";
        on!(self, pool => sqlx::query_as(SQL).fetch_all(pool).await)
    }

    pub(crate) async fn product(&self, sku: &str) -> Result<Option<Product>, sqlx::Error> {
        const SQL: &str = "SELECT sku, name, cents FROM products WHERE sku = $1";
        on!(self, pool => sqlx::query_as(SQL).bind(sku).fetch_optional(pool).await)
    }

    /// Inserts an order and returns its number.
    pub(crate) async fn insert_order(&self, sku: &str, quantity: i64) -> Result<i64, sqlx::Error> {
        const SQL: &str = "INSERT INTO orders (sku, quantity) VALUES ($1, $2) RETURNING number";
        on!(self, pool => sqlx::query_scalar(SQL).bind(sku).bind(quantity).fetch_one(pool).await)
    }
}

impl<'r, R: Row> FromRow<'r, R> for Product
where
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Product { sku: row.try_get("sku")?, name: row.try_get("name")?, cents: row.try_get("cents")? })
    }
}
