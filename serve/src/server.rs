//! The server, with its builder, thread and shutdown.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mio::{Events, Interest, Poll, Waker};
use telemark_sdk::runtime::{Handle, Runtime};
use telemark_sdk::time::Deadline;
use telemark_sdk::{ConfigError, ExportError};

use crate::hosts::Hosts;
use crate::service::{Handler, Site};
use crate::worker::{Connections, LISTENER, WAKER, Worker};

/// An HTTP server on its own thread. Dropping it shuts the server down.
///
/// ```
/// use telemark_sdk::time::Deadline;
/// use telemark_serve::http::Response;
/// use telemark_serve::{Server, bind};
///
/// let server = Server::builder("telemark-health", |_: &_| Response::new(b"ok\n".to_vec())).start(bind("localhost", 0)?)?;
/// println!("http://{}/", server.address());
/// server.shutdown(Deadline::after(std::time::Duration::from_secs(1)))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    handle: Handle,
    address: SocketAddr,
    is_ending: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Server {
    /// Returns a builder for a server. The server's thread and its log messages have this `name`.
    pub fn builder(name: &'static str, handler: impl Handler) -> ServerBuilder {
        ServerBuilder { name, handler: Box::new(handler), allowed_hosts: Vec::new(), max_body: 0 }
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shuts the server down. Pending responses have up to 250 ms to be sent. All other connections are closed.
    ///
    /// # Errors
    /// Fails if the deadline passes first. The server still shuts down later.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.end();
        self.handle.shutdown(deadline)
    }

    /// Requests the thread to end, and wakes it if it is waiting for sockets.
    fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
        // Fails only if the thread has already ended and closed its descriptor.
        let _ = self.waker.wake();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Configures and starts a [`Server`].
///
/// ```
/// use telemark_serve::http::Response;
/// use telemark_serve::{Server, bind};
///
/// let builder = Server::builder("telemark-health", |_: &_| Response::new(b"ok\n".to_vec()));
/// let server = builder.with_allowed_hosts(["shop.internal"]).start(bind("localhost", 0)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct ServerBuilder {
    name: &'static str,
    handler: Box<dyn Handler>,
    allowed_hosts: Vec<String>,
    max_body: usize,
}

impl ServerBuilder {
    /// Allows requests for these hosts, in addition to `localhost` and loopback addresses. Hosts are names or
    /// addresses without a port. A server on a non-loopback address allows any host unless hosts are set here.
    pub fn with_allowed_hosts<N: Into<String>>(mut self, hosts: impl IntoIterator<Item = N>) -> Self {
        self.allowed_hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Allows POST requests with bodies of up to `bytes`, which are passed to [`Handler::handle_post`]. Without this
    /// method, POST gets 405. Up to 64 clients can each make the server hold a body of this size.
    ///
    /// ```
    /// use telemark_serve::http::request::Parts;
    /// use telemark_serve::http::Response;
    /// use telemark_serve::{Handler, Server, bind};
    ///
    /// struct Echo;
    ///
    /// impl Handler for Echo {
    ///     fn handle(&self, _: &Parts) -> Response<Vec<u8>> {
    ///         Response::new(b"send me something\n".to_vec())
    ///     }
    ///
    ///     fn handle_post(&self, _: &Parts, body: &[u8]) -> Response<Vec<u8>> {
    ///         Response::new(body.to_vec())
    ///     }
    /// }
    ///
    /// let server = Server::builder("telemark-echo", Echo).with_max_body(1024).start(bind("localhost", 0)?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Starts the server's thread.
    ///
    /// # Errors
    /// Fails if the operating system cannot provide a thread or a file descriptor.
    pub fn start(self, listener: TcpListener) -> Result<Server, ConfigError> {
        let name = self.name;
        let failed = |error: std::io::Error| {
            ConfigError::state(name, "the operating system cannot watch the sockets of the server").with_source(error)
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut listener = mio::net::TcpListener::from_std(listener);
        let poll = Poll::new().map_err(failed)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(failed)?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(failed)?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let site = Site {
            hosts: Hosts::new(address, self.allowed_hosts),
            handler: self.handler,
            max_body: self.max_body,
            unsent: Arc::new(AtomicUsize::new(0)),
        };
        let worker = Worker {
            name,
            poll,
            events: Events::with_capacity(128),
            listener: Some(listener),
            site: Arc::new(site),
            is_ending: is_ending.clone(),
            _waker: waker.clone(),
            connections: Connections::default(),
        };
        let handle = Runtime::Thread.start(name, worker)?;
        Ok(Server { handle, address, is_ending, waker })
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("name", &self.name)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("max_body", &self.max_body)
            .finish_non_exhaustive()
    }
}
