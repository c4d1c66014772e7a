//! A service that only knows the crate `tracing`: its own spans and events, the request spans of tower-http's `TraceLayer`, and the
//! statements that sqlx logs, which become spans as well. One line in `main` turns all of them into traces, log records and log lines.
//!
//! - `OTEL_TRACES_EXPORTER=console OTEL_LOGS_EXPORTER=console OTEL_METRICS_EXPORTER=none cargo run --example tracing`
//! - with `RUST_LOG=warn`: fewer log lines, but the same traces and records

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tower_http::trace::TraceLayer;
use tracing::{Instrument, info, instrument};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Before the telemetry starts, because creating tables is not worth recording.
    let pool = open().await?;
    let _telemetry = telemark::builder().with_instrumentation(telemark::tracing::install).init()?;

    let app = Router::new().route("/orders/{sku}", post(order)).layer(TraceLayer::new_for_http()).with_state(pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    let answers = [send(address, "cup").await?, send(address, "crown").await?];
    Ok(if answers == [StatusCode::CREATED, StatusCode::INTERNAL_SERVER_ERROR] { Ok(()) } else { Err("unexpected") }?)
}

async fn open() -> Result<SqlitePool, sqlx::Error> {
    let one = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = one.connect("sqlite::memory:").await?;
    let schema =
        "CREATE TABLE prices (cents INTEGER); CREATE TABLE orders (sku TEXT); INSERT INTO prices VALUES (600);";
    sqlx::raw_sql(schema).execute(&pool).await?;
    Ok(pool)
}

async fn order(State(pool): State<SqlitePool>, Path(sku): Path<String>) -> StatusCode {
    match place(&pool, &sku).await {
        Ok(()) => StatusCode::CREATED,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[instrument(skip(pool), err)]
async fn place(pool: &SqlitePool, sku: &str) -> Result<(), OrderError> {
    let cents: i64 = sqlx::query_scalar("SELECT cents FROM prices").fetch_one(pool).await?;
    // Another task, within this span.
    let charged = tokio::spawn(charge(sku.to_owned(), cents).in_current_span());
    charged.await.unwrap_or(Err(OrderError::Declined))?;
    let done = sqlx::query("INSERT INTO orders(sku) VALUES(?)").bind(sku).execute(pool).await?;
    info!(order.number = done.last_insert_rowid(), "order placed");
    Ok(())
}

#[instrument(err)]
async fn charge(sku: String, cents: i64) -> Result<(), OrderError> {
    if sku == "crown" { Err(OrderError::Declined) } else { Ok(()) }
}

#[derive(Debug)]
enum OrderError {
    Declined,
    Database(sqlx::Error),
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderError::Declined => f.write_str("the card was declined"),
            OrderError::Database(error) => error.fmt(f),
        }
    }
}

impl From<sqlx::Error> for OrderError {
    fn from(error: sqlx::Error) -> Self {
        OrderError::Database(error)
    }
}

/// Sends an order, as a customer of the service would.
async fn send(address: SocketAddr, sku: &str) -> Result<StatusCode, Box<dyn Error>> {
    // The program of the customer has no telemetry.
    // telemark: allow(client)
    Ok(reqwest::Client::new().post(format!("http://{address}/orders/{sku}")).send().await?.status())
}
