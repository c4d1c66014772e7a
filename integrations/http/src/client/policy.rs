//! The extension point for code: an application's knowledge about its outgoing requests.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::StatusCode;
use opentelemetry::KeyValue;

use super::head::{ClientRequestHead, ClientResponseHead};

/// Decisions in code, where settings are not enough. A policy implements only the methods it changes.
///
/// The methods are called on the thread that sends the request, once per request, and must not block. A panic in a method is
/// caught, and the request is sent with less telemetry.
pub trait ClientPolicy: Send + Sync + 'static {
    /// Returns the URL template, such as `/users/{id}`, for the span name and `url.template`. It must have low
    /// cardinality. Called if the request names none; by default, the templates of the settings are used.
    fn url_template<'r>(&self, _request: &ClientRequestHead<'r>) -> Option<Cow<'r, str>> {
        None
    }

    /// Returns a span name to use instead of `{method} {template}`, with low cardinality. None by default.
    fn span_name(&self, _request: &ClientRequestHead<'_>) -> Option<Cow<'static, str>> {
        None
    }

    /// Returns true to exclude this request from spans and metrics. Called after the excluded URLs of the settings were
    /// checked. False by default.
    fn is_excluded(&self, _request: &ClientRequestHead<'_>) -> bool {
        false
    }

    /// Returns true if a response with this status is an error, in the span and in metrics. By default, 4xx and 5xx are.
    ///
    /// spec: http/http-spans.md#status: 4xx should be an error on the client
    fn is_error(&self, status: StatusCode) -> bool {
        status.is_client_error() || status.is_server_error()
    }

    /// Adds attributes at the creation of the span, so that a sampler sees them. None by default.
    fn request_attributes(&self, _request: &ClientRequestHead<'_>, _attributes: &mut Vec<KeyValue>) {}

    /// Adds attributes once the head of the response is known. Called only for recorded spans. None by default.
    fn response_attributes(&self, _response: &ClientResponseHead<'_>, _attributes: &mut Vec<KeyValue>) {}
}

/// The policy of clients without one.
#[derive(Debug)]
pub(crate) struct DefaultClientPolicy;

impl ClientPolicy for DefaultClientPolicy {}

/// The template of a request's URL, such as `/users/{id}`. Insert it into the extensions of a request to name the span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate(pub Cow<'static, str>);

/// Counts the attempts of one request, for `http.request.resend_count`.
///
/// Insert a new one into the extensions of a request *above* a layer that retries: the clones of the request share it, and
/// the client layer below reads it.
#[derive(Clone, Debug, Default)]
pub struct ResendCounter(Arc<AtomicU32>);

impl ResendCounter {
    /// Returns a counter for a request that has not been sent yet.
    pub fn new() -> Self {
        ResendCounter::default()
    }

    /// Counts an attempt. Returns the number of earlier ones. Called only by the layer that records the attempt.
    pub fn count(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
