//! A single connection: hyper's state machine, and a way to close the connection without destroying the last response.

use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use hyper::server::conn::http1;

use crate::service::{Service, Site};
use crate::socket::{Io, Phase, Socket};

/// The maximum size of a request head in bytes. hyper also reads ahead by about this much.
const MAX_HEAD: usize = 16 << 10;
/// The maximum number of bytes read and discarded after the last response.
const MAX_DRAINED: usize = 64 << 10;

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) socket: Arc<Socket>,
    /// `None` once the last response has been sent.
    http: Option<Pin<Box<http1::Connection<Io, Service>>>>,
    woken: Arc<Woken>,
    waker: Waker,
    drained: usize,
    /// True while the connection is in the worker's ready list.
    pub(crate) is_queued: bool,
}

/// Set when hyper requests another poll without a socket event.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The state of a connection after [`Connection::advance`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Can advance immediately.
    Ready,
    /// Must wait for the client.
    Waiting,
    /// Has ended.
    Done,
}

impl Connection {
    pub(crate) fn new(socket: Socket, site: Arc<Site>) -> Self {
        let socket = Arc::new(socket);
        let service = Service { site, socket: socket.clone() };
        let http = http1::Builder::new()
            // hyper's timeout would need a timer. The worker closes overdue connections instead.
            .header_read_timeout(None)
            // Some clients close their side right after the request.
            .half_close(true)
            .max_buf_size(MAX_HEAD)
            .serve_connection(Io(socket.clone()), service);
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        Connection { socket, http: Some(Box::pin(http)), woken, waker, drained: 0, is_queued: false }
    }

    /// Reads, responds and writes as far as possible without blocking. Calls the handler at most once.
    pub(crate) fn advance(&mut self) -> Progress {
        if let Some(http) = &mut self.http {
            self.woken.0.store(false, Ordering::Relaxed);
            match http.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                Poll::Pending if self.woken.0.load(Ordering::Relaxed) => return Progress::Ready,
                Poll::Pending => return Progress::Waiting,
                // Errors are caused by the client, and hyper has already responded to them.
                Poll::Ready(_) => {
                    self.http = None;
                    self.socket.begin(Phase::Closing);
                    // Fails if the client has already closed the connection.
                    let _ = self.socket.stream.shutdown(Shutdown::Write);
                }
            }
        }
        self.drain()
    }

    /// Reads until the client closes its side. Closing a socket with unread bytes would send a reset, which may
    /// destroy a response still in transit.
    fn drain(&mut self) -> Progress {
        let mut chunk = [0; 4096];
        while self.drained < MAX_DRAINED {
            match self.socket.read(&mut chunk) {
                Ok(Some(0)) | Err(_) => return Progress::Done,
                Ok(Some(read)) => self.drained += read,
                Ok(None) => return Progress::Waiting,
            }
        }
        Progress::Done
    }
}
