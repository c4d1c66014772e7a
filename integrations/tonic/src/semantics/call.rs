//! One call: its context, its measurement, and the only place where both end.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use telemark_kit::{Attributes, Cut, attach_unless_current, guarded, keys, watch};
use tonic::Code;

use super::address::ServerAddress;
use super::choice::{RESPONSE_HEADERS, RESPONSE_TRAILERS};
use super::instrumentation::{Shared, add_peer, is_grpc};
use super::methods::{Method, SYSTEM};
use super::metrics::Measured;
use super::status::{self, CallStatus, Side};

/// Timers and clocks differ by up to this much.
const RESOLUTION: Duration = Duration::from_millis(1);

/// The span of an active call, and its measurement.
///
/// Both end exactly once: with the first [`Call::end`], or as [`End::Dropped`] if this value is dropped first.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) context: Context,
    /// False if the span belongs to an HTTP layer, which ends it.
    pub(crate) has_own_span: bool,
    /// Read once, before the span is moved behind the lock of the context.
    pub(crate) is_recording: bool,
    pub(crate) cut: Cut,
    pub(crate) server: Option<ServerAddress>,
    pub(crate) method: Method,
    /// The start, if a metric is recorded or the call has a deadline.
    pub(crate) started: Option<SystemTime>,
    /// The time that the client gives the call.
    pub(crate) timeout: Option<Duration>,
    pub(crate) http_status: StatusCode,
    pub(crate) is_ended: bool,
}

/// The way in which a call ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The call has a status.
    Status(CallStatus),
    /// The response ended without a status.
    WithoutStatus,
    /// The call was abandoned: by its caller, by the connection, or by a timeout.
    Dropped,
    /// The service or its response body panicked.
    Panicked,
}

/// The result of a call, for its span and its measurement.
struct Outcome {
    code: Code,
    message: String,
    error_type: Option<&'static str>,
    is_cancelled: bool,
}

impl Call {
    /// Returns the context with the span. Attach it during every poll of the service and of the response body.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Records the address of the connection's other end, which a client knows only with the response.
    pub(crate) fn peer(&mut self, peer: SocketAddr) {
        if !self.is_recording || self.is_ended {
            return;
        }
        let mut attributes = Attributes::with_capacity(2);
        add_peer(peer, &mut attributes);
        guarded(|| self.context.span().set_attributes(attributes.list));
    }

    /// Records the head of the response. Ends the call if the head contains the status.
    pub(crate) fn respond(&mut self, http_status: StatusCode, headers: &HeaderMap) {
        self.http_status = http_status;
        let status = CallStatus::in_headers(headers);
        if let Method::New(name) = &self.method {
            self.decide(revealed(name, self.shared.side, http_status, headers, status.as_ref()));
        }
        // spec: gRPC doc/PROTOCOL-HTTP2.md: "Trailers-Only": the headers are the trailers
        match status {
            Some(status) => {
                self.capture(RESPONSE_TRAILERS, headers);
                self.end(End::Status(status));
            }
            None => self.capture(RESPONSE_HEADERS, headers),
        }
    }

    /// Records the trailers, and ends the call.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        self.capture(RESPONSE_TRAILERS, trailers);
        self.end(CallStatus::in_headers(trailers).map_or(End::WithoutStatus, End::Status));
    }

    fn capture(&mut self, of: usize, fields: &HeaderMap) {
        if !self.is_recording || self.is_ended {
            return;
        }
        let mut attributes = Attributes::default();
        attributes.cut = std::mem::take(&mut self.cut);
        self.shared.capture(of, fields, &mut attributes);
        self.cut = attributes.cut;
        if !attributes.list.is_empty() {
            guarded(|| self.context.span().set_attributes(attributes.list));
        }
    }

    /// Records the method that a new one has turned out to be.
    fn decide(&mut self, known: Method) {
        let Method::New(name) = std::mem::replace(&mut self.method, known) else { return };
        if !self.is_recording {
            return;
        }
        let mut attributes = Attributes::default();
        attributes.cut = std::mem::take(&mut self.cut);
        attributes.add(keys::RPC_METHOD, self.method.attribute());
        let is_unknown = self.method == Method::Other;
        if is_unknown {
            attributes.add(keys::RPC_METHOD_ORIGINAL, name);
        }
        self.cut = attributes.cut;
        guarded(|| {
            let span = self.context.span();
            if is_unknown {
                span.update_name(SYSTEM);
            }
            span.set_attributes(attributes.list);
        });
    }

    /// Calls the application, and ends the call if it panics. The panic is not caught. The caller must have attached the context.
    pub(crate) fn watch<R>(&mut self, poll: impl FnOnce() -> R) -> R {
        watch(self, poll, |call| call.end(End::Panicked))
    }

    /// Ends the span and records the measurement. Only the first call has an effect.
    ///
    /// Records the measurement in [`Call::context`], which is cheapest while that context is still attached.
    pub(crate) fn end(&mut self, end: End) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        if let Method::New(name) = &self.method {
            // Without a response, the method may not exist.
            let tried = Method::tried(name);
            self.decide(tried);
        }
        // The clock may be user code. A clock that was set back must not give a negative duration.
        let ended = self.started.and_then(|started| guarded(|| self.shared.clock.now().max(started)));
        let outcome = self.outcome(end, ended);
        self.measure(&outcome, ended);
        if self.is_recording {
            // Span processors are user code, and the thread may already be unwinding from a panic in the handler.
            guarded(|| self.record(&outcome, ended));
        }
    }

    fn outcome(&self, end: End, ended: Option<SystemTime>) -> Outcome {
        let (mut status, is_dropped) = match end {
            End::Status(status) => (status, false),
            End::WithoutStatus => (CallStatus::missing(self.http_status), false),
            End::Dropped => (CallStatus::new(Code::Cancelled), true),
            End::Panicked => {
                let message = "the handler panicked".to_owned();
                return Outcome { code: Code::Unknown, message, error_type: Some("panic"), is_cancelled: false };
            }
        };
        // A client and a server each cancel a call whose time is up, and only one of them is first.
        if status.code == Code::Cancelled && self.is_late(ended) {
            status.code = Code::DeadlineExceeded;
        }
        let is_error = status::is_error(status.code, self.shared.side);
        Outcome {
            code: status.code,
            message: status.message,
            error_type: is_error.then(|| status::name(status.code)),
            is_cancelled: is_dropped && status.code == Code::Cancelled,
        }
    }

    fn is_late(&self, ended: Option<SystemTime>) -> bool {
        let (Some(started), Some(ended), Some(timeout)) = (self.started, ended, self.timeout) else { return false };
        ended.duration_since(started).unwrap_or_default() + RESOLUTION >= timeout
    }

    /// Records the measurement in the context of the span, before it ends, so that exemplars point to it.
    fn measure(&self, outcome: &Outcome, ended: Option<SystemTime>) {
        let Shared { side, config, metrics, .. } = &*self.shared;
        let (Some(started), Some(instruments)) = (self.started, metrics.instruments().filter(|_| config.has_metrics))
        else {
            return;
        };
        let seconds = ended.unwrap_or(started).duration_since(started).unwrap_or_default().as_secs_f64();
        let has_server = *side == Side::Client || config.has_server_address_in_metrics;
        let measured = Measured {
            method: &self.method,
            code: outcome.code,
            error_type: outcome.error_type,
            server: self.server.as_ref().filter(|_| has_server),
        };
        // The API panics if the thread is ending and its context has been destroyed. A meter is user code.
        let _current = guarded(|| attach_unless_current(&self.context)).flatten();
        guarded(|| instruments.record(seconds, &measured));
    }

    /// Writes the outcome to the span.
    fn record(&self, outcome: &Outcome, ended: Option<SystemTime>) {
        let span = self.context.span();
        let code = KeyValue::new(keys::RPC_STATUS_CODE, status::name(outcome.code));
        let ending = outcome.is_cancelled.then(|| KeyValue::new(keys::TELEMARK_OUTCOME, "cancelled"));
        let written = [Some(code), ending, self.cut.attribute()].into_iter().flatten();
        match (outcome.error_type, &self.shared.config.errors) {
            (None, _) => span.set_attributes(written),
            (Some(error), Some(errors)) => {
                span.set_attributes(written);
                // It is the application's code, and the span must end with its own time.
                guarded(|| errors.record(&span, error, &outcome.message));
            }
            (Some(error), None) => {
                span.set_attributes(written.chain([KeyValue::new(keys::ERROR_TYPE, error)]));
                // spec: semconv rpc/rpc-spans.md: the message, without the code
                span.set_status(Status::error(outcome.message.clone()));
            }
        }
        match ended {
            _ if !self.has_own_span => {}
            Some(ended) => span.end_with_timestamp(ended),
            None => span.end(),
        }
    }
}

/// Returns what the head of a response reveals about a new method.
fn revealed(
    name: &str,
    side: Side,
    http_status: StatusCode,
    headers: &HeaderMap,
    status: Option<&CallStatus>,
) -> Method {
    match status {
        Some(status) if status.code == Code::Ok => Method::keep(name, side),
        // tonic rejects an unknown method without a message, and a status from the application nearly always has one.
        Some(status) if status.code == Code::Unimplemented && status.message.is_empty() => Method::Other,
        Some(_) => Method::tried(name),
        None if http_status == StatusCode::OK && is_grpc(headers) => Method::keep(name, side),
        None if http_status == StatusCode::NOT_FOUND => Method::Other,
        None => Method::tried(name),
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { context, method, is_ended, .. } = self;
        let mut shown = f.debug_struct("Call");
        shown.field("context", context).field("method", method).field("is_ended", is_ended).finish_non_exhaustive()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_has_answered_with_success_is_kept() {
        let check = |name: &str, status: Option<CallStatus>, content_type: &'static str, revealed_as: Method| {
            let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type.parse().unwrap())]);
            let found = revealed(name, Side::Server, StatusCode::OK, &headers, status.as_ref());
            assert_eq!(found, revealed_as, "{name}");
            matches!(Method::find(name, Side::Server), Method::Kept(_))
        };
        let grpc = "application/grpc";
        let kept = Method::Kept;
        assert!(check("test.Revealed/Streams", None, grpc, kept("test.Revealed/Streams")));
        let ok = Some(CallStatus::new(Code::Ok));
        assert!(check("test.Revealed/Empty", ok, grpc, kept("test.Revealed/Empty")), "trailers only");
        let failed = Some(CallStatus::new(Code::Internal));
        assert!(!check("test.Revealed/Failed", failed, grpc, kept("test.Revealed/Failed")));
        assert!(!check("test.Revealed/Page", None, "text/html", kept("test.Revealed/Page")));
        let rejected = Some(CallStatus::new(Code::Unimplemented));
        assert!(!check("test.Revealed/Rejected", rejected, grpc, Method::Other));
    }
}
