//! From the head of a request to a started span and measurement.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::Method;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, StringValue, global};

use crate::forwarded::{self, Forwarded};
use crate::headers::{RequestFields, bounded, text};
use crate::measurement::{Measurement, Recorder};
use crate::methods::MethodName;
use crate::metrics::{MetricChoice, ServerMetrics};
use crate::policy::{HttpPolicy, RequestHead};
use crate::settings::ServerSettings;
use crate::span::{LateRoute, RequestSpan};
use crate::{host, keys, names, query};

/// Attributes that a typical request has, and those that its end adds, so that the vector is allocated once.
const TYPICAL_ATTRIBUTES: usize = 16;
/// The same below a parent that is not sampled.
const LEAN_ATTRIBUTES: usize = 4;

/// Starts the spans and measurements of one server: its settings, its policy, its tracer and its instruments.
#[derive(Debug)]
pub struct HttpServer<P, T> {
    settings: ServerSettings,
    policy: P,
    tracer: T,
    recorder: Recorder,
}

/// What a request asks its server for, after it has been started.
pub(crate) trait Served: Send + Sync {
    fn settings(&self) -> &ServerSettings;
    fn policy(&self) -> &dyn HttpPolicy;
    fn recorder(&self) -> &Recorder;
}

impl<P: HttpPolicy, T: Send + Sync> Served for HttpServer<P, T> {
    fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    fn policy(&self) -> &dyn HttpPolicy {
        &self.policy
    }

    fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

impl<P, T> HttpServer<P, T>
where
    P: HttpPolicy,
    T: Tracer + Send + Sync + 'static,
    T::Span: Send + Sync + 'static,
{
    /// A server that is described by `settings` and `policy`, with its spans on `tracer` and without metrics.
    pub fn new(settings: ServerSettings, policy: P, tracer: T) -> Self {
        let recorder = Recorder::new(&settings, ServerMetrics::off());
        HttpServer { settings, policy, tracer, recorder }
    }

    /// Records with these instruments.
    pub fn with_metrics(mut self, metrics: ServerMetrics) -> Self {
        self.recorder = Recorder::new(&self.settings, metrics);
        self
    }

    /// Starts the span of a request, below the parent that the API's global propagator finds in the headers, or else
    /// below the current span, and its measurement. `None` if the request is excluded.
    pub fn start(self: &Arc<Self>, request: RequestHead<'_>) -> Option<RequestSpan> {
        // Policy, propagator and sampler are foreign code: if they panic, the request goes on without a span.
        let mut started = None;
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let request = RequestHead { uri: self.policy.target(&request), ..request };
            if !self.settings.excludes(request.uri) && !self.policy.is_excluded(&request) {
                started = Some(self.start_included(&request));
            }
        }));
        if let Some(started) = &mut started {
            started.begin();
        }
        started
    }

    fn start_included(self: &Arc<Self>, request: &RequestHead<'_>) -> RequestSpan {
        let started = self.recorder.start();
        let current = Context::current();
        let fields = RequestFields::of(request.headers);
        let parent = global::get_text_map_propagator(|propagator| propagator.extract_with_context(&current, &fields));
        let lean = {
            let span = parent.span();
            let parent = span.span_context();
            parent.is_valid() && !parent.is_sampled()
        };

        let method = self.settings.known_methods.resolve(request.method);
        let route = self.policy.route(request);
        let own_name = self.policy.span_name(request);
        let late = match (&route, &own_name) {
            (Some(_), _) => LateRoute::No,
            (None, Some(_)) => LateRoute::Attribute,
            (None, None) => LateRoute::AttributeAndName,
        };
        let (name, route) = names::span_name(&method, route.as_deref());
        let forwarded = if self.settings.forwarded { Forwarded::read(request.headers) } else { Forwarded::default() };

        let capacity = if lean { LEAN_ATTRIBUTES } else { TYPICAL_ATTRIBUTES + self.settings.request_headers.len() };
        let mut attributes = Vec::with_capacity(capacity);
        attributes.push(KeyValue::new(keys::METHOD, method.attribute()));
        attributes.push(KeyValue::new(keys::URL_PATH, bounded(request.uri.path())));
        let scheme = self.scheme(request, &forwarded);
        attributes.push(KeyValue::new(keys::URL_SCHEME, scheme));
        let measurement = started.map(|started| {
            let MetricChoice { body_sizes, server_address: is_told, .. } = self.settings.metrics;
            Measurement {
                started,
                scheme,
                version: request.version,
                route: route.clone(),
                server: if is_told { server_address(request, &fields, &forwarded).map(Box::new) } else { None },
                request_bytes: if body_sizes { fields.body_length(request.version) } else { None },
                response_bytes: 0,
                is_active: false,
            }
        });
        attributes.extend(route.map(|route| KeyValue::new(keys::ROUTE, route)));
        if !lean {
            self.describe(request, &fields, &forwarded, &method, &mut attributes);
        }
        self.policy.request_attributes(request, &mut attributes);

        let builder = SpanBuilder {
            name: own_name.unwrap_or(name),
            span_kind: Some(SpanKind::Server),
            attributes: Some(attributes),
            start_time: started,
            ..SpanBuilder::default()
        };
        let mut span = self.tracer.build_with_context(builder, &parent);
        let recording = span.is_recording();
        if recording && lean {
            let mut attributes = Vec::with_capacity(TYPICAL_ATTRIBUTES);
            self.describe(request, &fields, &forwarded, &method, &mut attributes);
            span.set_attributes(attributes);
        }
        let context = if recording {
            parent.with_span(span)
        } else if span.span_context().is_valid() {
            // Nothing will be asked of this span but its ids: they travel without the box and the lock of a live one.
            parent.with_remote_span_context(span.span_context().clone())
        } else {
            parent
        };
        RequestSpan::new(self.clone(), context, recording, late, method, measurement)
    }

    /// The attributes beyond the ones that every span of a request has.
    fn describe(
        &self,
        request: &RequestHead<'_>,
        fields: &RequestFields<'_>,
        forwarded: &Forwarded<'_>,
        method: &MethodName,
        attributes: &mut Vec<KeyValue>,
    ) {
        let mut add = |key: &'static str, value: StringValue| attributes.push(KeyValue::new(key, value));
        if *method == MethodName::Other {
            add(keys::METHOD_ORIGINAL, bounded(request.method.as_str()).into());
        }
        if let Some(query) = request.uri.query().filter(|query| !query.is_empty()) {
            add(keys::URL_QUERY, query::redact(query, &self.settings.sensitive).into());
        }
        if let Some(version) = keys::version(request.version) {
            add(keys::PROTOCOL_VERSION, version.into());
        }
        if let Some(agent) = fields.user_agent.first {
            add(keys::USER_AGENT, text(agent.as_bytes()).into());
        }
        if let Some((host, port)) = server_address(request, fields, forwarded) {
            attributes.push(KeyValue::new(keys::SERVER_ADDRESS, host));
            attributes.extend(port.map(|port| KeyValue::new(keys::SERVER_PORT, i64::from(port))));
        }
        self.describe_client(request, forwarded, attributes);
        let captured = &self.settings.request_headers;
        attributes.extend(captured.iter().filter_map(|header| header.attribute(request.headers)));
    }

    // spec: http/http-spans.md: client.address is the original client, network.peer.address the connection's end
    fn describe_client(&self, request: &RequestHead<'_>, forwarded: &Forwarded<'_>, attributes: &mut Vec<KeyValue>) {
        let peer = self.policy.peer(request).map(|peer| (address(peer.ip().to_canonical()), Some(peer.port())));
        let client = forwarded.client.map(|(ip, port)| (address(ip), port)).or_else(|| peer.clone());
        for (found, address_key, port_key) in
            [(client, keys::CLIENT_ADDRESS, keys::CLIENT_PORT), (peer, keys::PEER_ADDRESS, keys::PEER_PORT)]
        {
            if let Some((address, port)) = found {
                attributes.push(KeyValue::new(address_key, address));
                attributes.extend(port.map(|port| KeyValue::new(port_key, i64::from(port))));
            }
        }
    }

    fn scheme(&self, request: &RequestHead<'_>, forwarded: &Forwarded<'_>) -> &'static str {
        let from_target = || request.uri.scheme_str().and_then(forwarded::scheme);
        forwarded.scheme.or_else(from_target).unwrap_or_else(|| self.policy.scheme(request))
    }
}

// spec: http/http-spans.md: Forwarded host, then `:authority`, then Host
fn server_address(
    request: &RequestHead<'_>,
    fields: &RequestFields<'_>,
    forwarded: &Forwarded<'_>,
) -> Option<(StringValue, Option<u16>)> {
    let of_proxy = || forwarded.host.map(|(host, port)| (bounded(host).into(), port));
    let of_target = || host::attribute(request.uri.authority()?.as_str().rsplit('@').next()?);
    let of_header = || host::attribute(fields.host.first?.to_str().ok()?);
    // The target of CONNECT names the other side of the tunnel.
    let of_target = || if *request.method == Method::CONNECT { None } else { of_target() };
    of_proxy().or_else(of_target).or_else(of_header)
}

/// Written on the stack, so that the one allocation is shared by `client.address` and `network.peer.address`.
fn address(ip: IpAddr) -> Arc<str> {
    let mut short = Short { bytes: [0; 48], len: 0 };
    match write!(short, "{ip}") {
        Ok(()) => String::from_utf8_lossy(&short.bytes[..short.len]).into(),
        Err(_) => ip.to_string().into(),
    }
}

struct Short {
    bytes: [u8; 48],
    len: usize,
}

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        let place = self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DefaultPolicy, GlobalTracer, scope};
    use http::{HeaderName, HeaderValue, Request};
    use proptest::prelude::*;

    #[test]
    fn writes_addresses() {
        for text in ["0.0.0.0", "255.255.255.255", "::", "1111:2222:3333:4444:5555:6666:7777:8888"] {
            assert_eq!(&*address(text.parse().unwrap()), text);
        }
    }

    proptest! {
        /// A panic would be caught, and seen as a request without a span.
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
            let settings = ServerSettings::new().with_forwarded_headers().with_captured_request_headers(["x-own"]);
            let server = Arc::new(HttpServer::new(settings, DefaultPolicy, GlobalTracer::new(scope("test", "0"))));
            prop_assert!(server.start(RequestHead::of(&request)).is_some());
        }
    }
}
