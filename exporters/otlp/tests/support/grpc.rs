//! A scripted receiver over HTTP/2 or, with TLS, over either version of HTTP.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::on_a_thread;

/// The receiver's reaction to a call.
#[derive(Clone, Debug)]
pub enum Step {
    /// Responds with these headers, this body, and these trailers.
    Reply { headers: Vec<(&'static str, String)>, body: Vec<u8>, trailers: Vec<(&'static str, String)> },
    /// Closes the connection without a response.
    Close,
    /// Never responds.
    Hang,
}

impl Step {
    /// Responds with a message, and with a status in the trailers, as successful calls do.
    pub fn trailers(body: Vec<u8>, trailers: &[(&'static str, &str)]) -> Step {
        let headers = vec![("content-type", "application/grpc".to_owned())];
        Step::Reply { headers, body, trailers: owned(trailers) }
    }

    /// Responds with a status in the headers, as calls that fail immediately do.
    pub fn trailers_only(headers: &[(&'static str, &str)]) -> Step {
        let mut headers = owned(headers);
        headers.push(("content-type", "application/grpc".to_owned()));
        Step::Reply { headers, body: Vec::new(), trailers: Vec::new() }
    }

    pub fn ok() -> Step {
        Step::trailers(frame(&[]), &[("grpc-status", "0")])
    }
}

fn owned(fields: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    fields.iter().map(|&(name, value)| (name, value.to_owned())).collect()
}

/// Adds the prefix to a message.
pub fn frame(message: &[u8]) -> Vec<u8> {
    [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub connection: usize,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Turns a socket into a byte stream, encrypted in the TLS tests.
#[cfg(feature = "tls")]
pub type Acceptor = Option<tokio_rustls::TlsAcceptor>;
#[cfg(not(feature = "tls"))]
pub type Acceptor = Option<Infallible>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

pub struct Server {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    script: Mutex<VecDeque<Step>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Server {
    pub fn start(script: impl Into<Vec<Step>>) -> Server {
        Server::start_with(script, Version::Http2, None)
    }

    pub fn start_with(script: impl Into<Vec<Step>>, version: Version, acceptor: Acceptor) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new(Shared { script: Mutex::new(script.into().into()), calls: Arc::clone(&calls) });
        let (stop, stopped) = oneshot::channel();
        let thread = on_a_thread(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, shared, version, acceptor) => {}
                }
            });
        });
        Server { address, calls, stop: Some(stop), thread: Some(thread) }
    }

    /// Stops the receiver and returns its calls so far.
    pub fn finish(mut self) -> Vec<Call> {
        self.stop.take();
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, version: Version, acceptor: Acceptor) {
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        #[cfg(feature = "tls")]
        if let Some(acceptor) = acceptor.clone() {
            tokio::spawn(async move {
                // The handshake fails if the client refuses the certificate.
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, shared, connection, version).await;
                }
            });
            continue;
        }
        let _ = &acceptor;
        tokio::spawn(serve(stream, shared, connection, version));
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shared: Arc<Shared>,
    connection: usize,
    version: Version,
) {
    let (close, closed) = oneshot::channel::<()>();
    let close = Arc::new(Mutex::new(Some(close)));
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (shared, close) = (Arc::clone(&shared), Arc::clone(&close));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            let call = Call { connection, path: head.uri.path().to_owned(), headers: head.headers, body };
            shared.calls.lock().unwrap().push(call);
            let step = shared.script.lock().unwrap().pop_front().expect("a call beyond the script");
            match step {
                Step::Reply { headers, body, trailers } => {
                    let trailers = map(trailers);
                    let trailers = (!trailers.is_empty()).then_some(Ok(trailers));
                    let body = Full::new(Bytes::from(body)).with_trailers(std::future::ready(trailers));
                    let mut response = Response::new(body);
                    *response.headers_mut() = map(headers);
                    Ok::<_, Infallible>(response)
                }
                Step::Close => {
                    close.lock().unwrap().take();
                    std::future::pending().await
                }
                Step::Hang => std::future::pending().await,
            }
        }
    });
    let io = TokioIo::new(stream);
    let connection = async {
        match version {
            Version::Http1 => hyper::server::conn::http1::Builder::new().serve_connection(io, service).await.ok(),
            Version::Http2 => {
                hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await.ok()
            }
        }
    };
    tokio::select! {
        _ = connection => {}
        _ = closed => {}
    }
}

fn map(fields: Vec<(&'static str, String)>) -> HeaderMap {
    fields
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap()))
        .collect()
}
