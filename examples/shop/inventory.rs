//! The inventory: a second service, which asks the warehouse over gRPC how many items there are.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tonic::Code;
use tracing::{error, info, warn};

use crate::warehouse::Warehouse;

#[derive(Serialize, Deserialize)]
pub(crate) struct Stock {
    pub(crate) available: i64,
}

pub(crate) fn app(warehouse: Warehouse) -> Router {
    Router::new().route("/stock/{sku}", get(stock)).with_state(warehouse).layer(telemark::axum::layer())
}

async fn stock(State(mut warehouse): State<Warehouse>, Path(sku): Path<String>) -> Result<Json<Stock>, StatusCode> {
    match warehouse.count(sku.clone()).await {
        Ok(available) => {
            if available < 10 {
                warn!(product.sku = sku, stock.available = available, "few left");
            }
            Ok(Json(Stock { available }))
        }
        Err(status) if status.code() == Code::NotFound => {
            info!(product.sku = sku, "no such product");
            Err(StatusCode::NOT_FOUND)
        }
        Err(status) => {
            error!(product.sku = sku, "{status}");
            Err(StatusCode::BAD_GATEWAY)
        }
    }
}
