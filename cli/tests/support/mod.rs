//! Runs the command against scripted receivers.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    dead_code,
    reason = "test helpers, each used by some of the tests"
)]

pub(crate) mod tls;

use std::convert::Infallible;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

/// Runs the command with these variables and no others. Returns the status, and the text of both streams.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-telemark"))
        .arg("telemark")
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// An address at which nothing listens. The port of a listener that was closed would not do: the system may give it to a server of another
/// test.
pub(crate) const NOBODY: &str = "127.0.0.1:1";

/// A file that exists for one test.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// A file of its own, even if two tests of a program choose the same name.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("telemark-cli-{}-{number}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Temporary(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A receiver's reaction to a request over HTTP.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// Responds with these bytes.
    Reply(Vec<u8>),
    /// Resets the connection.
    Reset,
    /// Never responds.
    Hang,
    /// Writes these bytes before any request.
    SpeakFirst(&'static [u8]),
}

impl Script {
    pub(crate) fn status(status: &str) -> Script {
        Script::response(status, "", b"")
    }

    pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Script {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        Script::Reply([head.as_bytes(), body].concat())
    }
}

/// Starts a receiver over HTTP that treats each POST in this way and says that it is `date` at any other request. It lives as long as
/// the tests.
pub(crate) fn http(script: Script, date: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let script = script.clone();
            thread::spawn(move || {
                let stream = stream.unwrap();
                if matches!(script, Script::Reset) {
                    // Closing a connection with unread data resets it.
                    let _ = stream.peek(&mut [0]);
                    return;
                }
                serve(stream, &script, date);
            });
        }
    });
    address
}

fn serve(stream: impl Read + Write, script: &Script, date: &str) {
    let mut reader = BufReader::new(stream);
    if let Script::SpeakFirst(bytes) = script {
        let _ = reader.get_mut().write_all(bytes);
        // Until the client goes away.
        let _ = reader.read_to_end(&mut Vec::new());
        return;
    }
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head) {
                Ok(1..) => {}
                Ok(0) => return,
                // What is no text is no request, such as the start of TLS.
                Err(_) => {
                    let _ = reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
                    return;
                }
            }
        }
        if head.starts_with("GET") {
            let response = format!("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n{date}\r\n\r\n");
            let _ = reader.get_mut().write_all(response.as_bytes());
            return;
        }
        if head.starts_with("PRI") {
            // A server that does not know HTTP/2.
            let _ = reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
            return;
        }
        let Script::Reply(bytes) = script else {
            // Until the client goes away.
            let _ = reader.read_to_end(&mut Vec::new());
            return;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        if reader.read_exact(&mut body).is_err() || reader.get_mut().write_all(bytes).is_err() {
            return;
        }
    }
}

/// Starts a receiver over gRPC that responds to each call with these headers and this message.
pub(crate) fn grpc(headers: &'static [(&'static str, &'static str)], message: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let tasks = tokio::task::LocalSet::new();
            tasks
                .run_until(async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        let service = service_fn(move |request| call(request, headers, message));
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        tokio::task::spawn_local(server.serve_connection(TokioIo::new(stream), service));
                    }
                })
                .await;
        });
    });
    address
}

async fn call(
    request: http::Request<Incoming>,
    headers: &'static [(&'static str, &'static str)],
    message: &'static [u8],
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let _ = request.into_body().collect().await;
    let fields = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let fields: HeaderMap = fields.collect();
    // A call that succeeds has its status behind the message.
    let (head, trailers) = if message.is_empty() { (fields, None) } else { (HeaderMap::new(), Some(Ok(fields))) };
    let body = Full::new(Bytes::from_static(message)).with_trailers(std::future::ready(trailers));
    let mut response = Response::new(body);
    *response.headers_mut() = head;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}
