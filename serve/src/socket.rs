//! A connection's socket: its phase and deadline, and hyper's I/O traits.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::ReadBufCursor;
use mio::net::TcpStream;
use telemark_sdk::time::Deadline;

/// The phases of a connection. Earlier ones are closed first if there are too many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The server has closed its side and is waiting for the client to do the same.
    Closing,
    /// Waiting for the rest of a request.
    Reading,
    /// Waiting for the next request.
    Idle,
    /// Producing the response, or waiting for the client to read it.
    Responding,
}

impl Phase {
    /// Returns the maximum time a client may spend in this phase.
    const fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Phase::Closing => 1,
            Phase::Reading => 5,
            Phase::Idle => 120,
            Phase::Responding => 30,
        })
    }
}

/// A socket shared by hyper's connection and the worker. Both run on the same thread; the lock only
/// satisfies the type system.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    state: Mutex<(Phase, Deadline)>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Socket { stream, state: Mutex::new((Phase::Reading, Deadline::after(Phase::Reading.limit()))) }
    }

    /// Returns the phase and its deadline.
    pub(crate) fn state(&self) -> (Phase, Deadline) {
        *self.lock()
    }

    /// Enters a phase, or restarts the current one.
    pub(crate) fn begin(&self, phase: Phase) {
        *self.lock() = (phase, Deadline::after(phase.limit()));
    }

    fn lock(&self) -> MutexGuard<'_, (Phase, Deadline)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, phase: Phase) -> bool {
        self.state().0 == phase
    }

    /// Reads available bytes, or returns `None` if there are none yet.
    pub(crate) fn read(&self, chunk: &mut [u8]) -> io::Result<Option<usize>> {
        retried(|| (&self.stream).read(chunk))
    }
}

/// Repeats an operation on a nonblocking socket while it is interrupted. Returns `None` if it would block.
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

/// The socket as passed to hyper. It never wakes a task, because the worker polls a connection whenever its
/// socket is ready.
pub(crate) struct Io(pub(crate) Arc<Socket>);

impl Io {
    fn written(&self, written: io::Result<Option<usize>>) -> Poll<io::Result<usize>> {
        match written.transpose() {
            Some(written) => Poll::Ready(written),
            None => {
                if !self.0.is(Phase::Responding) {
                    self.0.begin(Phase::Responding);
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

    /// Called by hyper once everything is written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.is(Phase::Responding) {
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
