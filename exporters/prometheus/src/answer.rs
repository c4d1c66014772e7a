//! The answer to a request, for whatever server sends it.

use telemark_sdk::ExportError;

use crate::format::Format;

/// What to send: a status, two headers and a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status: 200, or 503 when there is no page for the moment.
    pub status: u16,
    /// The header `Content-Type`.
    pub content_type: &'static str,
    /// The header `Content-Encoding`, if there is to be one.
    pub content_encoding: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn page(format: Format, body: Vec<u8>, accept_encoding: &str) -> Self {
        let (body, content_encoding) = compressed(body, accept_encoding);
        Answer { status: 200, content_type: format.content_type(), content_encoding, body }
    }

    pub(crate) fn failure(error: &ExportError) -> Self {
        Answer {
            status: 503,
            content_type: "text/plain; charset=utf-8",
            content_encoding: None,
            body: format!("no metrics: {error}\n").into_bytes(),
        }
    }
}

#[cfg(feature = "gzip")]
fn compressed(body: Vec<u8>, accept_encoding: &str) -> (Vec<u8>, Option<&'static str>) {
    use std::io::Write;
    if !crate::negotiate::accepts_gzip(accept_encoding) {
        return (body, None);
    }
    // Pages repeat themselves: they become a twentieth at the fastest level.
    let out = Vec::with_capacity(body.len() / 16 + 64);
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    match encoder.write_all(&body).and_then(|()| encoder.finish()) {
        Ok(compressed) => (compressed, Some("gzip")),
        // Writing into memory does not fail; if it does, the page is there as it was.
        Err(_) => (body, None),
    }
}

#[cfg(not(feature = "gzip"))]
fn compressed(body: Vec<u8>, _: &str) -> (Vec<u8>, Option<&'static str>) {
    (body, None)
}

#[cfg(feature = "http")]
impl From<Answer> for http::Response<Vec<u8>> {
    fn from(answer: Answer) -> Self {
        use http::HeaderValue;
        use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
        let mut response = http::Response::new(answer.body);
        *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::OK);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        if let Some(encoding) = answer.content_encoding {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }
}
