//! The server: its settings, its thread and its end.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mio::{Events, Interest, Poll, Token, Waker};
use telemark_sdk::runtime::{Handle, Runtime};
use telemark_sdk::time::Deadline;
use telemark_sdk::{ConfigError, ExportError};

use crate::hosts::Hosts;
use crate::service::{Handler, Site};
use crate::worker::{Connections, WAKER, Worker};

/// An HTTP server on a thread of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    handle: Handle,
    address: SocketAddr,
    is_ending: Arc<AtomicBool>,
    waker: Waker,
}

impl Server {
    /// Begins a server; `name` is that of its thread and of its messages.
    pub fn builder(name: &'static str, handler: impl Handler) -> Builder {
        Builder { name, handler: Box::new(handler), allowed_hosts: Vec::new() }
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the server. Responses on their way are sent, for a quarter of a second at most; other connections are closed.
    ///
    /// # Errors
    /// The deadline passed first; the server then ends by itself later.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.end();
        self.handle.shutdown(deadline)
    }

    /// Wakes the thread from waiting for a socket.
    fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
        // Fails only if the thread's own descriptor is gone, and the thread with it.
        let _ = self.waker.wake();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Builds a [`Server`].
#[must_use]
pub struct Builder {
    name: &'static str,
    handler: Box<dyn Handler>,
    allowed_hosts: Vec<String>,
}

impl Builder {
    /// Answers requests for these hosts: names or addresses, without a port. On a loopback address they are accepted besides
    /// `localhost` and loopback addresses; on any other, requests for other hosts are refused as soon as there is one.
    pub fn with_allowed_hosts<N: Into<String>>(mut self, hosts: impl IntoIterator<Item = N>) -> Self {
        self.allowed_hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system gives no thread or no descriptor.
    pub fn start(self, listener: TcpListener) -> Result<Server, ConfigError> {
        let name = self.name;
        let failed = |error: std::io::Error| {
            ConfigError::state(name, "the operating system does not let the server watch its sockets")
                .with_source(error)
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut listener = mio::net::TcpListener::from_std(listener);
        let poll = Poll::new().map_err(failed)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(failed)?;
        poll.registry().register(&mut listener, Token(0), Interest::READABLE).map_err(failed)?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let site = Site {
            hosts: Hosts::new(address, self.allowed_hosts),
            handler: self.handler,
            unsent: Arc::new(AtomicUsize::new(0)),
        };
        let worker = Worker {
            name,
            poll,
            events: Events::with_capacity(128),
            listener: Some(listener),
            site: Arc::new(site),
            is_ending: is_ending.clone(),
            connections: Connections::default(),
        };
        let handle = Runtime::Thread.start(name, worker)?;
        Ok(Server { handle, address, is_ending, waker })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("allowed_hosts", &self.allowed_hosts)
            .finish_non_exhaustive()
    }
}
