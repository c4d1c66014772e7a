//! OTLP over HTTP: the request, and what the status of the answer means.
//!
//! spec: opentelemetry-proto docs/specification.md#otlphttp-response

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use telemark_sdk::time::{Clock, Deadline};
use telemark_sdk::{ExportError, ExportReport};

use super::connection::{Connection, Unread, read, too_large};
use super::protocol::{Failure, headers};
use crate::answer::{PartialSuccess, reason};
use crate::config::{Compression, Config, Protocol};

/// Requests over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Http {
    pub(super) connection: Connection,
    headers: HeaderMap,
    json: bool,
    /// The name, in JSON, of the number of refused items.
    rejected: &'static str,
    max_response_size: usize,
}

impl Http {
    pub(super) fn new(config: &Config, rejected: &'static str) -> Self {
        let json = config.protocol == Protocol::HttpJson;
        let mut headers = headers(config);
        let content_type = if json { "application/json" } else { "application/x-protobuf" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if config.compression == Compression::Gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Ok(host) = HeaderValue::from_str(config.endpoint.authority.as_str()) {
            headers.entry(HOST).or_insert(host);
        }
        Http {
            connection: Connection::new(config),
            headers,
            json,
            rejected,
            max_response_size: config.max_response_size,
        }
    }

    pub(super) async fn send(&mut self, body: Bytes, deadline: Deadline) -> Result<ExportReport, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.connection.endpoint().path.clone().into();
        *request.headers_mut() = self.headers.clone();
        let response = self.connection.send(request, deadline).await?;
        let (head, body) = response.into_parts();
        let body = match read(body, self.max_response_size).await {
            Ok((body, _)) => Ok(body),
            Err(Unread::TooLarge) => {
                self.connection.close();
                return Err(too_large(self.connection.endpoint(), self.max_response_size));
            }
            // The status has been said: the rest would only have explained it.
            Err(Unread::Broken(error)) => {
                self.connection.close();
                Err(error)
            }
        };
        if head.status.is_success() {
            return Ok(self.report(&head.headers, body));
        }
        Err(self.failure(head.status, &head.headers, &body.unwrap_or_default()))
    }

    /// What a receiver says that took the batch.
    fn report(&self, headers: &HeaderMap, body: hyper::Result<Vec<u8>>) -> ExportReport {
        let unreadable = |why: &str| ExportReport::partial(0, format!("taken, but the answer is {why}"));
        let body = match body {
            Ok(body) => body,
            Err(error) => return unreadable(&format!("incomplete ({error})")),
        };
        let json = match text(headers, CONTENT_TYPE) {
            "" => self.json,
            content_type => content_type.starts_with("application/json"),
        };
        let partial =
            if json { PartialSuccess::from_json(&body, self.rejected) } else { PartialSuccess::from_protobuf(&body) };
        match partial {
            Some(partial) => partial.into_report(),
            None => unreadable("not OTLP"),
        }
    }

    fn failure(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        let endpoint = self.connection.endpoint();
        if status.is_redirection() {
            let location = text(headers, LOCATION);
            return Failure::Final(ExportError::rejected(format!(
                "{endpoint} answered {status} to {location:?}: redirects are not followed, set the endpoint"
            )));
        }
        let reason = reason(text(headers, CONTENT_TYPE), body);
        let separator = if reason.is_empty() { "" } else { ": " };
        let message = format!("{endpoint} answered {status}{separator}{reason}");
        // spec: these and no others
        match status.as_u16() {
            429 | 502 | 503 | 504 => Failure::Transient {
                error: ExportError::unavailable(message),
                asked: retry_after(text(headers, RETRY_AFTER), Clock::system().now().into()),
            },
            _ => Failure::Final(ExportError::rejected(message)),
        }
    }
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The pause that `Retry-After` asks for, in seconds or until a date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
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
        check("99999999999999999999", None);
    }
}
