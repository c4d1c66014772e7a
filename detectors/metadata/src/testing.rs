//! A scripted metadata server for the tests of the detectors.
#![allow(clippy::disallowed_methods, reason = "a server for tests has a thread of its own")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Service;

/// What the server sends.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These bytes.
    Raw(Vec<u8>),
    /// A start, and then the same bytes until the client closes.
    Endless(&'static [u8], &'static [u8]),
    /// A response of a thousand bytes, one at a time, with pauses that add up to seconds.
    Dripping,
    /// Nothing, until the client closes.
    Silence,
}

impl Reply {
    /// A response with this body.
    pub fn text(body: &str) -> Self {
        Reply::with_header("server: test", body)
    }

    /// A response with another header, such as `metadata-flavor: Google`.
    pub fn with_header(header: &str, body: &str) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\n{header}\r\ncontent-length: {}\r\n\r\n", body.len());
        Reply::Raw((head + body).into_bytes())
    }

    /// A response with the status 404.
    pub fn not_found() -> Self {
        Reply::Raw(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec())
    }
}

/// A server on loopback, stopped when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server. `script` gets each request as `GET /path name=value`, with the headers beside `host` and `connection`.
    ///
    /// # Panics
    /// Panics if the system has no port left.
    #[allow(clippy::expect_used, reason = "for tests")]
    pub fn start(script: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let thread = std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let Some(request) = read(&mut stream) else { continue };
                if request == STOP {
                    return;
                }
                // The client may have closed.
                drop(send(&mut stream, script(&request)));
            }
        });
        Server { address, thread: Some(thread) }
    }

    /// Returns the service that this server is.
    pub fn service(&self) -> Service {
        Service::at(self.address)
    }

    /// Returns the server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

const STOP: &str = "STOP /";

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            drop(stream.write_all(b"STOP / HTTP/1.1\r\n\r\n"));
        }
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Reads the head of a request.
fn read(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut request = lines.next()?.strip_suffix(" HTTP/1.1")?.to_owned();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if !matches!(name, "host" | "connection") {
            request.push_str(&format!(" {name}={value}"));
        }
    }
    Some(request)
}

fn send(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Raw(bytes) => stream.write_all(&bytes),
        Reply::Endless(start, again) => {
            stream.write_all(start)?;
            loop {
                stream.write_all(&again.repeat(1024))?;
            }
        }
        Reply::Dripping => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            // The pause ends early when the client closes.
            stream.set_read_timeout(Some(Duration::from_millis(5)))?;
            for _ in 0..1000 {
                if is_closed(stream) {
                    break;
                }
                stream.write_all(b"x")?;
            }
            Ok(())
        }
        Reply::Silence => {
            while !is_closed(stream) {}
            Ok(())
        }
    }
}

/// Waits until the client closes or the read timeout passes. Returns true if the client has closed.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}
