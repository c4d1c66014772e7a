//! The receiver and the way to it, with the failures that name them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderMap;
use telemark_sdk::ExportError;
use telemark_sdk::time::Deadline;

use super::failure::Failure;
use super::received::{Cause, Causes};
use super::resolver::Resolver;
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::proxy::Proxy;
use crate::response::Secrets;
use crate::settings::Protocol;

/// The maximum idle time after which a connection is still reused. A router on the path may silently drop connections that
/// are idle for longer.
pub(super) const MAX_IDLE: Duration = Duration::from_secs(60);

/// The receiver of one exporter.
pub(super) struct Peer {
    pub(super) endpoint: Endpoint,
    pub(super) proxy: Option<Proxy>,
    pub(super) http2: bool,
    secrets: Secrets,
    pub(super) max_response_size: usize,
    resolver: Resolver,
    /// True once a connection to the receiver has been established.
    pub(super) was_reached: bool,
}

impl Peer {
    pub(super) fn new(config: &Config) -> Self {
        Peer {
            endpoint: config.endpoint.clone(),
            proxy: config.proxy.clone(),
            http2: config.protocol == Protocol::Grpc,
            secrets: Secrets::new(&config.headers, config.endpoint.path.query(), config.proxy.as_ref()),
            max_response_size: config.max_response_size,
            resolver: Resolver::default(),
            was_reached: false,
        }
    }

    /// Returns the proxy if it is asked for a tunnel.
    #[cfg_attr(not(feature = "hyper-client"), allow(dead_code, reason = "nothing that is left needs a tunnel"))]
    pub(super) fn tunnelling_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| self.needs_tunnel())
    }

    /// Returns the proxy if requests name the receiver themselves, because there is no tunnel.
    pub(super) fn forwarding_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !self.needs_tunnel())
    }

    fn needs_tunnel(&self) -> bool {
        self.endpoint.tls || self.http2
    }

    /// Replaces the values that must not appear in messages, after the headers have changed.
    pub(super) fn set_secrets(&mut self, headers: &HeaderMap) {
        self.secrets = Secrets::new(headers, self.endpoint.path.query(), self.proxy.as_ref());
    }

    /// Returns the values that must not appear in messages about a response.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns every address of the receiver or of the proxy, each with an equal share of the time that is left when it is tried.
    pub(super) fn addresses(&mut self, deadline: Deadline) -> io::Result<Addresses> {
        let (host, port) = match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&self.endpoint.host, self.endpoint.port),
        };
        let found = self.resolver.resolve(host, port, deadline, self.was_reached)?;
        Ok(Addresses { left: found.into_iter(), deadline })
    }

    /// Returns the receiver and the way to it, for messages.
    pub(super) fn name(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("{} through the proxy {proxy}", self.endpoint),
            None => self.endpoint.to_string(),
        }
    }

    pub(super) fn cannot_connect(&self, error: io::Error) -> Failure {
        let message = match &self.proxy {
            Some(proxy) => format!("cannot connect to the proxy {proxy}, which leads to {}", self.endpoint),
            None => format!("cannot connect to {}{}", self.endpoint, self.endpoint.absent_hint()),
        };
        Failure::transient(ExportError::unavailable(message).with_source(error))
    }

    pub(super) fn timeout(&self) -> Failure {
        Failure::Timeout(ExportError::timeout(format!("no response from {} in time", self.name())))
    }

    /// Returns the failure for a connection that ended without a response.
    pub(super) fn lost(&self, error: impl Into<Cause>) -> Failure {
        Failure::transient(self.loss(error.into()))
    }

    /// Returns the error for a connection that ended without a response.
    pub(super) fn loss(&self, error: Cause) -> ExportError {
        let hint = self.endpoint.port_hint(self.http2).unwrap_or_default();
        ExportError::unavailable(format!("the connection to {} was lost{hint}", self.name())).with_source(Causes(error))
    }

    /// Returns the failure for a response in another protocol.
    pub(super) fn other_protocol(&self, error: impl Into<Cause>) -> Failure {
        let version = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
        let hint = self.endpoint.port_hint(self.http2);
        let hint = hint.unwrap_or_else(|| ": is the port that of another protocol?".to_owned());
        let message = format!("the response of {} is not {version}{hint}", self.name());
        Failure::Final(ExportError::other(message).with_source(Causes(error.into())))
    }

    /// Returns the failure for a response whose head does not end.
    pub(super) fn head_too_large(&self, error: impl Into<Cause>) -> Failure {
        let message = format!("the head of the answer of {} is too large", self.name());
        Failure::Final(ExportError::too_large(message).with_source(Causes(error.into())))
    }

    /// Returns the failure for a response that exceeds the limit.
    pub(super) fn too_large(&self) -> Failure {
        let (endpoint, limit) = (&self.endpoint, self.max_response_size);
        // spec: not to be retried
        Failure::Final(ExportError::too_large(format!("the response of {endpoint} is larger than {limit} bytes")))
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The addresses to try, one after the other.
pub(super) struct Addresses {
    left: std::vec::IntoIter<SocketAddr>,
    deadline: Deadline,
}

impl Iterator for Addresses {
    type Item = (SocketAddr, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        let others = u32::try_from(self.left.len()).unwrap_or(u32::MAX);
        let share = self.deadline.remaining().map_or(Duration::MAX, |remaining| remaining / others.max(1));
        Some((self.left.next()?, share))
    }
}

impl Addresses {
    /// Returns the error for a name without any address.
    pub(super) fn none() -> io::Error {
        io::Error::new(io::ErrorKind::NotFound, "the host name has no address")
    }
}
