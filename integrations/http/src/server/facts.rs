//! The facts about a request that its span and its measurement contain.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderValue, Method};
use opentelemetry::{Context, StringValue, global};
use telemark_kit::{Attributes, BoundedText, keys};

use super::config::ServerConfig;
use super::policy::{HttpPolicy, RequestHead};
use crate::shared::captured::REQUEST;
use crate::shared::forwarded::{self, Forwarded};
use crate::shared::headers::RequestFields;
use crate::shared::host::{self, Host};
use crate::shared::methods::MethodName;
use crate::shared::names::RouteText;
use crate::shared::url::target::Target;
use crate::shared::{kept, query, version};

/// A parsed request.
pub(crate) struct Facts<'r> {
    pub(crate) request: RequestHead<'r>,
    pub(crate) method: MethodName,
    pub(crate) scheme: &'static str,
    /// Parsed only if a setting needs a size.
    pub(crate) body_length: Option<u64>,
    fields: RequestFields<'r>,
    forwarded: Forwarded<'r>,
}

impl<'r> Facts<'r> {
    #[inline]
    pub(crate) fn read(request: RequestHead<'r>, config: &ServerConfig, policy: &impl HttpPolicy) -> Self {
        let fields = RequestFields::read(request.headers);
        let forwarded = if config.forwarded { Forwarded::read(request.headers) } else { Forwarded::default() };
        let of_target = || request.uri.scheme_str().and_then(forwarded::scheme);
        let scheme = forwarded.scheme.or_else(of_target).unwrap_or_else(|| policy.scheme(&request));
        let is_sized = config.metrics.body_sizes || config.opt_in.request_size;
        let body_length = if is_sized { fields.body_length(request.version) } else { None };
        let method = config.known_methods.resolve(request.method);
        Facts { request, method, scheme, body_length, fields, forwarded }
    }

    /// Returns the parent that the API's global propagator extracts from the headers, or else the current context.
    pub(crate) fn parent(&self) -> Context {
        let current = Context::current();
        global::get_text_map_propagator(|propagator| propagator.extract_with_context(&current, &self.fields))
    }

    /// Adds the attributes that every span gets, even below an unsampled parent.
    #[inline]
    pub(crate) fn identify(&self, route: Option<&RouteText>, attributes: &mut Attributes) {
        attributes.add(keys::HTTP_REQUEST_METHOD, self.method.attribute());
        match (self.request.uri.path(), route) {
            // For a route without parameters, the path equals the route.
            (path, Some(RouteText::Kept(route))) if route.text == path => attributes.add(keys::URL_PATH, route.text),
            (path, _) => attributes.add_text(keys::URL_PATH, BoundedText::new(path)),
        }
        attributes.add(keys::URL_SCHEME, self.scheme);
    }

    /// Adds the remaining attributes.
    #[inline]
    pub(crate) fn describe(&self, config: &ServerConfig, policy: &impl HttpPolicy, attributes: &mut Attributes) {
        let request = &self.request;
        if self.method == MethodName::Other {
            attributes.add_text(keys::HTTP_REQUEST_METHOD_ORIGINAL, BoundedText::new(request.method.as_str()));
        }
        if let Some(query) = request.uri.query().filter(|query| !query.is_empty()) {
            attributes.add_text(keys::URL_QUERY, query::redact(query, &config.sensitive));
        }
        if let Some(version) = version::attribute(request.version) {
            attributes.add(keys::NETWORK_PROTOCOL_VERSION, version);
        }
        if let Some(agent) = self.fields.user_agent.first.map(HeaderValue::as_bytes) {
            match kept::agent(agent) {
                Some(agent) => attributes.add(keys::USER_AGENT_ORIGINAL, agent),
                None => attributes.add_text(keys::USER_AGENT_ORIGINAL, BoundedText::from_bytes(agent)),
            }
        }
        if let Some(Host { address, port, is_cut }) = self.server_address() {
            if is_cut {
                attributes.cut.add(&keys::SERVER_ADDRESS.into());
            }
            attributes.add(keys::SERVER_ADDRESS, address);
            if let Some(port) = port {
                attributes.add(keys::SERVER_PORT, i64::from(port));
            }
        }
        self.describe_ends(config, policy, attributes);
        if config.opt_in.request_size {
            if let Some(bytes) = self.body_length {
                attributes.add(keys::HTTP_REQUEST_BODY_SIZE, i64::try_from(bytes).unwrap_or(i64::MAX));
            }
        }
        config.choices.capture(REQUEST, request.headers, attributes);
    }

    /// Adds the addresses of both ends of the connection, and of the client behind a trusted proxy.
    ///
    /// spec: http/http-spans.md: client.address is the original client, network.peer.address the peer of the connection
    #[inline]
    fn describe_ends(&self, config: &ServerConfig, policy: &impl HttpPolicy, attributes: &mut Attributes) {
        let end = |end: SocketAddr| (address(end.ip().to_canonical()), Some(end.port()));
        let opt_in = &config.opt_in;
        let peer = policy.peer(&self.request).map(end);
        let of_proxy = self.forwarded.client.map(|(ip, port)| (address(ip), port));
        if let Some((address, port)) = of_proxy.or_else(|| peer.clone()) {
            if let Some(service) = config.client_service_names.find(&Target::of_address(address.as_str())) {
                attributes.add(keys::CLIENT_SERVICE_NAME, service);
            }
            attributes.add(keys::CLIENT_ADDRESS, address);
            if let Some(port) = port.filter(|_| opt_in.client_port) {
                attributes.add(keys::CLIENT_PORT, i64::from(port));
            }
        }
        if let Some((address, port)) = peer {
            attributes.add(keys::NETWORK_PEER_ADDRESS, address);
            if let Some(port) = port {
                attributes.add(keys::NETWORK_PEER_PORT, i64::from(port));
            }
        }
        if opt_in.local_address || opt_in.local_port {
            if let Some(local) = policy.local(&self.request) {
                if opt_in.local_address {
                    attributes.add(keys::NETWORK_LOCAL_ADDRESS, address(local.ip().to_canonical()));
                }
                if opt_in.local_port {
                    attributes.add(keys::NETWORK_LOCAL_PORT, i64::from(local.port()));
                }
            }
        }
    }

    /// Returns the host name and port that the client requested.
    ///
    /// spec: http/http-spans.md: Forwarded host, then `:authority`, then Host
    pub(crate) fn server_address(&self) -> Option<Host> {
        let of_proxy = || self.forwarded.host.as_ref().map(|(host, port)| Host::new(host, *port));
        let of_target = || host::attribute(self.request.uri.authority()?.as_str().rsplit('@').next()?);
        let of_header = || host::attribute(self.fields.host.first?.to_str().ok()?);
        // The target of CONNECT names the remote end of the tunnel, not this server.
        let is_own = *self.request.method != Method::CONNECT;
        of_proxy().or_else(|| if is_own { of_target() } else { None }).or_else(of_header)
    }
}

/// Returns the text of an address. `client.address` and `network.peer.address` share it.
fn address(ip: IpAddr) -> StringValue {
    kept::address(ip).map_or_else(|| own_address(ip).into(), StringValue::from)
}

/// Formats the address on the stack, so that only one allocation is needed.
fn own_address(ip: IpAddr) -> Arc<str> {
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

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let place = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_addresses() {
        for text in ["0.0.0.0", "255.255.255.255", "::", "1111:2222:3333:4444:5555:6666:7777:8888"] {
            let ip = text.parse().unwrap();
            assert_eq!((address(ip).as_str(), &*own_address(ip)), (text, text));
        }
    }
}
