//! The exporter's own server, for programs that have none: one thread, one request at a time.
//!
//! It answers `GET /metrics` and nothing else, and closes the connection after each answer, so that a client that does
//! nothing keeps the others waiting for seconds at most.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use telemark_sdk::config::Env;
use telemark_sdk::diag::{self, Level};
use telemark_sdk::runtime::{Handle, Next, Runtime, Task, Wake};
use telemark_sdk::time::Deadline;
use telemark_sdk::{ConfigError, ExportError};

use crate::exporter::Prometheus;
use crate::request::{Request, parse};

/// The longest that a client may take to send its request.
const READ: Duration = Duration::from_secs(5);
/// The longest that a client may take to read its page.
const WRITE: Duration = Duration::from_secs(30);
/// How often a wait looks whether the server ends.
const SLICE: Duration = Duration::from_millis(200);
/// The longest head of a request in bytes.
const LONGEST_HEAD: usize = 8 << 10;
/// What is read after an answer, so that closing does not destroy it on its way.
const MOST_DRAINED: usize = 64 << 10;

/// A server of the page at `/metrics`. It ends when it is dropped.
///
/// spec: metrics/sdk_exporters/prometheus.md#configuration
#[derive(Debug)]
pub struct Server {
    handle: Handle,
    address: SocketAddr,
    ends: Arc<AtomicBool>,
}

impl Server {
    /// Listens on a host's address; port 0 is a free one.
    ///
    /// # Errors
    /// The host has no address here, the port is taken, or there is no thread.
    pub fn start(prometheus: Prometheus, host: &str, port: u16) -> Result<Self, ConfigError> {
        let listener = bind(host, port).map_err(|error| {
            let accepted = "an address of this machine and a port that is free";
            ConfigError::invalid("prometheus", format!("{host}:{port}"), accepted).with_source(error)
        })?;
        let address = listener
            .local_addr()
            .map_err(|error| ConfigError::state("prometheus", "the socket has no address").with_source(error))?;
        let ends = Arc::new(AtomicBool::new(false));
        let task = Listening { listener: Some(listener), prometheus, ends: ends.clone() };
        let handle = Runtime::Thread.start("telemark-prometheus", task)?;
        Ok(Server { handle, address, ends })
    }

    /// Listens where `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT` say, or else on `localhost:9464`.
    ///
    /// # Errors
    /// See [`Server::start`].
    pub fn from_env(prometheus: Prometheus, env: &Env) -> Result<Self, ConfigError> {
        let host = env.string("OTEL_EXPORTER_PROMETHEUS_HOST");
        let port = env.integer("OTEL_EXPORTER_PROMETHEUS_PORT", 0..=usize::from(u16::MAX));
        let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(9464);
        Server::start(prometheus, host.as_deref().unwrap_or("localhost"), port)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the server and waits for its last answer.
    ///
    /// # Errors
    /// The deadline passed first; the server then ends by itself later.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.end();
        self.handle.shutdown(deadline)
    }

    /// Wakes the thread from waiting for a connection.
    fn end(&self) {
        if !self.ends.swap(true, Ordering::AcqRel) {
            let ip = match self.address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            };
            // When it fails, there are connections enough to wake it.
            drop(TcpStream::connect_timeout(&SocketAddr::new(ip, self.address.port()), SLICE));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// A name may have several addresses; the older kind is tried first, for those who scrape `127.0.0.1`.
fn bind(host: &str, port: u16) -> std::io::Result<TcpListener> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    TcpListener::bind(&*addresses)
}

struct Listening {
    /// `None` after shutdown.
    listener: Option<TcpListener>,
    prometheus: Prometheus,
    ends: Arc<AtomicBool>,
}

impl Task for Listening {
    fn first(&self) -> Duration {
        Duration::ZERO
    }

    /// Waits for one connection and serves it. The runtime asks between two of them whether it is time to end.
    fn run(&mut self, _: Wake) -> Next {
        const NEVER: Next = Next::After(Duration::MAX);
        let Some(listener) = &self.listener else { return NEVER };
        if self.ends() {
            return NEVER;
        }
        match listener.accept() {
            Ok((stream, _)) if !self.ends() => {
                // What goes wrong with a client is its own affair.
                let _ = self.serve(stream);
                Next::Now
            }
            Ok(_) => NEVER,
            Err(error) => {
                diag::log(Level::Warn, "prometheus.accept", format_args!("no connection for Prometheus: {error}"));
                Next::After(Duration::from_millis(100))
            }
        }
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        Ok(())
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.listener = None;
        Ok(())
    }
}

impl Listening {
    fn ends(&self) -> bool {
        self.ends.load(Ordering::Acquire)
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let deadline = Deadline::after(READ);
        let mut head = Vec::with_capacity(1024);
        // What was looked through already, but for an end that may have begun.
        let mut looked = 0;
        let request = loop {
            if let Some(end) = find_end(&head, looked) {
                break parse(head.get(..end).unwrap_or_default());
            }
            looked = head.len().saturating_sub(3);
            if head.len() > LONGEST_HEAD {
                break Request::Refused("431 Request Header Fields Too Large");
            }
            let mut chunk = [0; 1024];
            match self.read(&mut stream, &mut chunk, deadline)? {
                Some(0) => return Ok(()),
                Some(read) => head.extend_from_slice(chunk.get(..read).unwrap_or_default()),
                None => break Request::Refused("408 Request Timeout"),
            }
        };
        let deadline = Deadline::after(WRITE);
        match request {
            Request::Page { accept, accept_encoding } => {
                let answer = self.prometheus.answer(&accept, &accept_encoding);
                let status = if answer.status == 200 { "200 OK" } else { "503 Service Unavailable" };
                let header = |name: &str, value| match value {
                    Some(value) => format!("{name}: {value}\r\n"),
                    None => String::new(),
                };
                let more = header("Content-Encoding", answer.content_encoding) + &header("Vary", answer.vary);
                self.write(&mut stream, &head_of(status, answer.content_type, &more, answer.body.len()), deadline)?;
                self.write(&mut stream, &answer.body, deadline)?;
            }
            Request::Refused(status) => {
                let allow = if status.starts_with("405") { "Allow: GET\r\n" } else { "" };
                let body = format!("{status}\n");
                let head = head_of(status, "text/plain; charset=utf-8", allow, body.len());
                self.write(&mut stream, &[&head, body.as_bytes()].concat(), deadline)?;
            }
        }
        self.close(stream)
    }

    /// Reads some bytes; `None` when time is up.
    fn read(&self, stream: &mut TcpStream, chunk: &mut [u8], deadline: Deadline) -> std::io::Result<Option<usize>> {
        loop {
            let left = deadline.remaining().unwrap_or(READ);
            if left.is_zero() || self.ends() {
                return Ok(None);
            }
            stream.set_read_timeout(Some(left.min(SLICE)))?;
            match stream.read(chunk) {
                Ok(read) => return Ok(Some(read)),
                Err(error) if is_wait(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes everything, or fails when the client does not read it in time.
    fn write(&self, stream: &mut TcpStream, mut bytes: &[u8], deadline: Deadline) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let left = deadline.remaining().unwrap_or(WRITE);
            if left.is_zero() || self.ends() {
                return Err(ErrorKind::TimedOut.into());
            }
            stream.set_write_timeout(Some(left.min(SLICE)))?;
            match stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if is_wait(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes the connection. What the client sent and nobody read would make that a reset, and the answer be lost.
    fn close(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.shutdown(Shutdown::Write)?;
        let deadline = Deadline::after(SLICE);
        let (mut chunk, mut drained) = ([0; 1024], 0);
        while drained < MOST_DRAINED {
            match self.read(&mut stream, &mut chunk, deadline)? {
                Some(0) | None => break,
                Some(read) => drained += read,
            }
        }
        Ok(())
    }
}

fn is_wait(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn find_end(head: &[u8], from: usize) -> Option<usize> {
    let end = head.get(from..)?.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(from + end)
}

fn head_of(status: &str, content_type: &str, more: &str, length: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n"
    )
    .into_bytes()
}
