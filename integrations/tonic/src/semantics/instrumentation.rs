//! The start of a call: turns its head into a span and a measurement.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Extensions, HeaderMap, Request, StatusCode, Uri, header};
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use telemark_http::{HeaderExtractor, HeaderInjector, PeerAddr, kept_address};
use telemark_kit::{Attributes, BoundedText, Clock, guarded, is_server_span_marked, is_unsampled, keys, with_span};

use super::address::ServerAddress;
use super::call::Call;
use super::choice::REQUEST_HEADERS;
use super::config::GrpcConfig;
use super::environment::changed_on;
use super::methods::{Method, SYSTEM};
use super::metrics::CallMetrics;
use super::status::Side;

/// The number of attributes of a typical call, including those set at its end, to allocate the vector only once.
const TYPICAL_ATTRIBUTES: usize = 10;

/// The part of an instrumentation that calls use until they end.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) side: Side,
    pub(crate) config: GrpcConfig,
    pub(crate) metrics: CallMetrics,
    pub(crate) clock: Clock,
    /// The target of a client.
    pub(crate) target: Option<ServerAddress>,
}

impl Shared {
    pub(crate) fn excludes(&self, method: &str) -> bool {
        self.config.choices.exclude(changed_on(self.side), method)
    }

    /// Adds the headers or trailers that are captured.
    pub(crate) fn capture(&self, of: usize, fields: &HeaderMap, attributes: &mut Attributes) {
        self.config.choices.capture(changed_on(self.side), of, fields, attributes);
    }
}

/// Begins the spans and measurements of one layer.
#[derive(Debug)]
pub(crate) struct Instrumentation<T> {
    shared: Arc<Shared>,
    tracer: T,
}

/// Marks the requests that a server layer observes, so that a layer within it passes them on.
#[derive(Clone, Copy, Debug)]
struct Received;

/// Marks the requests that a client layer observes, so that a layer within it passes them on.
#[derive(Clone, Copy, Debug)]
struct Sent;

/// The facts about a request.
struct Facts<'r> {
    /// The method as the client has named it.
    name: &'r str,
    method: Method,
    server: Option<ServerAddress>,
    peer: Option<SocketAddr>,
    headers: &'r HeaderMap,
}

impl<T> Instrumentation<T>
where
    T: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
{
    pub(crate) fn new(
        side: Side,
        config: GrpcConfig,
        metrics: CallMetrics,
        tracer: T,
        target: Option<ServerAddress>,
    ) -> Self {
        let clock = config.clock.clone().unwrap_or_default();
        Instrumentation { shared: Arc::new(Shared { side, config, metrics, clock, target }), tracer }
    }

    /// Begins the span and the measurement of a call that a server receives. The parent is the span that the API's global
    /// propagator extracts from the headers, or else the current span.
    ///
    /// Returns `None` if the layer is disabled, if the method is excluded, if the request is not gRPC, if another layer observes
    /// it, or if the propagator or the tracer panicked.
    pub(crate) fn receive<B>(&self, request: &mut Request<B>) -> Option<Call> {
        let is_observed = request.extensions().get::<Received>().is_some();
        if !self.shared.config.is_enabled || is_observed || !is_grpc(request.headers()) {
            return None;
        }
        let call = self.begin_received(request.uri(), request.headers(), request.extensions())?;
        request.extensions_mut().insert(Received);
        Some(call)
    }

    fn begin_received(&self, uri: &Uri, headers: &HeaderMap, extensions: &Extensions) -> Option<Call> {
        let config = &self.shared.config;
        let name = Method::named(uri.path());
        if self.shared.excludes(name) {
            return None;
        }
        // Propagator and sampler are user code. If one panics, the call is served without a span.
        guarded(|| {
            let method = match &config.known {
                None => Method::find(name, Side::Server),
                Some(known) => {
                    known.iter().find(|known| **known == name).map_or(Method::Other, |known| Method::Kept(known))
                }
            };
            let server = ServerAddress::of_request(uri, headers);
            let facts = Facts { name, method, server, peer: peer(extensions), headers };
            let current = Context::current();
            // An HTTP layer around this one has started the server span already.
            if is_server_span_marked(&current) {
                return self.adopt(facts, current);
            }
            let parent = global::get_text_map_propagator(|propagator| {
                propagator.extract_with_context(&current, &HeaderExtractor(headers))
            });
            self.begin(facts, parent)
        })
    }

    /// Begins the span and the measurement of a call that a client sends, and injects its context.
    ///
    /// Returns `None` as [`Instrumentation::receive`] does, and if telemetry is suppressed. An excluded request carries the current
    /// context.
    pub(crate) fn send<B>(&self, request: &mut Request<B>) -> Option<Call> {
        if !self.shared.config.is_enabled || request.extensions().get::<Sent>().is_some() {
            return None;
        }
        let uri = request.uri().clone();
        if self.shared.excludes(Method::named(uri.path())) {
            // The caller's trace continues, as behind HTTP clients.
            guarded(|| {
                let current = Context::current();
                if !current.is_telemetry_suppressed() {
                    inject(&current, request.headers_mut());
                }
            });
            return None;
        }
        let call = self.begin_sent(&uri, request.headers_mut())?;
        request.extensions_mut().insert(Sent);
        Some(call)
    }

    fn begin_sent(&self, uri: &Uri, headers: &mut HeaderMap) -> Option<Call> {
        let name = Method::named(uri.path());
        let call = guarded(|| {
            let parent = Context::current();
            if parent.is_telemetry_suppressed() {
                return None;
            }
            let method = match Method::find(name, Side::Client) {
                Method::New(_) => Method::keep(name, Side::Client),
                known => known,
            };
            let server = self.shared.target.clone().or_else(|| ServerAddress::of_request(uri, headers));
            Some(self.begin(Facts { name, method, server, peer: None, headers }, parent))
        })??;
        guarded(|| inject(call.context(), headers));
        Some(call)
    }

    fn begin(&self, facts: Facts<'_>, parent: Context) -> Call {
        let shared = &*self.shared;
        let (started, timeout) = self.start(facts.headers);
        let is_lean = is_unsampled(&parent);
        let mut attributes = Attributes::with_capacity(TYPICAL_ATTRIBUTES + shared.config.choices.len(REQUEST_HEADERS));
        facts.identify(&mut attributes);
        if !is_lean {
            facts.describe(shared, &mut attributes);
        }
        let builder = SpanBuilder {
            name: facts.method.span_name(),
            span_kind: Some(match shared.side {
                Side::Client => SpanKind::Client,
                Side::Server => SpanKind::Server,
            }),
            attributes: Some(std::mem::take(&mut attributes.list)),
            start_time: started,
            ..SpanBuilder::default()
        };
        let mut span = self.tracer.build_with_context(builder, &parent);
        let is_recording = span.is_recording();
        if is_recording && is_lean {
            facts.describe(shared, &mut attributes);
            span.set_attributes(attributes.list);
        }
        Call {
            shared: Arc::clone(&self.shared),
            context: with_span(&parent, span, is_recording),
            has_own_span: true,
            is_recording,
            cut: attributes.cut,
            server: facts.server,
            method: facts.method,
            started,
            timeout,
            http_status: StatusCode::OK,
            is_ended: false,
        }
    }

    /// Begins a call whose span is the current one, of the HTTP request.
    fn adopt(&self, facts: Facts<'_>, current: Context) -> Call {
        let (started, timeout) = self.start(facts.headers);
        let mut attributes = Attributes::with_capacity(TYPICAL_ATTRIBUTES);
        let is_recording = current.span().is_recording();
        if is_recording {
            // The HTTP layer has recorded the addresses.
            facts.name_method(&mut attributes);
            self.shared.capture(REQUEST_HEADERS, facts.headers, &mut attributes);
            current.span().update_name(facts.method.span_name());
            current.span().set_attributes(attributes.list);
        }
        Call {
            shared: Arc::clone(&self.shared),
            context: current,
            has_own_span: false,
            is_recording,
            cut: attributes.cut,
            server: facts.server,
            method: facts.method,
            started,
            timeout,
            http_status: StatusCode::OK,
            is_ended: false,
        }
    }

    /// Returns the current time, if a metric is recorded or the call has a deadline, and the time that the client gives it.
    fn start(&self, headers: &HeaderMap) -> (Option<SystemTime>, Option<Duration>) {
        let Shared { config, metrics, clock, .. } = &*self.shared;
        let timeout = timeout(headers);
        let is_measured = config.has_metrics && metrics.instruments().is_some();
        ((is_measured || timeout.is_some()).then(|| clock.now()), timeout)
    }
}

impl Facts<'_> {
    fn name_method(&self, attributes: &mut Attributes) {
        attributes.add(keys::RPC_SYSTEM_NAME, SYSTEM);
        // A new method is added once the response has shown that it exists, because some SDKs cannot replace an attribute.
        if !matches!(self.method, Method::New(_)) {
            attributes.add(keys::RPC_METHOD, self.method.attribute());
        }
        if self.method == Method::Other {
            attributes.add_text(keys::RPC_METHOD_ORIGINAL, BoundedText::new(self.name));
        }
    }

    /// Adds the attributes that samplers may use.
    ///
    /// spec: semconv rpc/grpc.md: at span creation
    fn identify(&self, attributes: &mut Attributes) {
        self.name_method(attributes);
        if let Some(server) = &self.server {
            attributes.add(keys::SERVER_ADDRESS, server.address.clone());
            if server.is_cut {
                attributes.cut.add(&keys::SERVER_ADDRESS.into());
            }
            attributes.list.extend(server.port.map(|port| KeyValue::new(keys::SERVER_PORT, i64::from(port))));
        }
    }

    /// Adds the remaining attributes.
    fn describe(&self, shared: &Shared, attributes: &mut Attributes) {
        if let Some(peer) = self.peer {
            add_peer(peer, attributes);
        }
        shared.capture(REQUEST_HEADERS, self.headers, attributes);
    }
}

/// Adds the address of the connection's other end.
pub(crate) fn add_peer(peer: SocketAddr, attributes: &mut Attributes) {
    let ip = peer.ip().to_canonical();
    match kept_address(ip) {
        Some(kept) => attributes.add(keys::NETWORK_PEER_ADDRESS, kept),
        None => attributes.add(keys::NETWORK_PEER_ADDRESS, ip.to_string()),
    }
    attributes.add(keys::NETWORK_PEER_PORT, i64::from(peer.port()));
}

/// Writes the context into the headers, in the formats of the API's global propagator, which is user code.
fn inject(context: &Context, headers: &mut HeaderMap) {
    global::get_text_map_propagator(|propagator| propagator.inject_context(context, &mut HeaderInjector(headers)));
}

/// Returns true for gRPC, but not for gRPC-Web, whose status is in the body.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(rest) =
        headers.get(header::CONTENT_TYPE).and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"))
    else {
        return false;
    };
    matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    #[cfg(feature = "server")]
    if let Some(connection) = extensions.get::<tonic::transport::server::TcpConnectInfo>() {
        return connection.remote_addr();
    }
    extensions.get::<PeerAddr>().map(|peer| peer.0)
}

/// Returns the time that the client gives the call.
///
/// spec: gRPC doc/PROTOCOL-HTTP2.md: at most eight digits and a unit
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get("grpc-timeout")?.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(is_grpc(&headers), expected, "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn timeouts() {
        fn check(text: &str, expected: Option<Duration>) {
            let headers = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), text.parse().unwrap())]);
            assert_eq!(timeout(&headers), expected, "{text}");
        }
        check("2H", Some(Duration::from_secs(7200)));
        check("3M", Some(Duration::from_secs(180)));
        check("4S", Some(Duration::from_secs(4)));
        check("100m", Some(Duration::from_millis(100)));
        check("99999999u", Some(Duration::from_micros(99_999_999)));
        check("7n", Some(Duration::from_nanos(7)));
        for invalid in ["", "S", "100000000m", "-1S", "+1S", "1s", "1 S", "1"] {
            check(invalid, None);
        }
    }
}
