//! A web service with a database and a client, which knows nothing of telemetry.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Router, http::StatusCode};
use sqlx::SqlitePool;

#[derive(Clone)]
struct Shop {
    products: SqlitePool,
    client: reqwest::Client,
    stock: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shop = Shop { products: products().await?, client: reqwest::Client::new(), stock: format!("http://{address}/stock") };
    println!("{address}");
    axum::serve(listener, app(shop)).await?;
    Ok(())
}

fn app(shop: Shop) -> Router {
    let app = Router::new().route("/products/{sku}", get(show)).route("/stock/{sku}", get(async || "3"));
    app.with_state(shop)
}

async fn products() -> Result<SqlitePool, sqlx::Error> {
    let products = SqlitePool::connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE products (sku TEXT, name TEXT)").execute(&products).await?;
    sqlx::query("INSERT INTO products VALUES ('7', 'cup')").execute(&products).await?;
    Ok(products)
}

async fn show(State(shop): State<Shop>, Path(sku): Path<String>) -> Result<String, StatusCode> {
    shop.describe(&sku).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

impl Shop {
    async fn describe(&self, sku: &str) -> Result<String, Box<dyn std::error::Error>> {
        let name = self.name(sku).await?;
        let stock = self.client.get(format!("{}/{sku}", self.stock)).send().await?.text().await?;
        Ok(format!("{name}: {stock} in stock"))
    }

    async fn name(&self, sku: &str) -> Result<String, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT name FROM products WHERE sku = ?").bind(sku);
        query.fetch_one(&self.products).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn products_have_names() {
        let shop = Shop { products: products().await.unwrap(), client: reqwest::Client::new(), stock: String::new() };
        assert_eq!(shop.name("7").await.unwrap(), "cup");
        assert!(shop.name("8").await.is_err());
    }
}
