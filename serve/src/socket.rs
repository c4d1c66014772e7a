//! The socket of a connection: what its client is waited for, until when, and reading and writing for hyper.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::ReadBufCursor;
use mio::net::TcpStream;
use telemark_sdk::time::Deadline;

/// What a connection waits for, in the order in which connections are closed when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The client's end of the connection, after ours.
    Closing,
    /// The rest of a request.
    Reading,
    /// The next request.
    Idle,
    /// The response, and that the client reads it.
    Answering,
}

impl Phase {
    /// The longest that a client may take.
    const fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Phase::Closing => 1,
            Phase::Reading => 5,
            Phase::Idle => 120,
            Phase::Answering => 30,
        })
    }
}

/// A socket, shared by hyper's connection and the worker on one thread; the lock is there for the types alone.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    state: Mutex<(Phase, Deadline)>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Socket { stream, state: Mutex::new((Phase::Reading, Deadline::after(Phase::Reading.limit()))) }
    }

    /// The phase, and when it is over.
    pub(crate) fn state(&self) -> (Phase, Deadline) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a phase, also again.
    pub(crate) fn begin(&self, phase: Phase) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Deadline::after(phase.limit()));
    }

    fn is(&self, phase: Phase) -> bool {
        self.state().0 == phase
    }

    /// Reads what is there; `None` when nothing is yet.
    pub(crate) fn read(&self, chunk: &mut [u8]) -> io::Result<Option<usize>> {
        retried(|| (&self.stream).read(chunk))
    }
}

/// The result of a call on a socket that does not block; `None` when it would.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<Option<T>> {
    loop {
        match call() {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// The socket as hyper sees it. Nobody is woken: whoever is told that the socket is ready polls the connection.
pub(crate) struct Io(pub(crate) Arc<Socket>);

impl Io {
    fn written(&self, written: io::Result<Option<usize>>) -> Poll<io::Result<usize>> {
        match written.transpose() {
            Some(written) => Poll::Ready(written),
            None => {
                if !self.0.is(Phase::Answering) {
                    self.0.begin(Phase::Answering);
                }
                Poll::Pending
            }
        }
    }
}

impl hyper::rt::Read for Io {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut to: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; 4096];
        let length = to.remaining().min(chunk.len());
        match self.0.read(chunk.get_mut(..length).unwrap_or_default())? {
            None => Poll::Pending,
            Some(read) => {
                if read > 0 && self.0.is(Phase::Idle) {
                    self.0.begin(Phase::Reading);
                }
                to.put_slice(chunk.get(..read).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.written(retried(|| (&self.0.stream).write(from)))
    }

    /// hyper flushes the socket after everything it had was written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.is(Phase::Answering) {
            self.0.begin(Phase::Idle);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.stream.shutdown(Shutdown::Write))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(self: Pin<&mut Self>, _: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.written(retried(|| (&self.0.stream).write_vectored(from)))
    }
}
