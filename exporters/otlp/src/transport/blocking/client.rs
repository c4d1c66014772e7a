//! The client on the standard library, which opens a connection when needed, keeps it between batches, and replaces it when it is lost.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use http::Request;
use telemark_sdk::time::Deadline;

use super::super::failure::Failure;
use super::super::peer::{Addresses, MAX_IDLE, Peer};
use super::super::received::Received;
use super::incoming::{Cut, Response, Until, read};
use super::socket::{Socket, Written};

/// The part of a body in bytes that is copied behind the head, so that most requests need a single write.
const COPIED: usize = 16 << 10;

/// The connection to one peer, if one is open.
#[derive(Debug, Default)]
pub(in crate::transport) struct Client {
    open: Option<Open>,
    /// The head of a request and the beginning of its body. The memory is reused.
    start: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    socket: Socket,
    idle_until: Deadline,
}

/// The reason why a request was not written to its end.
enum Unwritten {
    Timeout,
    /// Nothing was written.
    Nothing(io::Error),
    /// The peer has stopped reading.
    Broken(io::Error),
    /// A response has arrived.
    Interrupted,
}

impl Client {
    pub(in crate::transport) fn close(&mut self) {
        self.open = None;
    }

    /// Sends a request and reads the response, whose body has at most `limit` bytes. Blocks until the response arrives or the deadline
    /// passes.
    pub(in crate::transport) fn exchange(
        &mut self,
        peer: &mut Peer,
        request: &Request<Arc<Vec<u8>>>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Received, Failure> {
        self.start.clear();
        let rest = write_start(&mut self.start, request);
        let kept = self.open.take().filter(Open::is_usable);
        let mut reused = kept.is_some();
        let mut socket = match kept {
            Some(open) => open.socket,
            None => connect(peer, deadline)?,
        };
        let unwritten = loop {
            match write(&mut socket, [&self.start, rest], deadline) {
                Ok(()) => break None,
                // The kept connection has just been closed.
                Err(Unwritten::Nothing(_)) if reused => {
                    reused = false;
                    socket = connect(peer, deadline)?;
                }
                Err(Unwritten::Timeout) => return Err(peer.timeout()),
                Err(unwritten) => break Some(unwritten),
            }
        };
        let response = read(&mut Until(&mut socket, deadline), limit).map_err(|cut| match (cut, &unwritten) {
            (Cut::Timeout, _) => peer.timeout(),
            (Cut::TooLarge, _) => peer.too_large(),
            (Cut::HeadTooLarge, _) => peer.head_too_large("it does not end"),
            (Cut::NotHttp(malformed), _) => peer.other_protocol(malformed),
            // The failure to write is the cause of the failure to read.
            (Cut::Lost(_), Some(Unwritten::Nothing(error) | Unwritten::Broken(error))) => {
                peer.lost(io::Error::new(error.kind(), error.to_string()))
            }
            (Cut::Lost(error), _) => peer.lost(error),
        })?;
        let Response { status, headers, body, keeps_alive } = response;
        if keeps_alive && unwritten.is_none() {
            self.open = Some(Open { socket, idle_until: Deadline::after(MAX_IDLE) });
        }
        Ok(Received { status, headers, body: body.map_err(Into::into), trailers: None })
    }
}

impl Open {
    /// Returns true if the connection can be used again. Whatever arrives between requests belongs to none.
    fn is_usable(&self) -> bool {
        !self.idle_until.has_passed() && self.socket.is_quiet().unwrap_or(false)
    }
}

/// Tries every address of the receiver or of the proxy.
fn connect(peer: &mut Peer, deadline: Deadline) -> Result<Socket, Failure> {
    if deadline.has_passed() {
        return Err(peer.timeout());
    }
    let mut last = Addresses::none();
    for (address, share) in peer.addresses(deadline).map_err(|error| peer.cannot_connect(error))? {
        match Socket::connect(address, share) {
            Ok(socket) => {
                peer.was_reached = true;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(peer.cannot_connect(last))
}

/// Writes the head and the beginning of the body. Returns the rest of the body.
fn write_start<'r>(start: &mut Vec<u8>, request: &'r Request<Arc<Vec<u8>>>) -> &'r [u8] {
    let body = request.body();
    // Writing to memory does not fail.
    let _ = write!(start, "{} {} HTTP/1.1\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        start.extend_from_slice(name.as_str().as_bytes());
        start.extend_from_slice(b": ");
        start.extend_from_slice(value.as_bytes());
        start.extend_from_slice(b"\r\n");
    }
    let _ = write!(start, "content-length: {}\r\n\r\n", body.len());
    let (copied, rest) = body.split_at(body.len().min(COPIED));
    start.extend_from_slice(copied);
    rest
}

/// Writes these bytes. A receiver that refuses a large request often responds before it has read the request, and then reads no more.
fn write(socket: &mut Socket, parts: [&[u8]; 2], deadline: Deadline) -> Result<(), Unwritten> {
    let mut is_first = true;
    for mut bytes in parts {
        while !bytes.is_empty() {
            match socket.write(bytes, deadline) {
                Ok(Written::Bytes(written)) => {
                    is_first = false;
                    bytes = bytes.get(written..).unwrap_or_default();
                }
                Ok(Written::Nothing) => {
                    if !socket.is_quiet().map_err(Unwritten::Broken)? {
                        return Err(Unwritten::Interrupted);
                    }
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => return Err(Unwritten::Timeout),
                Err(error) if is_first => return Err(Unwritten::Nothing(error)),
                Err(error) => return Err(Unwritten::Broken(error)),
            }
        }
    }
    Ok(())
}
