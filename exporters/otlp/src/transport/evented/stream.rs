//! The bytes of a connection, encrypted or not, as hyper reads and writes them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of bytes, encrypted or not.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A stream that detects a peer that speaks HTTP/1, which an HTTP/2 client would report as a broken frame.
///
/// It also reads the response of a peer that has stopped reading. A server that refuses a large request often responds and
/// closes the connection before the whole request has been written. The response can still be read, but the failed write would
/// be noticed first and end the connection. The stream therefore reports a failed write only once there is nothing left to
/// read.
pub(super) struct Stream {
    io: Box<dyn Io>,
    is_first: bool,
    speaks_http1: Arc<AtomicBool>,
    /// The error of the first failed write. Further writes are discarded.
    broken: Option<io::Error>,
}

impl Stream {
    pub(super) fn new(io: Box<dyn Io>, speaks_http1: Arc<AtomicBool>) -> Self {
        speaks_http1.store(false, Ordering::Relaxed);
        Stream { io, is_first: true, speaks_http1, broken: None }
    }

    /// Calls `write` to write some of `len` bytes, or discards all of them if an earlier write has failed.
    fn write_unless_broken(
        &mut self,
        len: usize,
        write: impl FnOnce(Pin<&mut dyn Io>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_none() {
            match ready!(write(Pin::new(&mut *self.io))) {
                Ok(written) => return Poll::Ready(Ok(written)),
                Err(error) => self.broken = Some(error),
            }
        }
        Poll::Ready(Ok(len))
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Copy the bytes, because writing to the cursor directly requires `unsafe`. Responses are short.
        let mut bytes = [0; 4096];
        let len = bytes.len().min(cursor.remaining());
        let mut buffer = ReadBuf::new(&mut bytes[..len]);
        let this = self.get_mut();
        let read = ready!(Pin::new(&mut this.io).poll_read(context, &mut buffer));
        if buffer.filled().is_empty() {
            if let Some(error) = this.broken.take() {
                return Poll::Ready(Err(error));
            }
        }
        read?;
        if std::mem::take(&mut this.is_first) && buffer.filled().starts_with(b"HTTP/1") {
            this.speaks_http1.store(true, Ordering::Relaxed);
        }
        cursor.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write_unless_broken(bytes.len(), |io| io.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        self.get_mut().write_unless_broken(len, |io| io.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = self.get_mut().write_unless_broken(0, |io| io.poll_flush(context).map_ok(|()| 0));
        flush.map_ok(drop)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
