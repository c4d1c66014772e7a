//! The parts of a request that both protocols share.

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Config;

/// Returns the headers for every request, including the configured ones.
pub(super) fn headers(config: &Config) -> HeaderMap {
    /// spec: protocol/exporter.md#user-agent — a product name may precede it
    const AGENT: &str =
        concat!("telemark/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
    let mut headers = config.headers.clone();
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    headers
}

/// Returns the value of a response header, or an empty string if it is missing or not text.
pub(super) fn header(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
