//! Telemetry for a single test: in-memory exporters, a manual clock, sequential ids, and spans, metrics and log records as text.
//!
//! ```
//! use telemark::testing::TestTelemetry;
//! use telemark::{Counter, traced};
//!
//! static ORDERS: Counter<u64> = Counter::new("shop.orders").with_unit("{order}");
//!
//! #[traced(fields(sku))]
//! fn order(sku: &str, number: u64) -> Result<(), std::num::ParseIntError> {
//!     ORDERS.add(number, ("shop.order.paid", true));
//!     charge("3600")
//! }
//!
//! #[traced(kind = client)]
//! fn charge(cents: &str) -> Result<(), std::num::ParseIntError> {
//!     cents.parse::<u64>().map(drop)
//! }
//!
//! // In a `#[test]`. Each test has its own telemetry.
//! let telemetry = TestTelemetry::new();
//! let _attached = telemetry.attach();
//! order("cup", 2)?;
//! assert_eq!(telemetry.tree(), "order sku=cup\n  charge (client)\n");
//! // The exemplar leads to trace 1, span 1.
//! assert_eq!(telemetry.metrics(), "shop.orders[{order}]{shop.order.paid=true} sum 2 # 2 @1:1\n");
//! # Ok::<(), std::num::ParseIntError>(())
//! ```
//!
//! To test a service with a layer, create the service after `attach` and send it a request.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use telemark::testing::TestTelemetry;
//! use tower::ServiceExt;
//!
//! fn app() -> Router {
//!     Router::new().route("/users/{id}", get(async || "a user")).layer(telemark::axum::layer())
//! }
//!
//! let telemetry = TestTelemetry::new();
//! let _attached = telemetry.attach();
//! let response = app().oneshot(Request::get("/users/7").body(Body::empty())?).await?;
//! drop(response); // a request ends with its body
//! assert_eq!(telemetry.spans()[0].name, "GET /users/{id}");
//! assert!(telemetry.metrics().starts_with("http.server.request.duration[s]{http.request.method=GET,"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use telemark_sdk::runtime::{ManualRuntime, Runtime};
pub use telemark_sdk::testing::{
    InMemoryExporter, ManualClock, SequentialIds, TestTelemetry, logs_text, metrics_text, tree,
};
