//! The Prometheus page, as requested by a scraper.

use telemark_prometheus::PrometheusExporter;

/// Every `Accept` and `Accept-Encoding` must produce a page.
pub(crate) fn negotiation(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (accept, encoding) = text.split_once('\n').unwrap_or((&text, ""));
    let response = PrometheusExporter::new().response_for(accept, encoding);
    assert!(response.content_type.is_ascii());
}
