//! Web pages that send telemetry: which origins may, and the headers by which browsers learn that.
//!
//! spec: <https://fetch.spec.whatwg.org/#http-cors-protocol>

use std::net::IpAddr;

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode, Uri};

/// The header with which a browser asks to reach this machine from a public page.
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// The origins whose pages may send. Pages of this machine need no permission, but browsers let them send only from the receiver's own
/// origin.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(Vec<String>);

/// The sender of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// A program, or a page of this machine.
    Local,
    /// A page of an allowed origin, which the response names.
    Allowed(HeaderValue),
    /// A page of another origin.
    Foreign,
}

impl Origins {
    pub(super) fn new(origins: Vec<String>) -> Self {
        Origins(origins)
    }

    /// Returns the sender of a request with these headers.
    pub(super) fn sender(&self, headers: &HeaderMap) -> Sender {
        let Some(origin) = headers.get(header::ORIGIN) else { return Sender::Local };
        let text = origin.to_str().unwrap_or_default();
        if self.0.iter().any(|allowed| allowed.eq_ignore_ascii_case(text)) {
            return Sender::Allowed(origin.clone());
        }
        let uri = text.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if is_local { Sender::Local } else { Sender::Foreign }
    }
}

/// Returns the response to a request with which a browser asks for permission, or `None` for all other requests.
pub(super) fn preflight(head: &Parts) -> Option<Response<Vec<u8>>> {
    if head.method != Method::OPTIONS || !head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    // Programs choose headers for their receivers, and those that the viewer does not know have no effect.
    if let Some(wanted) = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    if head.headers.get(REQUEST_PRIVATE_NETWORK).is_some_and(|value| value == "true") {
        headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Some(response)
}

/// Adds the headers with which a browser shows the response to the page.
pub(super) fn permit(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    // `sendBeacon` always sends cookies, of which the receiver reads none.
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
