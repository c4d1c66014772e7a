//! The database. The pool of Telemark makes each statement a span.

use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, FromRow, Row};
use telemark::sqlx::{SqlitePool, SqlitePoolOptions};

const SCHEMA: &str = "
    CREATE TABLE products (sku TEXT PRIMARY KEY, name TEXT NOT NULL, cents INTEGER NOT NULL);
    CREATE TABLE orders (number INTEGER PRIMARY KEY, sku TEXT NOT NULL, quantity INTEGER NOT NULL);
    INSERT INTO products VALUES ('teapot', 'A brown teapot', 2400), ('cup', 'A cup', 600), ('milk jug', 'A jug', 900);
";

#[derive(Serialize)]
pub(crate) struct Product {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) cents: i64,
}

pub(crate) struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens a new in-memory database. It lives as long as its only connection, so the connection is never closed.
    pub(crate) async fn open() -> Result<Self, sqlx::Error> {
        let one = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        // Each statement has a span, so sqlx need not log it as well.
        let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
        let pool = one.connect_with(options).await?;
        // The pool of sqlx behind it observes nothing.
        sqlx::raw_sql(SCHEMA).execute(&*pool).await?;
        Ok(Store { pool })
    }

    pub(crate) async fn products(&self) -> Result<Vec<Product>, sqlx::Error> {
        const SQL: &str = "SELECT sku, name, cents FROM products ORDER BY sku";
        sqlx::query_as(SQL).fetch_all(&self.pool).await
    }

    pub(crate) async fn product(&self, sku: &str) -> Result<Option<Product>, sqlx::Error> {
        const SQL: &str = "SELECT sku, name, cents FROM products WHERE sku = ?";
        sqlx::query_as(SQL).bind(sku).fetch_optional(&self.pool).await
    }

    /// Inserts an order and returns its number.
    pub(crate) async fn insert_order(&self, sku: &str, quantity: i64) -> Result<i64, sqlx::Error> {
        const SQL: &str = "INSERT INTO orders (sku, quantity) VALUES (?, ?)";
        let done = sqlx::query(SQL).bind(sku).bind(quantity).execute(&self.pool).await?;
        Ok(done.last_insert_rowid())
    }
}

impl FromRow<'_, SqliteRow> for Product {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Product { sku: row.try_get("sku")?, name: row.try_get("name")?, cents: row.try_get("cents")? })
    }
}
