//! One request: its context, and the one place where it ends.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, StringValue};

use crate::methods::MethodName;
use crate::policy::{HttpPolicy, ResponseHead};
use crate::server::HttpServer;
use crate::{keys, names};

const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The span of a request that is being served.
///
/// It ends exactly once: with the first [`RequestSpan::end`], or as [`End::Cancelled`] when it is dropped before.
#[derive(Debug)]
pub struct RequestSpan {
    context: Context,
    /// Known from the span itself, before it went behind the lock of the context.
    recording: bool,
    late_route: LateRoute,
    outcome: RequestOutcome,
}

/// What a route that is known only from the response still changes.
#[derive(Debug)]
pub(crate) enum LateRoute {
    No,
    /// The span has a name of the policy's own.
    Attribute,
    AttributeAndName(MethodName),
}

/// How the serving of a request came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The response, with its body if it has one, was handed over as a whole.
    Completed,
    /// Nobody waited for the rest: the client went away, or a timeout dropped the request. Not an error.
    // spec: http/http-spans.md#status: an intentional cancellation should not be an error
    Cancelled,
    /// The service, or the response body, returned an error; `error_type` says which, with few different values.
    Failed {
        /// The value of `error.type`.
        error_type: &'static str,
    },
    /// The service, or the response body, panicked.
    Panicked,
}

/// All that is known at the end of a request. Span and metrics are both written from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RequestOutcome {
    /// The status, once there was a response.
    pub status: Option<StatusCode>,
    /// Whether the policy calls that status an error.
    pub is_error_status: bool,
    /// The way it ended; `None` as long as it has not.
    pub end: Option<End>,
}

impl RequestOutcome {
    /// The value of `error.type`; `None` if the request has not failed.
    // spec: http/http-spans.md: an error before or after the head by its type, otherwise the status code
    pub fn error_type(&self) -> Option<Cow<'static, str>> {
        match self.end {
            Some(End::Failed { error_type }) => Some(Cow::Borrowed(error_type)),
            Some(End::Panicked) => Some(Cow::Borrowed("panic")),
            _ => self.status.filter(|_| self.is_error_status).map(code),
        }
    }
}

impl RequestSpan {
    pub(crate) fn new(context: Context, recording: bool, late_route: LateRoute) -> Self {
        Self { context, recording, late_route, outcome: RequestOutcome::default() }
    }

    /// The context with the span; to be attached whenever the service or the response body is polled.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether anything is written down of this request; if not, it makes no difference when and how it ends.
    #[inline]
    pub fn is_recording(&self) -> bool {
        self.recording
    }

    /// What is known so far.
    pub fn outcome(&self) -> &RequestOutcome {
        &self.outcome
    }

    /// Takes note of the head of the response; returns the headers to add to it, usually none.
    pub fn respond<P: HttpPolicy, T: Tracer>(
        &mut self,
        server: &HttpServer<P, T>,
        response: ResponseHead<'_>,
    ) -> HeaderMap {
        self.outcome.status = Some(response.status);
        // A policy is the application's code: what it does wrong must not become a failed request.
        let _caught = catch_unwind(AssertUnwindSafe(|| {
            self.outcome.is_error_status = server.policy.is_error(response.status);
            if self.recording {
                self.describe(server, &response);
            }
        }));
        if server.settings.trace_response { self.trace_response() } else { HeaderMap::new() }
    }

    /// Ends the span. Only the first call has an effect.
    pub fn end(&mut self, end: End) {
        if self.outcome.end.is_some() {
            return;
        }
        self.outcome.end = Some(end);
        if self.recording {
            // Span processors are foreign code, and this also runs while a panic of the handler unwinds.
            let _caught = catch_unwind(AssertUnwindSafe(|| self.record()));
        }
    }

    fn describe<P: HttpPolicy, T: Tracer>(&mut self, server: &HttpServer<P, T>, response: &ResponseHead<'_>) {
        let span = self.context.span();
        let mut attributes = Vec::new();
        match &self.late_route {
            LateRoute::No => {}
            LateRoute::Attribute => {
                let route = server.policy.response_route(response);
                attributes.extend(route.map(|route| KeyValue::new(keys::ROUTE, route.into_owned())));
            }
            LateRoute::AttributeAndName(method) => {
                if let Some(route) = server.policy.response_route(response) {
                    let (name, route) = names::span_name(method, Some(&route));
                    span.update_name(name);
                    attributes.extend(route.map(|route| KeyValue::new(keys::ROUTE, route)));
                }
            }
        }
        let captured = &server.settings.response_headers;
        attributes.extend(captured.iter().filter_map(|header| header.attribute(response.headers)));
        server.policy.response_attributes(response, &mut attributes);
        if !attributes.is_empty() {
            span.set_attributes(attributes);
        }
    }

    /// Writes the outcome: at most three short locks.
    fn record(&self) {
        let span = self.context.span();
        let outcome = &self.outcome;
        let status = outcome.status.map(|status| KeyValue::new(keys::STATUS_CODE, i64::from(status.as_u16())));
        let ending = match outcome.end {
            Some(End::Cancelled) => Some(KeyValue::new(keys::OUTCOME, "cancelled")),
            _ => None,
        };
        match outcome.error_type() {
            None => span.set_attributes(status.into_iter().chain(ending)),
            Some(error) => {
                let error = KeyValue::new(keys::ERROR_TYPE, StringValue::from(error));
                span.set_attributes(status.into_iter().chain([error]).chain(ending));
                // spec: http/http-spans.md#status: no description where the status code says it all
                let description = if outcome.end == Some(End::Panicked) { "the handler panicked" } else { "" };
                span.set_status(Status::error(description));
            }
        }
        span.end();
    }

    fn trace_response(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let span = self.context.span();
        let context = span.span_context();
        if context.is_valid() {
            let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
            if let Ok(value) = HeaderValue::try_from(format!("00-{trace}-{span}-{flags:02x}")) {
                headers.insert(TRACE_RESPONSE, value);
            }
        }
        headers
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

fn code(status: StatusCode) -> Cow<'static, str> {
    Cow::Borrowed(match status.as_u16() {
        500 => "500",
        501 => "501",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => return Cow::Owned(status.as_str().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DefaultPolicy, GlobalTracer, RequestHead, ServerSettings, scope};
    use http::{Request, Response};

    #[test]
    fn the_first_end_counts() {
        let server = HttpServer::new(ServerSettings::new(), DefaultPolicy, GlobalTracer::new(scope("test", "0")));
        let mut span = server.start(RequestHead::of(&Request::new(()))).unwrap();
        assert_eq!(span.outcome(), &RequestOutcome::default());
        let response = Response::builder().status(503).body(()).unwrap();
        span.respond(&server, ResponseHead::of(&response));
        let ends = [End::Failed { error_type: "Timeout" }, End::Completed, End::Panicked];
        for end in ends {
            span.end(end);
            let outcome = span.outcome();
            assert_eq!((outcome.status, outcome.end), (Some(StatusCode::SERVICE_UNAVAILABLE), Some(ends[0])));
            assert_eq!(outcome.error_type().as_deref(), Some("Timeout"));
        }
    }

    #[test]
    fn error_types() {
        fn check(status: u16, end: End, expected: Option<&str>) {
            let status = StatusCode::from_u16(status).ok();
            let outcome = RequestOutcome {
                status,
                is_error_status: status >= Some(StatusCode::INTERNAL_SERVER_ERROR),
                end: Some(end),
            };
            assert_eq!(outcome.error_type().as_deref(), expected, "{outcome:?}");
        }
        check(200, End::Completed, None);
        check(0, End::Cancelled, None);
        check(500, End::Cancelled, Some("500"));
        check(507, End::Completed, Some("507"));
        check(500, End::Failed { error_type: "io" }, Some("io"));
        check(200, End::Panicked, Some("panic"));
    }
}
