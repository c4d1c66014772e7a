//! An HTTP client whose calls are part of the trace. Each call has a span and sends the trace context in its headers.

use std::fmt;
use std::net::SocketAddr;

use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use telemark::opentelemetry::Context;
use telemark::opentelemetry::trace::{SpanKind, Status, TraceContextExt};

/// A client for a single server.
pub(crate) struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    server: SocketAddr,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn to(server: SocketAddr) -> Self {
        Client { http: legacy::Client::builder(TokioExecutor::new()).build_http(), server }
    }

    /// Sends a request, as JSON if the body is not empty, and waits for the complete response.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &'static str) -> Result<Answer, CallError> {
        let url = format!("http://{}{path}", self.server);
        let span = telemark::span(method.to_string())
            .with_kind(SpanKind::Client)
            .with("http.request.method", method.as_str())
            .with("server.address", self.server.ip().to_string())
            .with("server.port", self.server.port())
            .with("url.full", &url);
        let call = async {
            let mut request = Request::builder().method(method).uri(&url);
            if let Some(headers) = request.headers_mut() {
                telemark::inject(headers);
            }
            let request = request.header("content-type", "application/json").body(Full::from(body))?;
            let response = self.http.request(request).await?;
            let status = response.status();
            record_status(status);
            Ok(Answer { status, body: response.into_body().collect().await?.to_bytes() })
        };
        span.try_run(call).await
    }
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// Records the status. For a client, unlike for a server, 4xx is an error.
fn record_status(status: StatusCode) {
    telemark::set_attribute("http.response.status_code", status.as_u16());
    if status.is_client_error() || status.is_server_error() {
        telemark::set_attribute("error.type", status.as_str());
        Context::current().span().set_status(Status::error(""));
    }
}

/// The request failed, or its response could not be parsed.
#[derive(Debug)]
pub(crate) struct CallError(Box<dyn std::error::Error + Send + Sync>);

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Dereferences to the cause, so that spans record the type of the cause.
impl std::ops::Deref for CallError {
    type Target = dyn std::error::Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for CallError {
    fn from(error: E) -> Self {
        CallError(Box::new(error))
    }
}
