//! An HTTP receiver that refuses requests above a certain size.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use telemark_otlp::{Encode, OtlpExporter, Protocol};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, Exporter};

use super::http::{read_body, read_head, response};
use super::{PATIENCE, on_a_thread};

/// How the receiver refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuses {
    /// Reads the request, responds, and keeps the connection.
    Politely,
    /// Responds after reading only the head of the request and closes the connection, as many servers do.
    AtOnce,
    /// Responds after reading only the head of the request, and neither reads more nor closes the connection.
    WithoutReading,
}

/// The requests that have arrived.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The bodies of the accepted requests.
    pub taken: Vec<Vec<u8>>,
    /// The lengths of the refused requests.
    pub refused: Vec<usize>,
}

pub struct Limited {
    pub address: SocketAddr,
    pub limit: Arc<AtomicUsize>,
    seen: Arc<Mutex<Seen>>,
}

impl Limited {
    /// Starts a receiver that accepts requests of up to `limit` bytes and responds with `body`.
    pub fn start(limit: usize, refuses: Refuses, body: &[u8]) -> Limited {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Limited { address, limit: Arc::new(limit.into()), seen: Arc::default() };
        let (limit, seen, taken) = (server.limit.clone(), server.seen.clone(), response("200 OK", "", body));
        on_a_thread(move || {
            // Runs until the process ends, because the exporter determines the number of connections.
            let mut held = Vec::new();
            for stream in listener.incoming() {
                serve(stream.unwrap(), refuses, &taken, &limit, &seen, &mut held);
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Returns the requests that have arrived since the last call.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Responds to the requests on a connection until it ends.
fn serve(
    stream: TcpStream,
    refuses: Refuses,
    taken: &[u8],
    limit: &AtomicUsize,
    seen: &Mutex<Seen>,
    held: &mut Vec<TcpStream>,
) {
    let mut reader = BufReader::new(stream);
    while let Some(head) = read_head(&mut reader) {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let length: usize = length.parse().unwrap();
        let is_refused = length > limit.load(Ordering::Relaxed);
        let close = is_refused && refuses != Refuses::Politely;
        let body = if close { Vec::new() } else { read_body(&mut reader, &head) };
        let mut seen = seen.lock().unwrap();
        if is_refused {
            seen.refused.push(length);
        } else {
            seen.taken.push(body);
        }
        drop(seen);
        let refusal = response("413 Content Too Large", if close { "connection: close\r\n" } else { "" }, b"too large");
        let response = if is_refused { &refusal[..] } else { taken };
        if reader.get_mut().write_all(response).is_err() || close {
            if refuses == Refuses::WithoutReading {
                held.push(reader.into_inner());
            }
            return;
        }
    }
}

/// Sends a batch in requests of up to `limit` bytes. Returns the number of failed items, and the requests.
pub fn in_parts<S: Encode>(
    server: &Limited,
    batch: Batch<'_, S>,
    protocol: Protocol,
    limit: usize,
) -> (u64, Vec<Vec<u8>>) {
    let builder = OtlpExporter::<S>::builder().with_base_endpoint(server.url()).with_protocol(protocol);
    let mut exporter = builder.with_max_request_size(limit).build().unwrap();
    let failed = match exporter.export(batch, Deadline::after(PATIENCE)) {
        Ok(report) => report.failed(),
        Err(error) if error.is_too_large() => S::count(batch) as u64,
        Err(error) => panic!("{error}"),
    };
    (failed, server.take().taken)
}
