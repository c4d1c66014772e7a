//! OTLP over HTTP: the request, and the verdict in its response.
//!
//! spec: opentelemetry-proto docs/specification.md#otlphttp-response

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, LOCATION, PROXY_AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use telemark_sdk::time::{Clock, Deadline};
use telemark_sdk::{ExportError, ExportReport, ResponseStatus, text};

use super::connection::Connection;
use super::failure::Failure;
use super::request::{Headers, header, uri};
use crate::config::{Config, SignalNames};
use crate::response::{
    ACCEPTED_ENCODING, MediaType, Undecoded, decode, partial_success_of_json, partial_success_of_protobuf, reason,
    unreadable,
};
use crate::settings::{Compression, Protocol};

/// Requests over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Http {
    pub(super) connection: Connection,
    pub(super) headers: Headers,
    /// The path, or the whole URL if a proxy needs it.
    uri: Uri,
    json: bool,
    /// The setting that the endpoint comes from.
    setting: String,
    signal: SignalNames,
    max_response_size: usize,
}

impl Http {
    pub(super) fn new(config: &Config) -> Self {
        let json = config.protocol == Protocol::HttpJson;
        let connection = Connection::new(config);
        let mut protocol = HeaderMap::new();
        let content_type = if json { "application/json" } else { "application/x-protobuf" };
        protocol.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if config.compression == Compression::Gzip {
            protocol.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let uri = match connection.peer.forwarding_proxy() {
            Some(proxy) => {
                protocol.extend(proxy.authorization.clone().map(|value| (PROXY_AUTHORIZATION, value)));
                uri(&config.endpoint)
            }
            None => config.endpoint.path.clone().into(),
        };
        let mut headers = Headers::new(config, protocol);
        if let Some(accepted) = ACCEPTED_ENCODING {
            headers.or_insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        }
        if let Ok(host) = HeaderValue::from_str(config.endpoint.authority.as_str()) {
            headers.or_insert(HOST, host);
        }
        Http {
            connection,
            headers,
            uri,
            json,
            setting: config.endpoint_setting.to_string(),
            signal: config.signal,
            max_response_size: config.max_response_size,
        }
    }

    pub(super) fn send(&mut self, body: Arc<Vec<u8>>, deadline: Deadline) -> Result<ExportReport, Failure> {
        let headers = self.headers.current(&mut self.connection, deadline)?.clone();
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let response = self.connection.exchange(request, 0, deadline)?;
        let status = ResponseStatus::Http(response.status.as_u16());
        let encoding = header(&response.headers, CONTENT_ENCODING);
        let body = match response.body.map(|body| decode(encoding, body, self.max_response_size)) {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(Undecoded::TooLarge)) => return Err(self.connection.peer.too_large().with_response(status)),
            Ok(Err(Undecoded::Unknown(description))) => Err(description),
            // The status is already known. The missing part of the body could only have explained it.
            Err(error) => Err(format!("incomplete ({})", text::display(error))),
        };
        if response.status.is_success() {
            return Ok(self.report(&response.headers, body).with_response(status));
        }
        Err(self.failure(response.status, &response.headers, &body.unwrap_or_default()).with_response(status))
    }

    /// Reads the response of a receiver that accepted the batch. An `Err` describes a body that is not OTLP.
    fn report(&self, headers: &HeaderMap, body: Result<Vec<u8>, String>) -> ExportReport {
        let body = match body {
            Ok(body) => body,
            Err(description) => return unreadable(&description),
        };
        let json = match header(headers, CONTENT_TYPE) {
            "" => self.json,
            content_type => MediaType::parse(content_type) == MediaType::Json,
        };
        let partial = if json {
            partial_success_of_json(&body, self.signal.rejected)
        } else {
            partial_success_of_protobuf(&body)
        };
        match partial {
            Some(partial) => partial.into_report(self.connection.peer.secrets()),
            None => unreadable("not OTLP"),
        }
    }

    fn failure(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        let endpoint = self.connection.peer.name();
        if let Some(proxy) =
            self.connection.peer.forwarding_proxy().filter(|_| status == StatusCode::PROXY_AUTHENTICATION_REQUIRED)
        {
            return Failure::Final(ExportError::unavailable(
                proxy.refusal_of_credentials(&self.connection.peer.endpoint),
            ));
        }
        if status.is_redirection() {
            let location = header(headers, LOCATION);
            return Failure::Final(ExportError::rejected(format!(
                "{endpoint} answered {status} to \"{}\": redirects are not followed, set the endpoint",
                text::url(location)
            )));
        }
        let reason = reason(header(headers, CONTENT_TYPE), body, self.connection.peer.secrets());
        let separator = if reason.is_empty() { "" } else { ": " };
        let message = format!("{endpoint} answered {status}{separator}{reason}{}", self.hint(status));
        // spec: only these may be retried
        match status.as_u16() {
            413 => Failure::TooLarge(ExportError::too_large(message)),
            429 | 502 | 503 | 504 => Failure::Transient {
                error: ExportError::unavailable(message),
                asked: retry_after(header(headers, RETRY_AFTER), Clock::system().now().into()),
            },
            _ => Failure::Final(ExportError::rejected(message)),
        }
    }

    /// Returns a hint about the likely mistake if the receiver does not know the path, or an empty string.
    fn hint(&self, status: StatusCode) -> String {
        let (endpoint, signal_path) = (&self.connection.peer.endpoint, self.signal.path);
        let path = endpoint.path.path();
        if status != StatusCode::NOT_FOUND {
            String::new()
        } else if !path.ends_with(signal_path) {
            // spec: protocol/exporter.md#endpoint-urls-for-otlphttp — used as it is
            let slash = if path.ends_with('/') { "" } else { "/" };
            format!(
                " ({} is used as it is: is {}://{}{path}{slash}{signal_path} meant?)",
                self.setting,
                endpoint.scheme(),
                endpoint.authority
            )
        } else {
            let set = path.trim_end_matches(signal_path).trim_end_matches('/');
            match ["v1/traces", "v1/logs", "v1/metrics"].into_iter().find(|path| set.ends_with(path)) {
                Some(end) => format!(" ({signal_path} is appended to {}, which ends with {end} already)", self.setting),
                None => String::new(),
            }
        }
    }
}

/// Returns the pause requested by `Retry-After`, which is a number of seconds or a date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is treated as a very long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn pauses() {
        // 1994-11-06 08:49:37
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |value, expected: Option<u64>| {
            assert_eq!(retry_after(value, now), expected.map(Duration::from_secs), "{value:?}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("Sun, 06 Nov 1994 08:50:07 GMT", Some(30));
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("", None);
        check("-1", None);
        check("soon", None);
        check("99999999999999999999", Some(u64::MAX));
    }
}
