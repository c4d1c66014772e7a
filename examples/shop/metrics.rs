//! The shop's metrics: a custom counter, and the Prometheus page with all metrics.

use axum::Router;
use axum::body::Body;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue};
use axum::routing::get;
use telemark::Counter;
use telemark::prometheus::PrometheusExporter;

/// A business metric: declared once, recorded in one line.
pub(crate) static ORDERS: Counter<u64> =
    Counter::new("shop.orders").with_unit("{order}").with_description("Orders, by what became of them");

/// `GET /metrics`, outside of the traced routes, because a scrape is not a visit.
pub(crate) fn page(prometheus: PrometheusExporter) -> Router {
    // telemark: allow(handler)
    Router::new().route("/metrics", get(async move |headers: HeaderMap| prometheus.respond::<Body>(&headers)))
}

/// Reads the page like Prometheus would and prints the trace of the slowest request, taken from its exemplar.
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

/// Returns the trace id and the value from a line such as `… 3 # {trace_id="…",span_id="…"} 0.18 1700000000.1`.
fn exemplar(line: &str) -> Option<(&str, f64)> {
    let (_, exemplar) = line.split_once("# {trace_id=\"")?;
    let (trace, rest) = exemplar.split_once('"')?;
    let value = rest.split_once("} ")?.1.split(' ').next()?;
    Some((trace, value.parse().ok()?))
}
