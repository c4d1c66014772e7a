//! The response to a scrape, for any HTTP server.

use telemark_sdk::ExportError;

use crate::format::Format;

/// A response to a scrape, from [`PrometheusExporter::response_for`](crate::PrometheusExporter::response_for).
///
/// ```
/// use telemark_prometheus::PrometheusExporter;
///
/// // No provider has this exporter's reader.
/// let response = PrometheusExporter::new().response_for("", "");
/// assert_eq!(response.status, 503);
/// assert_eq!(response.content_type, "text/plain; charset=utf-8");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageResponse {
    /// The HTTP status: 200 with a page, or 503 if the collection failed.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: &'static str,
    /// The `Content-Encoding` header: `gzip`, or `None` to omit it.
    pub content_encoding: Option<&'static str>,
    /// The `Vary` header, which tells caches what the page depends on, or `None` to omit it.
    pub vary: Option<&'static str>,
    /// The page, encoded as given by `content_encoding`, or the reason why there is no page.
    pub body: Vec<u8>,
}

impl PageResponse {
    pub(crate) fn new(
        format: Format,
        content_encoding: Option<&'static str>,
        page: Result<Vec<u8>, ExportError>,
    ) -> Self {
        let vary = if cfg!(feature = "gzip") { "Accept, Accept-Encoding" } else { "Accept" };
        match page {
            Ok(body) => PageResponse {
                status: 200,
                content_type: format.content_type(),
                content_encoding,
                vary: Some(vary),
                body,
            },
            Err(error) => PageResponse {
                status: 503,
                content_type: "text/plain; charset=utf-8",
                content_encoding: None,
                vary: None,
                body: format!("no metrics: {error}\n").into_bytes(),
            },
        }
    }
}

#[cfg(feature = "http")]
impl From<PageResponse> for http::Response<Vec<u8>> {
    fn from(page: PageResponse) -> Self {
        use http::HeaderValue;
        use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
        let mut response = http::Response::new(page.body);
        *response.status_mut() = http::StatusCode::from_u16(page.status).unwrap_or(http::StatusCode::OK);
        let content_type = Some(page.content_type);
        for (name, value) in
            [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, page.content_encoding), (VARY, page.vary)]
        {
            if let Some(value) = value {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
        }
        response
    }
}
