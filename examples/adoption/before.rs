//! A service without Telemark. `after.rs` is the same service with it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Router, routing::get};
use sqlx::SqlitePool;

#[derive(Clone)]
struct Shop {
    products: SqlitePool,
    client: reqwest::Client,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let shop = Shop { products: SqlitePool::connect("sqlite://shop.db").await?, client: reqwest::Client::new() };
    let app = Router::new().route("/products/{sku}", get(show));
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

async fn describe(shop: &Shop, sku: &str) -> Result<String, Box<dyn std::error::Error>> {
    let query = sqlx::query_scalar("SELECT name FROM products WHERE sku = ?").bind(sku);
    let name: String = query.fetch_one(&shop.products).await?;
    let stock = shop.client.get(format!("http://127.0.0.1:3001/stock/{sku}")).send().await?.text().await?;
    Ok(format!("{name}: {stock} in stock"))
}
