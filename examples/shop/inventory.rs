//! The inventory: a second service, which counts the items on the shelves.

use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use telemark::traced;
use tokio::time::sleep;
use tracing::{info, warn};

const SHELVES: &[(&str, i64)] = &[("teapot", 5), ("cup", 40), ("cup", 8), ("milk jug", 0)];

#[derive(Serialize, Deserialize)]
pub(crate) struct Stock {
    pub(crate) available: i64,
}

pub(crate) fn app() -> Router {
    Router::new().route("/stock/{sku}", get(stock)).layer(telemark::axum::layer())
}

async fn stock(Path(sku): Path<String>) -> Result<Json<Stock>, StatusCode> {
    let Some(available) = count(&sku).await else {
        info!(product.sku = sku, "no such product");
        return Err(StatusCode::NOT_FOUND);
    };
    Ok(Json(Stock { available }))
}

/// Returns the number of items on all of the product's shelves, or `None` if it has no shelf.
#[traced(fields(product.sku = sku))]
async fn count(sku: &str) -> Option<i64> {
    let shelves: Vec<_> = SHELVES.iter().filter(|(name, _)| *name == sku).collect();
    sleep(Duration::from_millis(5)).await; // walking to the shelf
    telemark::set_attribute("stock.shelves", shelves.len());
    let available = shelves.iter().map(|(_, items)| items).sum();
    if available < 10 {
        warn!(product.sku = sku, stock.available = available, "few left");
    }
    (!shelves.is_empty()).then_some(available)
}
