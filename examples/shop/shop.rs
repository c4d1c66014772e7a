//! The shop: its routes, and the handling of an order.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use telemark::{reqwest, traced};
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::inventory::Stock;
use crate::metrics::ORDERS;
use crate::store::{Product, Store};

struct Shop {
    store: Store,
    client: reqwest::Client,
    inventory: SocketAddr,
}

pub(crate) fn app(store: Store, inventory: SocketAddr) -> Router {
    Router::new()
        .route("/products", get(list))
        .route("/products/{sku}", get(show))
        .route("/products/{sku}/similar", get(similar))
        .route("/orders", post(order))
        .with_state(Arc::new(Shop { store, client: reqwest::Client::new(), inventory }))
        .layer(telemark::axum::layer())
}

async fn list(State(shop): State<Arc<Shop>>) -> Result<Json<Vec<Product>>, ShopError> {
    Ok(Json(shop.store.products().await?))
}

async fn show(State(shop): State<Arc<Shop>>, Path(sku): Path<String>) -> Result<Json<Product>, ShopError> {
    let product = shop.store.product(&sku).await?.ok_or(ShopError::UnknownProduct);
    product.map(Json).inspect_err(|reason| reason.log(&sku))
}

#[derive(Deserialize)]
struct Order {
    sku: String,
    quantity: i64,
    card: String,
}

async fn order(State(shop): State<Arc<Shop>>, Json(order): Json<Order>) -> Result<(StatusCode, String), ShopError> {
    let placed = shop.place(&order).await;
    ORDERS.add(1, ("shop.order.outcome", if placed.is_ok() { "placed" } else { "refused" }));
    let number = placed.inspect_err(|reason| reason.log(&order.sku))?;
    info!(order.number = number, order.sku, order.quantity, "order placed");
    Ok((StatusCode::CREATED, format!("order {number}")))
}

impl Shop {
    #[traced(fields(order.sku = order.sku, order.quantity = order.quantity))]
    async fn place(&self, order: &Order) -> Result<i64, ShopError> {
        let product = self.store.product(&order.sku).await?.ok_or(ShopError::UnknownProduct)?;
        if self.available(&order.sku).await? < order.quantity {
            return Err(ShopError::SoldOut);
        }
        charge(&order.card, product.cents * order.quantity).await?;
        Ok(self.store.insert_order(&order.sku, order.quantity).await?)
    }

    async fn available(&self, sku: &str) -> Result<i64, reqwest::Error> {
        let url = format!("http://{}/stock/{sku}", self.inventory);
        let stock: Stock = self.client.get(url).send().await?.error_for_status()?.json().await?;
        Ok(stock.available)
    }
}

/// Records only the listed fields, and therefore not the card number.
#[traced(name = "charge card", metrics, fields(payment.cents = cents))]
async fn charge(card: &str, cents: i64) -> Result<(), ShopError> {
    sleep(Duration::from_millis(15)).await; // the bank thinks
    if card.starts_with("4000") { Err(ShopError::CardDeclined) } else { Ok(()) }
}

/// The slow route, which makes two concurrent searches, one of them in a separate task.
async fn similar(Path(sku): Path<String>) -> Result<String, ShopError> {
    // `propagate` carries the trace into the task.
    let bought = tokio::spawn(telemark::propagate(bought_together(sku.clone())));
    let shelf = same_shelf(&sku).await;
    Ok(format!("{shelf}, {}", bought.await.unwrap_or("kettle")))
}

#[traced(fields(product.sku = sku))]
async fn bought_together(sku: String) -> &'static str {
    sleep(Duration::from_millis(180)).await;
    if sku == "teapot" { "cup" } else { "teapot" }
}

#[traced(fields(product.sku = sku))]
async fn same_shelf(sku: &str) -> &'static str {
    sleep(Duration::from_millis(60)).await;
    telemark::add_event("shelf read", []);
    sleep(Duration::from_millis(60)).await;
    if sku == "teapot" { "milk jug" } else { "saucer" }
}

#[derive(Debug)]
enum ShopError {
    UnknownProduct,
    SoldOut,
    CardDeclined,
    Inventory(reqwest::Error),
    Database(sqlx::Error),
}

impl ShopError {
    /// Logs why a request for this product failed, at the level of an error if the shop is to blame.
    fn log(&self, sku: &str) {
        match self {
            ShopError::UnknownProduct | ShopError::SoldOut => warn!(product.sku = sku, "{self}"),
            _ => error!(product.sku = sku, "{self}"),
        }
    }
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShopError::UnknownProduct => f.write_str("there is no such product"),
            ShopError::SoldOut => f.write_str("there are not enough left"),
            ShopError::CardDeclined => f.write_str("the card was declined"),
            ShopError::Inventory(error) => write!(f, "the inventory did not answer: {error}"),
            ShopError::Database(error) => write!(f, "the database did not answer: {error}"),
        }
    }
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        let status = match self {
            ShopError::UnknownProduct => StatusCode::NOT_FOUND,
            ShopError::SoldOut => StatusCode::CONFLICT,
            ShopError::CardDeclined | ShopError::Inventory(_) | ShopError::Database(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        (status, self.to_string()).into_response()
    }
}

impl From<reqwest::Error> for ShopError {
    fn from(error: reqwest::Error) -> Self {
        ShopError::Inventory(error)
    }
}

impl From<sqlx::Error> for ShopError {
    fn from(error: sqlx::Error) -> Self {
        ShopError::Database(error)
    }
}
