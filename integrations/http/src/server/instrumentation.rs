//! The start of a request: turns its head into a span and a measurement.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, Version, header};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Tracer};
use telemark_kit::{Attributes, ParentOrigin, guarded, is_unsampled, keys, mark_server_span, with_span};

use super::config::ServerConfig;
use super::facts::Facts;
use super::measurement::{Measurement, Recorder};
use super::metrics::ServerMetrics;
use super::policy::{HttpPolicy, RequestHead};
use super::served::Served;
use super::span::{LateRoute, RequestSpan, Server};
use crate::shared::captured::REQUEST;
use crate::shared::names::{self, RouteText};

/// The number of attributes of a typical request, including those set at its end, to allocate the vector only once.
const TYPICAL_ATTRIBUTES: usize = 16;
/// The number of attributes below an unsampled parent.
const LEAN_ATTRIBUTES: usize = 4;

/// Begins the spans and measurements of one server, with its settings, policy, tracer and instruments.
#[derive(Debug)]
pub struct HttpServerInstrumentation<P, T> {
    config: ServerConfig,
    policy: P,
    tracer: T,
    recorder: Recorder,
}

impl<P: HttpPolicy, T: Send + Sync> Server for HttpServerInstrumentation<P, T> {
    fn config(&self) -> &ServerConfig {
        &self.config
    }

    fn policy(&self) -> &dyn HttpPolicy {
        &self.policy
    }

    fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

impl<P, T> HttpServerInstrumentation<P, T>
where
    P: HttpPolicy,
    T: Tracer + Send + Sync + 'static,
    T::Span: Send + Sync + 'static,
{
    /// Returns an instrumentation that starts its spans on `tracer` and records no metrics.
    pub fn new(config: ServerConfig, policy: P, tracer: T) -> Self {
        let recorder = Recorder::new(&config, ServerMetrics::off());
        HttpServerInstrumentation { config, policy, tracer, recorder }
    }

    /// Records metrics on these instruments.
    pub fn with_metrics(mut self, metrics: ServerMetrics) -> Self {
        self.recorder = Recorder::new(&self.config, metrics);
        self
    }

    /// Begins the span and the measurement of a request. The parent is the span that the API's global propagator extracts
    /// from the headers, or else the current span.
    ///
    /// Returns `None` if the layer is disabled or the request excluded, or if the policy, the propagator or the tracer panicked.
    pub fn begin(self: &Arc<Self>, request: RequestHead<'_>) -> Option<RequestSpan> {
        if !self.config.is_enabled {
            return None;
        }
        // Policy, propagator and sampler are user code. If one panics, the request is served without a span.
        let mut begun = guarded(|| {
            let request = RequestHead { uri: self.policy.target(&request), ..request };
            let is_excluded = self.config.excludes(request.uri) || self.policy.is_excluded(&request);
            (!is_excluded).then(|| self.begin_included(request))
        })
        .flatten()?;
        begun.count();
        Some(begun)
    }

    fn begin_included(self: &Arc<Self>, request: RequestHead<'_>) -> RequestSpan {
        let started = self.recorder.start();
        let facts = Facts::read(request, &self.config, &self.policy);
        let parent = facts.parent();
        let is_lean = is_unsampled(&parent);

        let named = self.policy.route(&facts.request);
        let own_name = self.policy.span_name(&facts.request);
        // A route that the response reveals replaces a template and a guess.
        let late_route = match (&named, &own_name) {
            (Some(_), _) => LateRoute::No,
            (None, Some(_)) => LateRoute::Attribute,
            (None, None) => LateRoute::AttributeAndName,
        };
        let route = named.or_else(|| self.config.route_templates.find(facts.request.uri.path()));
        let (name, route) = names::span_name(&facts.method, route.as_deref());

        let capacity = if is_lean { LEAN_ATTRIBUTES } else { TYPICAL_ATTRIBUTES + self.config.choices.len(REQUEST) };
        let mut attributes = Attributes::with_capacity(capacity);
        facts.identify(route.as_ref(), &mut attributes);
        // A route that may be replaced becomes an attribute later, because opentelemetry_sdk would keep both.
        let (known, unset) = if late_route == LateRoute::No { (route.clone(), None) } else { (None, route.clone()) };
        attributes.list.extend(known.map(|route| KeyValue::new(keys::HTTP_ROUTE, route)));
        if !is_lean {
            facts.describe(&self.config, &self.policy, &mut attributes);
        }
        self.policy.request_attributes(&facts.request, &mut attributes.list);

        let builder = SpanBuilder {
            name: own_name.unwrap_or(name),
            span_kind: Some(SpanKind::Server),
            attributes: Some(std::mem::take(&mut attributes.list)),
            start_time: started,
            ..SpanBuilder::default()
        };
        let mut span = self.tracer.build_with_context(builder, &parent);
        let is_recording = span.is_recording();
        if is_recording && is_lean {
            attributes.list.reserve(TYPICAL_ATTRIBUTES);
            facts.describe(&self.config, &self.policy, &mut attributes);
            span.set_attributes(attributes.list);
        }
        let served = Served::new(ParentOrigin::of_context(&parent), route.as_ref());
        let is_orphan = served.origin == ParentOrigin::None;
        let measured = started.map(|started| self.measure(started, &facts, route, is_orphan));
        let mut context = with_span(&parent, span, is_recording);
        // A gRPC layer further inside describes this span instead of starting another one.
        if facts.request.version == Version::HTTP_2 && is_grpc(facts.request.headers) {
            context = mark_server_span(context);
        }
        let mut begun = RequestSpan::new(self.clone(), context, facts.method, served, measured);
        begun.is_recording = is_recording;
        begun.late_route = late_route;
        begun.unset_route = unset;
        begun.cut = attributes.cut;
        begun.outcome.request_bytes = facts.body_length;
        begun
    }

    fn measure(
        &self,
        started: SystemTime,
        facts: &Facts<'_>,
        route: Option<RouteText>,
        is_orphan: bool,
    ) -> Measurement {
        let is_told = self.config.has_address_in_metrics;
        let server = if is_told { facts.server_address() } else { None };
        Measurement {
            started,
            scheme: facts.scheme,
            version: facts.request.version,
            route,
            server: server.map(|host| Box::new((host.address, host.port))),
            is_active: false,
            is_orphan,
        }
    }
}

/// spec: gRPC doc/PROTOCOL-HTTP2.md: the content type of every call
fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DefaultPolicy, GlobalTracer, scope};
    use http::{HeaderName, HeaderValue, Request};
    use proptest::prelude::*;

    proptest! {
        /// A panic would be caught and appear as a request without a span.
        #[test]
        fn any_request_has_a_span(
            target in "/[!-~&&[^#<>\"\\\\^`{|}]]{0,40}",
            headers in proptest::collection::vec((0..6usize, proptest::collection::vec(0x20..=0xffu8, 0..40)), 0..8),
        ) {
            const NAMES: [&str; 6] = ["host", "user-agent", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-own"];
            let Ok(mut request) = Request::get(target).body(()) else { return Ok(()) };
            for (name, value) in headers {
                let value = value.into_iter().filter(|byte| *byte != 0x7f).collect::<Vec<_>>();
                let name = HeaderName::from_static(NAMES[name]);
                request.headers_mut().append(name, HeaderValue::from_bytes(&value).unwrap());
            }
            let config = ServerConfig::new().with_forwarded_headers().with_captured_request_headers(["x-own"]);
            let server = Arc::new(HttpServerInstrumentation::new(config, DefaultPolicy, GlobalTracer::new(scope("test", "0"))));
            prop_assert!(server.begin(RequestHead::new(&request)).is_some());
        }
    }
}
