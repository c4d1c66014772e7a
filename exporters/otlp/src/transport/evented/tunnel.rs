//! The tunnel through a proxy: the request for it, and the verdict in the proxy's response.
//!
//! spec: RFC 9110, 9.3.6

use std::io;
use std::pin::Pin;

use http::StatusCode;
use tokio::io::AsyncWrite;

use super::super::head;
use super::reactor::Socket;
use crate::endpoint::Endpoint;
use crate::proxy::Proxy;

/// The maximum size of the heads of a response in bytes, including those of interim responses.
const MAX_HEAD: usize = 16 << 10;

/// The reason why there is no tunnel.
#[derive(Debug)]
pub(super) enum NoTunnel {
    /// The connection to the proxy broke.
    Lost(io::Error),
    Refused(StatusCode),
    /// The peer is no proxy.
    NotHttp,
    /// The head of the response does not end.
    TooLarge,
}

/// Asks the proxy on this socket for a tunnel to the endpoint. Reads exactly the head of the response, because the receiver may speak
/// first.
pub(super) async fn open(socket: &mut Socket, proxy: &Proxy, endpoint: &Endpoint) -> Result<(), NoTunnel> {
    write_all(socket, &request(proxy, endpoint)).await.map_err(NoTunnel::Lost)?;
    let mut read = 0;
    loop {
        let head = read_head(socket, MAX_HEAD - read).await?;
        read += head.len();
        match head::status(&head).ok_or(NoTunnel::NotHttp)? {
            status if status.is_success() => return Ok(()),
            // Another response follows.
            status if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS => {}
            status => return Err(NoTunnel::Refused(status)),
        }
    }
}

fn request(proxy: &Proxy, endpoint: &Endpoint) -> Vec<u8> {
    let Endpoint { host, port, .. } = endpoint;
    let to = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

async fn write_all(socket: &mut Socket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::future::poll_fn(|context| Pin::new(&mut *socket).poll_write(context, bytes)).await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Reads up to the empty line that ends a head.
async fn read_head(socket: &mut Socket, max: usize) -> Result<Vec<u8>, NoTunnel> {
    let mut head = Vec::new();
    loop {
        let mut bytes = [0; 1024];
        let len =
            std::future::poll_fn(|context| socket.poll_peek(context, &mut bytes)).await.map_err(NoTunnel::Lost)?;
        if len == 0 {
            return Err(NoTunnel::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let before = head.len();
        head.extend_from_slice(&bytes[..len]);
        // Stops early on anything else, such as the greeting of another protocol, which may never end a head.
        if !head::could_be_http(&head) {
            return Err(NoTunnel::NotHttp);
        }
        let end = head::end(&head, before);
        head.truncate(end.unwrap_or(head.len()));
        socket.consume(head.len() - before).map_err(NoTunnel::Lost)?;
        match end {
            Some(end) if end <= max => return Ok(head),
            None if head.len() <= max => {}
            _ => return Err(NoTunnel::TooLarge),
        }
    }
}
