//! The shop's metrics: one of its own, and the page with all of them for Prometheus.

use axum::Router;
use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue};
use axum::routing::get;
use telemark::Counter;
use telemark::prometheus::PrometheusExporter;

/// What the business wants to know. Declared once, recorded in one line.
pub(crate) static ORDERS: Counter<u64> =
    Counter::new("shop.orders").with_unit("{order}").with_description("Orders, by what became of them");

/// `GET /metrics`, beside the traced routes: a scrape is no request of a visitor.
pub(crate) fn page(prometheus: PrometheusExporter) -> Router {
    Router::new().route("/metrics", get(async move |headers: HeaderMap| prometheus.respond::<Body>(&headers)))
}

/// Looks at the page as Prometheus would, and says which trace the slowest request's exemplar leads to.
pub(crate) fn follow_an_exemplar(prometheus: &PrometheusExporter) {
    let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/openmetrics-text"))]);
    let page = String::from_utf8(prometheus.respond::<Vec<u8>>(&accept).into_body()).unwrap_or_default();
    let slowest = page
        .lines()
        .filter(|line| line.starts_with("http_server_request_duration_seconds_bucket"))
        .filter_map(exemplar)
        .max_by(|one, other| one.1.total_cmp(&other.1));
    if let Some((trace, seconds)) = slowest {
        println!("GET /metrics: the slowest request took {seconds:.3} s; its exemplar leads to trace {trace} above.");
    }
}

/// The trace id and the value of the exemplar in a line such as `… 3 # {trace_id="…",span_id="…"} 0.18 1700000000.1`.
fn exemplar(line: &str) -> Option<(&str, f64)> {
    let (_, exemplar) = line.split_once("# {trace_id=\"")?;
    let (trace, rest) = exemplar.split_once('"')?;
    let value = rest.split_once("} ")?.1.split(' ').next()?;
    Some((trace, value.parse().ok()?))
}
