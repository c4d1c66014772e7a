//! The page of metrics, for Prometheus and for people.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use telemark::prometheus::{Escaping, Format, Prometheus, Protocol};

/// Who asks for no format in particular, such as curl, gets the one that has exemplars.
pub(crate) fn exporter() -> Prometheus {
    Prometheus::builder().with_fallback(Format::new(Protocol::OpenMetrics1_0_0, Escaping::Underscores)).build()
}

/// Without a layer: who reads the numbers does not change them.
pub(crate) fn app(prometheus: Prometheus) -> Router {
    Router::new().route("/metrics", get(page)).with_state(prometheus)
}

async fn page(State(prometheus): State<Prometheus>, headers: HeaderMap) -> Result<Response, StatusCode> {
    // It may wait for another collection, which is nothing for an async thread.
    let page = tokio::task::spawn_blocking(move || prometheus.respond(&headers)).await;
    page.map(|page| page.map(Body::from)).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
