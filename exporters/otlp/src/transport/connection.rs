//! The connection, which is opened when needed, kept between batches, and replaced when lost.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
#[cfg(feature = "grpc")]
use hyper::client::conn::http2;
use opentelemetry::Context;
use telemark_sdk::ExportError;
use telemark_sdk::time::Deadline;

use super::failure::Failure;
use super::reactor::{Reactor, Socket};
use super::received::{Causes, Received, Unread, read};
use super::resolver::Resolver;
use super::stream::{Io, Stream};
use super::tasks::{Spawner, Tasks};
use super::tunnel::{self, NoTunnel};
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::proxy::Proxy;
use crate::response::Secrets;
use crate::settings::Protocol;
use crate::tls::Tls;

/// The maximum idle time after which a connection is still reused. A router on the path may silently drop connections that
/// are idle for longer.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// The connection to one endpoint.
pub(super) struct Connection {
    endpoint: Endpoint,
    proxy: Option<Proxy>,
    tls: Option<Tls>,
    http2: bool,
    secrets: Secrets,
    max_response_size: usize,
    /// Created together with the first connection.
    reactor: Option<Arc<Reactor>>,
    resolver: Resolver,
    open: Option<Open>,
    /// True once a connection to the receiver has been established.
    was_reached: bool,
    /// True if the peer of the latest connection responded with HTTP/1.
    speaks_http1: Arc<AtomicBool>,
}

struct Open {
    sender: Sender,
    tasks: Tasks,
    idle_until: Deadline,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    #[cfg(feature = "grpc")]
    Http2(http2::SendRequest<Full<Bytes>>),
}

type Unsent = hyper::client::conn::TrySendError<Request<Full<Bytes>>>;

impl Sender {
    fn is_closed(&self) -> bool {
        match self {
            Sender::Http1(sender) => sender.is_closed(),
            #[cfg(feature = "grpc")]
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Sender::Http1(sender) => sender.ready().await,
            #[cfg(feature = "grpc")]
            Sender::Http2(sender) => sender.ready().await,
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unsent> {
        match self {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            #[cfg(feature = "grpc")]
            Sender::Http2(sender) => sender.try_send_request(request).await,
        }
    }
}

impl Connection {
    pub(super) fn new(config: &Config) -> Self {
        Connection {
            endpoint: config.endpoint.clone(),
            proxy: config.proxy.clone(),
            tls: config.tls.clone(),
            http2: config.protocol == Protocol::Grpc,
            secrets: Secrets::new(&config.headers, config.endpoint.path.query(), config.proxy.as_ref()),
            max_response_size: config.max_response_size,
            reactor: None,
            resolver: Resolver::default(),
            open: None,
            was_reached: false,
            speaks_http1: Arc::default(),
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the proxy if requests name the receiver themselves, because there is no tunnel.
    pub(super) fn forwarding_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !self.needs_tunnel())
    }

    fn needs_tunnel(&self) -> bool {
        self.tls.is_some() || self.http2
    }

    /// Returns the receiver and the way to it, for messages.
    pub(super) fn peer(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("{} through the proxy {proxy}", self.endpoint),
            None => self.endpoint.to_string(),
        }
    }

    /// Returns the number of times that changed certificates could not be used.
    pub(super) fn failed_refreshes(&self) -> u64 {
        self.tls.as_ref().map_or(0, Tls::failures)
    }

    /// Replaces the values that must not appear in messages, after the headers have changed.
    pub(super) fn set_secrets(&mut self, headers: &HeaderMap) {
        self.secrets = Secrets::new(headers, self.endpoint.path.query(), self.proxy.as_ref());
    }

    /// Returns the values that must not appear in messages about a response.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Returns true once a connection to the receiver has been established.
    pub(super) fn was_reached(&self) -> bool {
        self.was_reached
    }

    /// Sends a request and reads the response, which may exceed the configured limit by up to `prefix` bytes. Blocks until
    /// the response arrives or the deadline passes.
    pub(super) fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        prefix: usize,
        deadline: Deadline,
    ) -> Result<Received, Failure> {
        // On a thread inside a Tokio runtime, parts of hyper would charge their work to the current task and wait for it
        // to yield.
        if tokio::runtime::Handle::try_current().is_ok() {
            let message = "an exporter blocks: it cannot be called on a thread of an async runtime";
            return Err(Failure::Final(ExportError::other(message)));
        }
        // A request must never produce telemetry about telemetry, regardless of the caller.
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let reactor = self.reactor().map_err(|error| self.cannot_connect(error))?;
        let limit = self.max_response_size.saturating_add(prefix);
        let exchange = Box::pin(self.try_to_exchange(&reactor, request, limit, deadline));
        let outcome = reactor.block_on(pin!(reactor.within(deadline, exchange)));
        if let Ok(Some(result)) = outcome {
            return result;
        }
        // A late response must not be taken for the response to another request.
        self.close();
        Err(match outcome {
            Err(error) => {
                self.reactor = None;
                self.cannot_connect(error)
            }
            _ => Failure::Timeout(ExportError::timeout(format!("no response from {} in time", self.peer()))),
        })
    }

    /// Returns the reactor, and creates it first if necessary.
    fn reactor(&mut self) -> io::Result<Arc<Reactor>> {
        let reactor = match self.reactor.take() {
            Some(reactor) => reactor,
            None => Arc::new(Reactor::new()?),
        };
        Ok(self.reactor.insert(reactor).clone())
    }

    async fn try_to_exchange(
        &mut self,
        reactor: &Arc<Reactor>,
        mut request: Request<Full<Bytes>>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Received, Failure> {
        let mut reused = self.is_usable().await;
        loop {
            let open = match self.open.as_mut().filter(|_| reused) {
                Some(open) => open,
                None => {
                    self.open = None;
                    let open = self.connect(reactor, deadline).await?;
                    self.was_reached = true;
                    self.open.insert(open)
                }
            };
            let mut unsent = match open.tasks.beside(open.sender.send(request)).await {
                Ok(response) => return self.read(response, limit).await,
                Err(unsent) => unsent,
            };
            let ended = self.end().await;
            match unsent.take_message() {
                // The kept connection has just been closed before any part of the request was sent.
                Some(back) if reused => {
                    request = back;
                    reused = false;
                }
                _ => return Err(self.lost(ended.unwrap_or_else(|| unsent.into_error()))),
            }
        }
    }

    /// Reads the body up to `limit` bytes, and the trailers.
    ///
    /// spec: protocol/exporter.md, max response size
    async fn read(&mut self, response: Response<Incoming>, limit: usize) -> Result<Received, Failure> {
        let (head, body) = response.into_parts();
        let read = match &mut self.open {
            Some(open) => {
                let read = open.tasks.beside(read(body, limit)).await;
                open.idle_until = Deadline::after(MAX_IDLE);
                read
            }
            None => read(body, limit).await,
        };
        match read {
            Ok((body, trailers)) => Ok(Received { head, body: Ok(body), trailers }),
            Err(unread) => {
                self.close();
                match unread {
                    Unread::TooLarge => Err(self.too_large()),
                    Unread::Broken(error) => Ok(Received { head, body: Err(error), trailers: None }),
                }
            }
        }
    }

    /// Closes a failed connection and returns its underlying error, which is more specific than the request's own error.
    /// For example, a receiver that requires a client certificate reports this only after the handshake appears complete.
    async fn end(&mut self) -> Option<hyper::Error> {
        let mut open = self.open.take()?;
        open.tasks.settle().await;
        open.tasks.take_error()
    }

    /// Returns true if the kept connection can be used again.
    async fn is_usable(&mut self) -> bool {
        let Some(open) = self.open.as_mut() else { return false };
        if open.idle_until.has_passed() {
            return false;
        }
        // Nothing runs between exports, so the connection must first read the data that has arrived, such as the end of
        // the stream.
        open.tasks.settle().await;
        !open.sender.is_closed() && open.tasks.beside(open.sender.ready()).await.is_ok()
    }

    async fn connect(&mut self, reactor: &Arc<Reactor>, deadline: Deadline) -> Result<Open, Failure> {
        let mut socket = self.tcp(reactor, deadline).await.map_err(|error| self.cannot_connect(error))?;
        if let Some(proxy) = self.proxy.as_ref().filter(|_| self.needs_tunnel()) {
            tunnel::open(&mut socket, proxy, &self.endpoint).await.map_err(|cause| self.no_tunnel(proxy, cause))?;
        }
        let io: Box<dyn Io> = match &mut self.tls {
            Some(tls) => Box::new(tls.connect(socket).await.map_err(|error| self.tls_failed(error))?),
            None => Box::new(socket),
        };
        let io = Stream::new(io, self.speaks_http1.clone());
        let idle_until = Deadline::after(MAX_IDLE);
        let spawner = Spawner::default();
        #[cfg(feature = "grpc")]
        if self.http2 {
            let (sender, connection) =
                http2::Builder::new(spawner.clone()).handshake(io).await.map_err(|error| self.lost(error))?;
            let tasks = Tasks::new(Box::pin(connection), spawner);
            return Ok(Open { sender: Sender::Http2(sender), tasks, idle_until });
        }
        debug_assert!(!self.http2);
        let (sender, connection) = http1::handshake(io).await.map_err(|error| self.lost(error))?;
        let tasks = Tasks::new(Box::pin(connection), spawner);
        Ok(Open { sender: Sender::Http1(sender), tasks, idle_until })
    }

    /// Tries every address of the receiver or of the proxy, each with an equal share of the remaining time.
    async fn tcp(&mut self, reactor: &Arc<Reactor>, deadline: Deadline) -> io::Result<Socket> {
        let (host, port) = match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&self.endpoint.host, self.endpoint.port),
        };
        let addresses = self.resolver.resolve(host, port, deadline, self.was_reached)?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for (index, &address) in addresses.iter().enumerate() {
            let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = deadline.remaining().map_or(Duration::MAX, |remaining| remaining / others);
            match reactor.within(Deadline::after(share), Box::pin(reactor.connect(address))).await {
                Some(Ok(socket)) => return Ok(socket),
                Some(Err(error)) => last = error,
                None => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    fn cannot_connect(&self, error: io::Error) -> Failure {
        let message = match &self.proxy {
            Some(proxy) => format!("cannot connect to the proxy {proxy}, which leads to {}", self.endpoint),
            None => format!("cannot connect to {}{}", self.endpoint, self.endpoint.absent_hint()),
        };
        Failure::transient(ExportError::unavailable(message).with_source(error))
    }

    /// Returns a transient failure if another attempt may get a tunnel.
    fn no_tunnel(&self, proxy: &Proxy, cause: NoTunnel) -> Failure {
        let to = &self.endpoint;
        match cause {
            NoTunnel::Lost(error) => {
                let message = format!("the proxy {proxy} closed the connection that should lead to {to}");
                Failure::transient(ExportError::unavailable(message).with_source(error))
            }
            NoTunnel::Refused(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => {
                Failure::Final(ExportError::unavailable(proxy.refusal_of_credentials(to)))
            }
            NoTunnel::Refused(status) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let message = format!("the proxy {proxy} cannot reach {to}: it answered {status}");
                Failure::transient(ExportError::unavailable(message))
            }
            NoTunnel::Refused(status) => {
                let message = format!("the proxy {proxy} refuses to lead to {to}: it answered {status}");
                Failure::Final(ExportError::unavailable(message))
            }
            NoTunnel::NotHttp => {
                let message = format!("the proxy {proxy}, which should lead to {to}, does not speak HTTP/1.1");
                Failure::Final(ExportError::other(message))
            }
            NoTunnel::TooLarge => {
                let message =
                    format!("the head of the answer of the proxy {proxy}, which should lead to {to}, is too large");
                Failure::Final(ExportError::other(message))
            }
        }
    }

    /// Returns a transient failure if the connection broke, and a final failure if TLS itself failed, because waiting does
    /// not make a certificate valid.
    fn tls_failed(&self, error: io::Error) -> Failure {
        let refused = self.is_final(&error);
        let error = ExportError::unavailable(format!("no TLS connection to {}", self.peer())).with_source(error);
        if refused { Failure::Final(error) } else { Failure::transient(error) }
    }

    /// Returns true if TLS has failed and another attempt would not have other certificates.
    fn is_final(&self, error: &(dyn Error + 'static)) -> bool {
        Tls::is_refusal(error) && !self.tls.as_ref().is_some_and(Tls::is_outdated)
    }

    /// Returns the failure for a connection that ended without a response, or with a response in another protocol.
    pub(super) fn lost(&self, error: hyper::Error) -> Failure {
        let hint = self.endpoint.port_hint(self.http2);
        // Without the `server` feature, hyper distinguishes this parse error from others only by its text.
        if error.is_parse() && error.to_string().contains("too large") {
            let message = format!("the head of the answer of {} is too large", self.peer());
            return Failure::Final(ExportError::too_large(message).with_source(Causes(error.into())));
        }
        if error.is_parse() || self.http2 && self.speaks_http1.load(Ordering::Relaxed) {
            let version = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
            let hint = hint.unwrap_or_else(|| ": is the port that of another protocol?".to_owned());
            let message = format!("the response of {} is not {version}{hint}", self.peer());
            return Failure::Final(ExportError::other(message).with_source(Causes(error.into())));
        }
        let refused = self.is_final(&error);
        let message = format!("the connection to {} was lost{}", self.peer(), hint.unwrap_or_default());
        let error = ExportError::unavailable(message).with_source(Causes(error.into()));
        if refused { Failure::Final(error) } else { Failure::transient(error) }
    }

    /// Returns the failure for a response that exceeds the limit.
    pub(super) fn too_large(&self) -> Failure {
        let (endpoint, limit) = (&self.endpoint, self.max_response_size);
        // spec: not to be retried
        Failure::Final(ExportError::too_large(format!("the response of {endpoint} is larger than {limit} bytes")))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("endpoint", &self.endpoint).field("open", &self.open.is_some()).finish()
    }
}
