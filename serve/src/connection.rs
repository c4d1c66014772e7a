//! One connection: hyper's state machine, and the end that does not destroy the last response.

use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use hyper::server::conn::http1;

use crate::service::{Service, Site};
use crate::socket::{Io, Phase, Socket};

/// The longest head of a request in bytes, and about what hyper reads ahead.
const MAX_HEAD: usize = 16 << 10;
/// The most that is read of what a client sends after its last request, in bytes.
const MAX_DRAINED: usize = 64 << 10;

/// A connection of a client.
pub(crate) struct Connection {
    pub(crate) socket: Arc<Socket>,
    /// `None` once the last response has been sent.
    http: Option<Pin<Box<http1::Connection<Io, Service>>>>,
    woken: Arc<Woken>,
    waker: Waker,
    drained: usize,
    /// The worker has it on its list.
    pub(crate) is_queued: bool,
}

/// Hyper asks to be polled again though nothing happened to the socket.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The state of a connection after it was advanced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It can go on at once.
    Ready,
    /// It waits for its client.
    Waiting,
    /// It is over.
    Done,
}

impl Connection {
    pub(crate) fn new(socket: Socket, site: Arc<Site>) -> Self {
        let socket = Arc::new(socket);
        let service = Service { site, socket: socket.clone() };
        let http = http1::Builder::new()
            // hyper needs a timer for it; the worker closes what is overdue.
            .header_read_timeout(None)
            // Some clients end their side with the request.
            .half_close(true)
            .max_buf_size(MAX_HEAD)
            .serve_connection(Io(socket.clone()), service);
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        Connection { socket, http: Some(Box::pin(http)), woken, waker, drained: 0, is_queued: false }
    }

    /// Reads, answers and writes what is possible without waiting; at most one call of the handler.
    pub(crate) fn advance(&mut self) -> Progress {
        if let Some(http) = &mut self.http {
            self.woken.0.store(false, Ordering::Relaxed);
            match http.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                Poll::Pending if self.woken.0.load(Ordering::Relaxed) => return Progress::Ready,
                Poll::Pending => return Progress::Waiting,
                // A client's mistakes are its own affair; hyper has answered them.
                Poll::Ready(_) => {
                    self.http = None;
                    self.socket.begin(Phase::Closing);
                    // Fails if the client was faster.
                    let _ = self.socket.stream.shutdown(Shutdown::Write);
                }
            }
        }
        self.drain()
    }

    /// Reads what is left until the client closes its side too: unread bytes would make the close a reset, which may destroy
    /// the response on its way.
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
