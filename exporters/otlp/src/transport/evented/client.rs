//! The client on hyper, which opens a connection when needed, keeps it between batches, and replaces it when it is lost.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
#[cfg(feature = "grpc")]
use hyper::client::conn::http2;
use telemark_sdk::ExportError;
use telemark_sdk::time::Deadline;

use super::super::failure::Failure;
use super::super::peer::{Addresses, MAX_IDLE, Peer};
use super::super::received::Received;
use super::body::{Sent, Unread, read};
use super::reactor::{Reactor, Socket};
use super::stream::{Io, Stream};
use super::tasks::{Spawner, Tasks};
use super::tunnel::{self, NoTunnel};
use crate::config::Config;
use crate::proxy::Proxy;
use crate::tls::Tls;

/// The connection to one peer, and what outlives it.
pub(in crate::transport) struct Client {
    tls: Option<Tls>,
    /// Created together with the first connection.
    reactor: Option<Arc<Reactor>>,
    open: Option<Open>,
    /// True if the peer of the latest connection responded with HTTP/1.
    speaks_http1: Arc<AtomicBool>,
}

struct Open {
    sender: Sender,
    tasks: Tasks,
    idle_until: Deadline,
}

enum Sender {
    Http1(http1::SendRequest<Full<Sent>>),
    #[cfg(feature = "grpc")]
    Http2(http2::SendRequest<Full<Sent>>),
}

type Unsent = hyper::client::conn::TrySendError<Request<Full<Sent>>>;

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

    async fn send(&mut self, request: Request<Full<Sent>>) -> Result<Response<Incoming>, Unsent> {
        match self {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            #[cfg(feature = "grpc")]
            Sender::Http2(sender) => sender.try_send_request(request).await,
        }
    }
}

impl Client {
    pub(in crate::transport) fn new(config: &Config) -> Self {
        Client { tls: config.tls.clone(), reactor: None, open: None, speaks_http1: Arc::default() }
    }

    /// Returns the number of times that changed certificates could not be used.
    pub(in crate::transport) fn failed_refreshes(&self) -> u64 {
        self.tls.as_ref().map_or(0, Tls::failures)
    }

    pub(in crate::transport) fn close(&mut self) {
        self.open = None;
    }

    /// Sends a request and reads the response, whose body has at most `limit` bytes. Blocks until the response arrives or the deadline
    /// passes.
    pub(in crate::transport) fn exchange(
        &mut self,
        peer: &mut Peer,
        request: Request<Arc<Vec<u8>>>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Received, Failure> {
        // On a thread inside a Tokio runtime, parts of hyper would charge their work to the current task and wait for it
        // to yield.
        if tokio::runtime::Handle::try_current().is_ok() {
            let message = "an exporter blocks: it cannot be called on a thread of an async runtime";
            return Err(Failure::Final(ExportError::other(message)));
        }
        let reactor = self.reactor().map_err(|error| peer.cannot_connect(error))?;
        let exchange = Box::pin(self.try_to_exchange(
            peer,
            &reactor,
            request.map(|body| Full::new(Sent::new(body))),
            limit,
            deadline,
        ));
        let outcome = reactor.block_on(pin!(reactor.within(deadline, exchange)));
        if let Ok(Some(result)) = outcome {
            return result;
        }
        // A late response must not be taken for the response to another request.
        self.close();
        Err(match outcome {
            Err(error) => {
                self.reactor = None;
                peer.cannot_connect(error)
            }
            _ => peer.timeout(),
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
        peer: &mut Peer,
        reactor: &Arc<Reactor>,
        mut request: Request<Full<Sent>>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Received, Failure> {
        let mut reused = self.is_usable().await;
        loop {
            let open = match self.open.as_mut().filter(|_| reused) {
                Some(open) => open,
                None => {
                    self.open = None;
                    let open = self.connect(peer, reactor, deadline).await?;
                    peer.was_reached = true;
                    self.open.insert(open)
                }
            };
            let mut unsent = match open.tasks.beside(open.sender.send(request)).await {
                Ok(response) => return self.read(peer, response, limit).await,
                Err(unsent) => unsent,
            };
            let ended = self.end().await;
            match unsent.take_message() {
                // The kept connection has just been closed before any part of the request was sent.
                Some(back) if reused => {
                    request = back;
                    reused = false;
                }
                _ => return Err(self.lost(peer, ended.unwrap_or_else(|| unsent.into_error()))),
            }
        }
    }

    /// Reads the body up to `limit` bytes, and the trailers.
    ///
    /// spec: protocol/exporter.md, max response size
    async fn read(&mut self, peer: &Peer, response: Response<Incoming>, limit: usize) -> Result<Received, Failure> {
        let (http::response::Parts { status, headers, .. }, body) = response.into_parts();
        let read = match &mut self.open {
            Some(open) => {
                let read = open.tasks.beside(read(body, limit)).await;
                open.idle_until = Deadline::after(MAX_IDLE);
                read
            }
            None => read(body, limit).await,
        };
        match read {
            Ok((body, trailers)) => Ok(Received { status, headers, body: Ok(body), trailers }),
            Err(unread) => {
                self.close();
                match unread {
                    Unread::TooLarge => Err(peer.too_large()),
                    Unread::Broken(error) => Ok(Received { status, headers, body: Err(error.into()), trailers: None }),
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
        // A peer that has responded without reading the whole request keeps the connection busy, perhaps for ever.
        !open.sender.is_closed() && matches!(open.tasks.at_once(open.sender.ready()).await, Some(Ok(())))
    }

    async fn connect(&mut self, peer: &mut Peer, reactor: &Arc<Reactor>, deadline: Deadline) -> Result<Open, Failure> {
        let mut socket = tcp(peer, reactor, deadline).await.map_err(|error| peer.cannot_connect(error))?;
        if let Some(proxy) = peer.tunnelling_proxy() {
            tunnel::open(&mut socket, proxy, &peer.endpoint).await.map_err(|cause| no_tunnel(peer, proxy, cause))?;
        }
        let io: Box<dyn Io> = match &mut self.tls {
            Some(tls) => Box::new(tls.connect(socket).await.map_err(|error| self.tls_failed(peer, error))?),
            None => Box::new(socket),
        };
        let io = Stream::new(io, self.speaks_http1.clone());
        let idle_until = Deadline::after(MAX_IDLE);
        let spawner = Spawner::default();
        #[cfg(feature = "grpc")]
        if peer.http2 {
            let (sender, connection) =
                http2::Builder::new(spawner.clone()).handshake(io).await.map_err(|error| self.lost(peer, error))?;
            let tasks = Tasks::new(Box::pin(connection), spawner);
            return Ok(Open { sender: Sender::Http2(sender), tasks, idle_until });
        }
        debug_assert!(!peer.http2);
        let (sender, connection) = http1::handshake(io).await.map_err(|error| self.lost(peer, error))?;
        let tasks = Tasks::new(Box::pin(connection), spawner);
        Ok(Open { sender: Sender::Http1(sender), tasks, idle_until })
    }

    /// Returns a transient failure if the connection broke, and a final failure if TLS itself failed, because waiting does
    /// not make a certificate valid.
    fn tls_failed(&self, peer: &Peer, error: io::Error) -> Failure {
        let refused = self.is_final(&error);
        let error = ExportError::unavailable(format!("no TLS connection to {}", peer.name())).with_source(error);
        if refused { Failure::Final(error) } else { Failure::transient(error) }
    }

    /// Returns true if TLS has failed and another attempt would not have other certificates.
    fn is_final(&self, error: &(dyn Error + 'static)) -> bool {
        Tls::is_refusal(error) && !self.tls.as_ref().is_some_and(Tls::is_outdated)
    }

    /// Returns the failure for a connection that ended without a response, or with a response in another protocol.
    fn lost(&self, peer: &Peer, error: hyper::Error) -> Failure {
        // Without the `server` feature, hyper distinguishes this parse error from others only by its text.
        if error.is_parse() && error.to_string().contains("too large") {
            return peer.head_too_large(error);
        }
        if error.is_parse() || peer.http2 && self.speaks_http1.load(Ordering::Relaxed) {
            return peer.other_protocol(error);
        }
        let refused = self.is_final(&error);
        let error = peer.loss(error.into());
        if refused { Failure::Final(error) } else { Failure::transient(error) }
    }
}

/// Tries every address of the receiver or of the proxy.
async fn tcp(peer: &mut Peer, reactor: &Arc<Reactor>, deadline: Deadline) -> io::Result<Socket> {
    let mut last = Addresses::none();
    for (address, share) in peer.addresses(deadline)? {
        match reactor.within(Deadline::after(share), Box::pin(reactor.connect(address))).await {
            Some(Ok(socket)) => return Ok(socket),
            Some(Err(error)) => last = error,
            None => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Returns a transient failure if another attempt may get a tunnel.
fn no_tunnel(peer: &Peer, proxy: &Proxy, cause: NoTunnel) -> Failure {
    let to = &peer.endpoint;
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("open", &self.open.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_connection_that_is_busy_with_a_refused_request_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let reactor = Arc::new(Reactor::new().unwrap());
        let mut client = Client { tls: None, reactor: None, open: None, speaks_http1: Arc::default() };
        let is_usable = Box::pin(async {
            let socket = reactor.connect(listener.local_addr().unwrap()).await.unwrap();
            let (sender, connection) = http1::handshake(Stream::new(Box::new(socket), Arc::default())).await.unwrap();
            let tasks = Tasks::new(Box::pin(connection), Spawner::default());
            let open = Open { sender: Sender::Http1(sender), tasks, idle_until: Deadline::NEVER };
            let Open { sender, tasks, .. } = client.open.insert(open);
            let mut peer = listener.accept().unwrap().0;
            // More than the buffers of two sockets hold.
            let body = Full::new(Sent::new(Arc::new(vec![0; 32 << 20])));
            let mut response = Box::pin(sender.send(Request::post("/").body(body).unwrap()));
            assert!(tasks.at_once(response.as_mut()).await.is_none());
            peer.write_all(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 4\r\n\r\nlong").unwrap();
            let response = tasks.beside(response).await.ok().unwrap();
            assert_eq!(tasks.beside(read(response.into_body(), 4)).await.ok().unwrap().0, b"long");
            client.is_usable().await
        });
        let deadline = Deadline::after(Duration::from_secs(20));
        assert_eq!(reactor.block_on(pin!(reactor.within(deadline, is_usable))).unwrap(), Some(false));
    }
}
