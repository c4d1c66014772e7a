//! One outgoing request: its context, its measurement, and the only place where both end.

use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, StringValue, global};
use telemark_kit::{Attributes, BoundedText, Cut, attach_unless_current, guarded, keys, watch};

use super::config::ClientConfig;
use super::connection::PhaseLog;
use super::current::Entered;
use super::failure::Failure;
use super::head::ClientResponseHead;
use super::measurement::{Measurement, Outcome, Recorder};
use crate::shared::captured::RESPONSE;
use crate::shared::headers::HeaderInjector;
use crate::shared::status::code;
use crate::shared::{content_length, kept, version};

/// The part of a client that its calls use after they have begun.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) config: ClientConfig,
    pub(crate) recorder: Recorder,
}

/// The span of an outgoing request, and its measurement.
///
/// Both end exactly once: with the head of the response ([`ClientCall::respond`]), with [`ClientCall::fail`], or as
/// cancelled if this value is dropped first.
pub struct ClientCall {
    client: Arc<Client>,
    /// `None` if nothing is recorded, and the current context stays current.
    context: Option<Context>,
    propagates: bool,
    /// Read once, before the span is moved behind the lock of the context.
    is_recording: bool,
    has_ended: bool,
    cut: Cut,
    /// `None` if no metrics are recorded, and after the measurement was recorded.
    measured: Option<Measurement>,
}

/// The way in which a call ended.
enum End<'r> {
    Responded(ClientResponseHead<'r>),
    Failed(Failure),
    Panicked,
    Cancelled,
}

impl ClientCall {
    pub(crate) fn new(
        client: Arc<Client>,
        context: Context,
        propagates: bool,
        is_recording: bool,
        cut: Cut,
        measured: Option<Measurement>,
    ) -> Self {
        ClientCall { client, context: Some(context), propagates, is_recording, has_ended: false, cut, measured }
    }

    /// Returns a call without a span and a measurement.
    pub(crate) fn unrecorded(client: Arc<Client>, propagates: bool) -> Self {
        let cut = Cut::default();
        ClientCall { client, context: None, propagates, is_recording: false, has_ended: false, cut, measured: None }
    }

    /// Increments the number of active requests.
    pub(crate) fn count(&mut self) {
        if let Some(measurement) = &mut self.measured {
            // A meter is user code: its panic must not fail the request.
            guarded(|| measurement.count(&self.client.recorder));
        }
    }

    /// Writes the context of this call into the headers of the request, in the formats of the API's global propagator.
    /// Writes nothing to hosts outside of [`ClientConfig::with_propagation_hosts`](crate::ClientConfig::with_propagation_hosts).
    pub fn inject(&self, headers: &mut HeaderMap) {
        if !self.propagates {
            return;
        }
        // The propagator may be user code. If it panics, the request is sent without context.
        guarded(|| {
            let mut headers = HeaderInjector(headers);
            global::get_text_map_propagator(|propagator| match &self.context {
                Some(context) => propagator.inject_context(context, &mut headers),
                None => propagator.inject_context(&Context::current(), &mut headers),
            });
        });
    }

    /// Makes the context with the span current until the returned value is dropped. Call it on every poll.
    pub fn enter(&self) -> Option<Entered> {
        self.context.as_ref().and_then(|context| guarded(|| Entered::new(context)))
    }

    /// Returns the context with the span; `None` if nothing is recorded.
    pub fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// Returns true if this request has a recorded span or metrics that have not ended.
    #[inline]
    pub fn is_recording(&self) -> bool {
        !self.has_ended && (self.is_recording || self.measured.is_some())
    }

    /// Records the head of the response, and ends the span and the measurement.
    ///
    /// Returns a meter for the body of the response if the settings ask for its size.
    ///
    /// spec: http/http-spans.md#http-client-span: the span ends after the response headers are read
    pub fn respond(&mut self, response: ClientResponseHead<'_>) -> Option<ResponseBodyMeter> {
        self.end(End::Responded(response))
    }

    /// Records that there is no response, and ends the span and the measurement.
    pub fn fail(&mut self, failure: Failure) {
        self.end(End::Failed(failure));
    }

    /// Calls the code that sends the request, and ends this call if that code panics. The panic is not caught.
    pub fn watch<R>(&mut self, send: impl FnOnce() -> R) -> R {
        watch(self, send, |call| drop(call.end(End::Panicked)))
    }

    /// Runs the future that sends the request, in the context of this call, and watches it like [`ClientCall::watch`].
    pub async fn run<F: Future>(&mut self, send: F) -> F::Output {
        let mut send = pin!(send);
        poll_fn(|cx| {
            let _entered = self.enter();
            self.watch(|| send.as_mut().poll(cx))
        })
        .await
    }

    fn end(&mut self, end: End<'_>) -> Option<ResponseBodyMeter> {
        let is_recording = self.is_recording();
        self.has_ended = true;
        if !is_recording {
            return None;
        }
        let client = Arc::clone(&self.client);
        let mut outcome = Outcome::default();
        match &end {
            End::Responded(response) => {
                outcome.status = Some(response.status);
                outcome.version = Some(response.version);
                // A policy is application code; if it panics, the request must not fail.
                let is_error = guarded(|| client.config.policy().is_error(response.status)).unwrap_or_default();
                outcome.error = is_error.then(|| code(response.status));
            }
            End::Failed(failure) => outcome.error = Some(failure.error_type),
            End::Panicked => outcome.error = Some("panic"),
            End::Cancelled => {}
        }
        let measured = self.measured.take();
        let ended = measured.as_ref().and_then(|measurement| self.record_metrics(measurement, &outcome));
        if self.is_recording {
            // Span processors are user code, and the thread may already be unwinding from a panic.
            guarded(|| self.record(&end, &outcome, ended));
        }
        let counts = matches!(end, End::Responded(_)) && Measurement::counts_body(&client.recorder);
        let measurement = measured.filter(|_| counts)?;
        let context = self.context.clone()?;
        Some(ResponseBodyMeter { client, context, measurement, outcome, bytes: 0 })
    }

    /// Records the metrics in the context of the span, before it ends, so that exemplars point to it. Returns the end time of
    /// the span.
    fn record_metrics(&self, measurement: &Measurement, outcome: &Outcome) -> Option<SystemTime> {
        let recorder = &self.client.recorder;
        // The clock may be user code.
        let ended = guarded(|| measurement.now(recorder));
        // The API panics if the thread is ending and its context has been destroyed.
        let _current = self.context.as_ref().and_then(|context| guarded(|| attach_unless_current(context)).flatten());
        guarded(|| measurement.finish(recorder, outcome, ended));
        ended
    }

    fn record(&mut self, end: &End<'_>, outcome: &Outcome, ended: Option<SystemTime>) {
        let Some(context) = &self.context else { return };
        let mut attributes = Attributes::with_capacity(6);
        attributes.cut = std::mem::take(&mut self.cut);
        let mut description = String::new();
        match end {
            End::Responded(response) => self.describe(response, &mut attributes),
            End::Failed(failure) => description.clone_from(&failure.description),
            End::Panicked => "the client panicked".clone_into(&mut description),
            End::Cancelled => attributes.add(keys::TELEMARK_OUTCOME, "cancelled"),
        }
        if let Some(error) = outcome.error {
            attributes.add(keys::ERROR_TYPE, error);
        }
        attributes.list.extend(attributes.cut.attribute());
        let span = context.span();
        if !matches!(end, End::Responded(_)) {
            // An outer call's phases are not this call's.
            if let Some(phases) = context.get::<PhaseLog>().filter(|_| self.client.config.has_connection_phases) {
                // The clock may be user code, and the span must end with its outcome.
                guarded(|| phases.cut_off(context, ended));
            }
        }
        span.set_attributes(attributes.list);
        if outcome.error.is_some() {
            // spec: http/http-spans.md#status: no description if the status code explains the error
            span.set_status(Status::error(description));
        }
        match ended {
            Some(ended) => span.end_with_timestamp(ended),
            None => span.end(),
        }
    }

    fn describe(&self, response: &ClientResponseHead<'_>, attributes: &mut Attributes) {
        let config = &self.client.config;
        attributes.add(keys::HTTP_RESPONSE_STATUS_CODE, i64::from(response.status.as_u16()));
        if let Some(version) = version::attribute(response.version) {
            attributes.add(keys::NETWORK_PROTOCOL_VERSION, version);
        }
        if let Some(peer) = response.peer {
            attributes.add(keys::NETWORK_PEER_ADDRESS, address(peer.ip().to_canonical()));
            attributes.add(keys::NETWORK_PEER_PORT, i64::from(peer.port()));
        }
        if config.opt_in.response_size {
            if let Some(bytes) = content_length::declared(response.headers) {
                attributes.add(keys::HTTP_RESPONSE_BODY_SIZE, i64::try_from(bytes).unwrap_or(i64::MAX));
            }
        }
        config.choices.capture(RESPONSE, response.headers, attributes);
        guarded(|| config.policy().response_attributes(response, &mut attributes.list));
    }
}

impl fmt::Debug for ClientCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientCall { context, has_ended, measured, .. } = self;
        let mut shown = f.debug_struct("ClientCall");
        shown
            .field("context", context)
            .field("has_ended", has_ended)
            .field("measured", measured)
            .finish_non_exhaustive()
    }
}

impl Drop for ClientCall {
    /// A caller that drops its request has cancelled it.
    ///
    /// spec: http/http-spans.md#status: an intentional cancellation should not be an error
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

/// Counts the bytes of a response body, and records `http.client.response.body.size` when it ends or is dropped.
pub struct ResponseBodyMeter {
    client: Arc<Client>,
    context: Context,
    measurement: Measurement,
    outcome: Outcome,
    bytes: u64,
}

impl ResponseBodyMeter {
    /// Adds a number of bytes that were read.
    #[inline]
    pub fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Records the size of a body that failed, with this value of `error.type`.
    pub fn fail(mut self, error_type: &'static str) {
        self.outcome.error = Some(error_type);
    }
}

impl Drop for ResponseBodyMeter {
    fn drop(&mut self) {
        let _current = guarded(|| self.context.clone().attach());
        self.measurement.finish_body(&self.client.recorder, &self.outcome, self.bytes);
    }
}

impl fmt::Debug for ResponseBodyMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBodyMeter").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

fn address(ip: IpAddr) -> StringValue {
    kept::address(ip).map_or_else(|| BoundedText::from(ip.to_string()).text.into(), StringValue::from)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Extensions, Method, StatusCode, Version};
    use opentelemetry::trace::noop::NoopTracer;

    use super::*;
    use crate::{ClientMetrics, ClientPolicy, ClientRequestHead, HttpClientInstrumentation, Target};

    struct Counts(Arc<AtomicUsize>);

    impl ClientPolicy for Counts {
        fn is_error(&self, _status: StatusCode) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            false
        }
    }

    #[test]
    fn a_policy_judges_only_responses_that_are_recorded() {
        let judged = Arc::new(AtomicUsize::new(0));
        let config = ClientConfig::new().with_policy(Counts(judged.clone()));
        let bare = HttpClientInstrumentation::new(config, NoopTracer::new());
        let meter = global::meter("test");
        for (client, expected) in [(bare.clone(), 0), (bare.with_metrics(ClientMetrics::new(&meter)), 1)] {
            let headers = HeaderMap::new();
            let head = ClientRequestHead::from_parts(&Method::GET, Target::parse("http://h/"), &headers);
            let mut call = client.begin(head);
            let extensions = Extensions::new();
            call.respond(ClientResponseHead::from_parts(StatusCode::OK, Version::HTTP_11, &headers, &extensions));
            assert!(!call.is_recording());
            assert_eq!(judged.load(Ordering::Relaxed), expected);
        }
    }
}
