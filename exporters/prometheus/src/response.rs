//! The answer to a request, for whatever server sends it.

use telemark_sdk::ExportError;

use crate::format::Format;

/// What to send: a status, headers and a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status: 200, or 503 when there is no page for the moment.
    pub status: u16,
    /// The header `Content-Type`.
    pub content_type: &'static str,
    /// The header `Content-Encoding`, if there is to be one.
    pub content_encoding: Option<&'static str>,
    /// The header `Vary`, if there is to be one: what a cache must not mix up.
    pub vary: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A page in this format and coding, or why there is none.
    pub(crate) fn new(format: Format, coding: Option<&'static str>, page: Result<Vec<u8>, ExportError>) -> Self {
        let vary = if cfg!(feature = "gzip") { "Accept, Accept-Encoding" } else { "Accept" };
        let content_type = format.content_type();
        match page {
            Ok(body) => Answer { status: 200, content_type, content_encoding: coding, vary: Some(vary), body },
            Err(error) => Answer {
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
impl From<Answer> for http::Response<Vec<u8>> {
    fn from(answer: Answer) -> Self {
        use http::HeaderValue;
        use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
        let mut response = http::Response::new(answer.body);
        *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::OK);
        let content_type = Some(answer.content_type);
        for (name, value) in
            [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, answer.content_encoding), (VARY, answer.vary)]
        {
            if let Some(value) = value {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
        }
        response
    }
}
