//! The bytes of a connection, up to a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use telemark_sdk::time::Deadline;

/// The maximum time for which a write waits before it looks for a response that arrived early.
const STALL: Duration = Duration::from_millis(20);

/// The progress of a write.
pub(super) enum Written {
    Bytes(usize),
    /// The peer does not read for the moment.
    Nothing,
}

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket(TcpStream);

impl Socket {
    pub(super) fn connect(address: SocketAddr, share: Duration) -> io::Result<Self> {
        if share.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let stream = TcpStream::connect_timeout(&address, share)?;
        // A request is written as a whole, so waiting to fill a packet would only delay its end.
        stream.set_nodelay(true)?;
        Ok(Socket(stream))
    }

    /// Reads some bytes. Returns zero at the end of the stream.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::TimedOut`] once the deadline has passed.
    pub(super) fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        loop {
            self.0.set_read_timeout(remaining(deadline)?)?;
            match self.0.read(buffer) {
                Err(error) if is_pause(&error) => {}
                done => return done,
            }
        }
    }

    /// Writes some bytes, unless the peer does not read.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::TimedOut`] once the deadline has passed.
    pub(super) fn write(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<Written> {
        let timeout = remaining(deadline)?.map_or(STALL, |left| left.min(STALL));
        self.0.set_write_timeout(Some(timeout))?;
        // Several slices in one call would need `writev`, which raises SIGPIPE in programs that have restored its default.
        match self.0.write(bytes) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(written) => Ok(Written::Bytes(written)),
            Err(error) if is_pause(&error) => Ok(Written::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Returns true if nothing has arrived and the peer has not ended the connection.
    pub(super) fn is_quiet(&self) -> io::Result<bool> {
        self.0.set_nonblocking(true)?;
        let peeked = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false)?;
        Ok(matches!(peeked, Err(error) if is_pause(&error)))
    }
}

/// Returns the time for one call, or `None` if it is unlimited.
fn remaining(deadline: Deadline) -> io::Result<Option<Duration>> {
    match deadline.remaining() {
        Some(left) if left.is_zero() => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// Returns true if the call may be repeated. Systems report the end of a socket's own timeout in two ways.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
