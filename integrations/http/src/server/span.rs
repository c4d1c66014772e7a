//! One request: its context, its measurement, and the only place where both end.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{HeaderName, HeaderValue};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use telemark_kit::{Attributes, Cut, attach_unless_current, guarded, keys, watch};

use super::config::ServerConfig;
use super::measurement::{Measurement, Recorder};
use super::outcome::{End, RequestOutcome};
use super::policy::{HttpPolicy, ResponseHead};
use super::served::Served;
use crate::shared::captured::RESPONSE;
use crate::shared::methods::MethodName;
use crate::shared::names::{self, RouteText};

const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The span of an active request, and its measurement.
///
/// Both end exactly once: with the first [`RequestSpan::end`], or as [`End::Cancelled`] if this value is dropped first.
pub struct RequestSpan {
    server: Arc<dyn Server>,
    context: Context,
    /// Read once, before the span is moved behind the lock of the context.
    pub(crate) is_recording: bool,
    pub(crate) late_route: LateRoute,
    /// The route that is not yet an attribute of the span.
    pub(crate) unset_route: Option<RouteText>,
    pub(crate) cut: Cut,
    pub(crate) outcome: RequestOutcome,
    method: MethodName,
    served: Served,
    /// `None` if no metrics are recorded, and after the measurement was recorded.
    measured: Option<Measurement>,
}

/// The part of a server that requests use after they have begun.
pub(crate) trait Server: Send + Sync {
    fn config(&self) -> &ServerConfig;
    fn policy(&self) -> &dyn HttpPolicy;
    fn recorder(&self) -> &Recorder;
}

/// The parts of a span to update if only the response reveals the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LateRoute {
    No,
    /// Only the attribute, because the policy has chosen the span name.
    Attribute,
    AttributeAndName,
}

impl RequestSpan {
    /// Returns a request with an unrecorded span.
    pub(crate) fn new(
        server: Arc<dyn Server>,
        context: Context,
        method: MethodName,
        served: Served,
        measured: Option<Measurement>,
    ) -> Self {
        let (late_route, cut, outcome) = (LateRoute::No, Cut::default(), RequestOutcome::default());
        RequestSpan {
            server,
            context,
            is_recording: false,
            late_route,
            unset_route: None,
            cut,
            outcome,
            method,
            served,
            measured,
        }
    }

    /// Increments the number of active requests.
    pub(crate) fn count(&mut self) {
        if let Some(measurement) = &mut self.measured {
            let recorder = self.server.recorder();
            // A meter is user code: its panic must not fail the request.
            guarded(|| measurement.count(recorder, &self.method));
        }
    }

    /// Returns the context with the span. Attach it during every poll of the service and of the response body.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns true if this request has a recorded span or metrics. If not, the caller does not need to determine when and
    /// how the request ends.
    #[inline]
    pub fn is_recording(&self) -> bool {
        self.is_recording || self.measured.is_some()
    }

    /// Adds the number of response body bytes that were handed over, for `http.server.response.body.size` and
    /// `http.response.body.size`.
    #[inline]
    pub fn add_response_bytes(&mut self, bytes: u64) {
        self.outcome.response_bytes = self.outcome.response_bytes.saturating_add(bytes);
    }

    /// Returns the facts known so far.
    pub fn outcome(&self) -> &RequestOutcome {
        &self.outcome
    }

    /// Records the head of the response. Returns a header to add to it, if the settings enable one.
    pub fn respond(&mut self, response: ResponseHead<'_>) -> Option<(HeaderName, HeaderValue)> {
        self.outcome.status = Some(response.status);
        // A policy is application code; if it panics, the request must not fail.
        guarded(|| {
            self.outcome.is_error_status = self.server.policy().is_error(response.status);
            self.describe(&response);
        });
        if self.server.config().trace_response { self.trace_response() } else { None }
    }

    /// Calls the code that serves the request, and ends this request if that code panics. The panic is not caught. Attach the
    /// [context](RequestSpan::context) before.
    pub fn watch<R>(&mut self, serve: impl FnOnce() -> R) -> R {
        watch(self, serve, |span| span.end(End::Panicked))
    }

    /// Ends the span and records the metrics. Only the first call has an effect.
    ///
    /// Records the metrics in [`RequestSpan::context`], which is cheapest while that context is still attached.
    pub fn end(&mut self, end: End) {
        if self.outcome.end.is_some() {
            return;
        }
        self.outcome.end = Some(end);
        self.served.count();
        let measured = self.measured.take();
        let ended = measured.and_then(|measurement| self.record_metrics(&measurement));
        if self.is_recording {
            // Span processors are user code, and the thread may already be unwinding from a panic in the handler.
            guarded(|| self.record(ended));
        }
    }

    /// Records the metrics in the context of the span, before it ends, so that exemplars point to it. Returns the end time of
    /// the span.
    fn record_metrics(&self, measurement: &Measurement) -> Option<SystemTime> {
        let recorder = self.server.recorder();
        // The clock may be user code.
        let ended = guarded(|| measurement.now(recorder));
        // The API panics if the thread is ending and its context has been destroyed.
        let _current = guarded(|| attach_unless_current(&self.context)).flatten();
        guarded(|| measurement.finish(recorder, &self.method, &self.outcome, ended));
        ended
    }

    fn describe(&mut self, response: &ResponseHead<'_>) {
        let late = self.is_recording() && self.late_route != LateRoute::No;
        let route = if late { self.server.policy().response_route(response) } else { None };
        let late = route.map(|route| names::span_name(&self.method, Some(&route)));
        if let Some((_, route)) = &late {
            self.served = Served::new(self.served.origin, route.as_ref());
            if let Some(measurement) = &mut self.measured {
                measurement.route.clone_from(route);
            }
        }
        if !self.is_recording {
            return;
        }
        let span = self.context.span();
        let mut attributes = Attributes::default();
        attributes.cut = std::mem::take(&mut self.cut);
        if let Some((name, route)) = late {
            if self.late_route == LateRoute::AttributeAndName {
                span.update_name(name);
            }
            self.unset_route = route;
        }
        attributes.list.extend(self.unset_route.clone().map(|route| KeyValue::new(keys::HTTP_ROUTE, route)));
        self.server.config().choices.capture(RESPONSE, response.headers, &mut attributes);
        self.cut = attributes.cut;
        self.server.policy().response_attributes(response, &mut attributes.list);
        if !attributes.list.is_empty() {
            span.set_attributes(attributes.list);
        }
        self.unset_route = None;
    }

    /// Writes the outcome to the span, taking at most three short locks.
    fn record(&self, ended: Option<SystemTime>) {
        let span = self.context.span();
        let outcome = &self.outcome;
        let status =
            outcome.status.map(|status| KeyValue::new(keys::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16())));
        let ending = match outcome.end {
            Some(End::Cancelled) => Some(KeyValue::new(keys::TELEMARK_OUTCOME, "cancelled")),
            _ => None,
        };
        let bytes = i64::try_from(outcome.response_bytes).unwrap_or(i64::MAX);
        let is_sized = self.server.config().opt_in.response_size && outcome.status.is_some();
        let size = is_sized.then(|| KeyValue::new(keys::HTTP_RESPONSE_BODY_SIZE, bytes));
        let cut = self.cut.attribute();
        // Without a response, or if the policy panicked.
        let route = self.unset_route.clone().map(|route| KeyValue::new(keys::HTTP_ROUTE, route));
        match outcome.error_type() {
            // Nearly all requests take this branch, which sets a single attribute and avoids an iterator chain.
            None if ending.is_none() && size.is_none() && cut.is_none() && route.is_none() => {
                if let Some(status) = status {
                    span.set_attribute(status);
                }
            }
            None => span.set_attributes([status, ending, size, cut, route].into_iter().flatten()),
            Some(error) => {
                let written = [status, ending, size, cut, route].into_iter().flatten();
                // spec: http/http-spans.md#status: no description if the status code explains the error
                let description = if outcome.end == Some(End::Panicked) { "the handler panicked" } else { "" };
                match &self.server.config().errors {
                    Some(errors) => {
                        span.set_attributes(written);
                        // It is the application's code, and the span must end with its own time.
                        guarded(|| errors.record(&span, error, description));
                    }
                    None => {
                        span.set_attributes(written.chain([KeyValue::new(keys::ERROR_TYPE, error)]));
                        span.set_status(Status::error(description));
                    }
                }
            }
        }
        match ended {
            Some(ended) => span.end_with_timestamp(ended),
            None => span.end(),
        }
    }

    fn trace_response(&self) -> Option<(HeaderName, HeaderValue)> {
        let span = self.context.span();
        let context = span.span_context();
        if !context.is_valid() {
            return None;
        }
        let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
        let value = HeaderValue::try_from(format!("00-{trace}-{span}-{flags:02x}")).ok()?;
        Some((TRACE_RESPONSE, value))
    }
}

impl fmt::Debug for RequestSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RequestSpan { context, method, outcome, measured, .. } = self;
        let mut shown = f.debug_struct("RequestSpan");
        shown.field("context", context).field("method", method).field("outcome", outcome).field("measured", measured);
        shown.finish_non_exhaustive()
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DefaultPolicy, GlobalTracer, HttpServerInstrumentation, RequestHead, ServerConfig, scope};
    use http::{Request, Response, StatusCode};

    #[test]
    fn the_first_end_counts() {
        let tracer = GlobalTracer::new(scope("test", "0"));
        let server = Arc::new(HttpServerInstrumentation::new(ServerConfig::new(), DefaultPolicy, tracer));
        let mut span = server.begin(RequestHead::new(&Request::new(()))).unwrap();
        assert_eq!(span.outcome(), &RequestOutcome::default());
        let response = Response::builder().status(503).body(()).unwrap();
        span.respond(ResponseHead::new(&response));
        let ends = [End::Failed { error_type: "Timeout" }, End::Completed, End::Panicked];
        for end in ends {
            span.end(end);
            let outcome = span.outcome();
            assert_eq!((outcome.status, outcome.end), (Some(StatusCode::SERVICE_UNAVAILABLE), Some(ends[0])));
            assert_eq!(outcome.error_type(), Some("Timeout"));
        }
    }
}
