//! The response body, whose bytes are counted for `http.client.response.body.size`.

use reqwest::{Body, Error, Response, ResponseBuilderExt};
use telemark_http::{ClientResponseBody, ResponseBodyMeter};

/// Counts the bytes of the response's body.
pub(crate) fn metered(response: Response, meter: ResponseBodyMeter) -> Response {
    let url = response.url().clone();
    let (mut parts, inner) = http::Response::<Body>::from(response).into_parts();
    // reqwest keeps the URL outside of the response's parts, and reads it from an extension.
    if let Ok(carrier) = http::Response::builder().url(url).body(()) {
        parts.extensions.extend(carrier.into_parts().0.extensions);
    }
    let body = Body::wrap(ClientResponseBody::new(inner, Some(meter), error_type));
    Response::from(http::Response::from_parts(parts, body))
}

fn error_type(error: &Error) -> &'static str {
    if error.is_timeout() { "timeout" } else { "body" }
}
