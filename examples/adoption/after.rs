//! The service from `before.rs` with Telemark. The README shows the difference.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Router, routing::get};
use telemark::reqwest;
use telemark::sqlx::SqlitePool;

#[derive(Clone)]
struct Shop {
    products: SqlitePool,
    client: reqwest::Client,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _telemetry = telemark::builder().with_instrumentation(telemark::tracing::install).init()?;
    let shop = Shop { products: SqlitePool::connect("sqlite://shop.db").await?, client: reqwest::Client::new() };
    let app = Router::new().route("/products/{sku}", get(show)).layer(telemark::axum::layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app.with_state(shop)).await?;
    Ok(())
}

async fn show(State(shop): State<Shop>, Path(sku): Path<String>) -> Result<String, StatusCode> {
    match describe(&shop, &sku).await {
        Ok(text) => Ok(text),
        Err(error) => {
            tracing::error!(sku, error, "not shown");
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

#[telemark::traced(fields(sku))]
async fn describe(shop: &Shop, sku: &str) -> Result<String, Box<dyn std::error::Error>> {
    let query = sqlx::query_scalar("SELECT name FROM products WHERE sku = ?").bind(sku);
    let name: String = query.fetch_one(&shop.products).await?;
    let stock = shop.client.get(format!("http://127.0.0.1:3001/stock/{sku}")).send().await?.text().await?;
    Ok(format!("{name}: {stock} in stock"))
}
