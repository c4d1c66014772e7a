//! Servers that respond to every request at once, so that little else than the client is measured: one in memory, for clients that
//! take any connection, and one behind sockets.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::util::ServiceFn;

/// Connects to the server in memory.
pub(super) type Connector = ServiceFn<fn(Uri) -> Ready<io::Result<Canned>>>;

pub(super) fn connector() -> Connector {
    tower::service_fn(|_server| ready(Ok(Canned::default())))
}

/// Responds to each request without a body as soon as its head is written.
#[derive(Debug, Default)]
pub(super) struct Canned {
    /// The number of requests that have no response yet.
    open: usize,
    reader: Option<Waker>,
}

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

impl Read for Canned {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.open == 0 {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.open -= 1;
        buf.put_slice(RESPONSE);
        Poll::Ready(Ok(()))
    }
}

impl Write for Canned {
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.ends_with(b"\r\n\r\n") {
            self.open += 1;
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Connection for Canned {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Serves connections as tasks of the current runtime. With client and server on one thread, neither waits for the other to wake up.
pub(super) async fn serve(listener: TcpListener) {
    while let Ok((stream, _peer)) = listener.accept().await {
        tokio::spawn(connection(stream));
    }
}

/// Responds to each request whose head arrives at once, until the client disconnects.
async fn connection(mut stream: TcpStream) {
    let mut head = [0; 4096];
    while let Ok(1..) = stream.read(&mut head).await {
        if stream.write_all(RESPONSE).await.is_err() {
            return;
        }
    }
}
