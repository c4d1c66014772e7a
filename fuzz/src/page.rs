//! The Prometheus page: what a scraper asks for.

use telemark_prometheus::PrometheusExporter;

/// Any `Accept` and `Accept-Encoding` gives a page.
pub(crate) fn negotiation(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (accept, encoding) = text.split_once('\n').unwrap_or((&text, ""));
    let response = PrometheusExporter::new().response_for(accept, encoding);
    assert!(response.content_type.is_ascii());
}
