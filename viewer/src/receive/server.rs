//! Listeners and connections. Each listener accepts both gRPC and HTTP, so a client that is configured with the port of the other
//! protocol works too.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::body::Receiving;
use super::origins::{self, Origins, Sender};
use super::{grpc, http as otlp_http};
use crate::store::Store;

/// The maximum number of connections. Further clients wait.
const MAX_CONNECTIONS: usize = 256;
/// The maximum number of concurrent calls of a connection.
const MAX_STREAMS: u32 = 32;
/// The time that clients may take. SDKs export metrics every minute, and connect when they have something to send.
const PATIENCE: Patience =
    Patience { first_byte: Duration::from_secs(10), idle: Duration::from_secs(90), end: Duration::from_secs(5) };
/// The pause after a failed accept, which usually means that no descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);

/// The time that clients may take, beside that for the body of a request. Connections are few, so that a client which holds one for
/// nothing takes it from others.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until the first byte of a connection.
    first_byte: Duration,
    /// Until the next head of a request is complete.
    idle: Duration,
    /// Until an idle connection of HTTP/2 has ended in an orderly way.
    end: Duration,
}

/// Receives OTLP on any number of listeners. Dropping it closes them and all connections.
pub struct Receiver {
    /// `None` once it has been shut down.
    runtime: Option<Runtime>,
    connections: Arc<Semaphore>,
    patience: Patience,
    context: Context,
}

/// Everything that the requests of a receiver share.
#[derive(Clone)]
struct Context {
    receiving: Receiving,
    origins: Arc<Origins>,
    store: Arc<Store>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("free_connections", &self.connections.available_permits()).finish()
    }
}

impl Receiver {
    /// Creates a receiver without listeners, which adds what it receives to this store. It refuses web pages of other hosts.
    ///
    /// # Errors
    /// Fails if the operating system cannot provide threads.
    pub fn new(store: Arc<Store>) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("telemark-receiver")
            .enable_io()
            .enable_time()
            .build()?;
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let context = Context { receiving: Receiving::default(), origins: Arc::default(), store };
        Ok(Receiver { runtime: Some(runtime), connections, patience: PATIENCE, context })
    }

    /// Lets web pages of these origins send, on the listeners that are added later. Each has the form in which browsers send it, as
    /// [`parse_origin`](crate::parse_origin) returns it.
    #[must_use]
    pub fn with_allowed_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.context.origins = Arc::new(Origins::new(origins.into_iter().map(Into::into).collect()));
        self
    }

    /// Receives gRPC and HTTP on a listener. Returns its address.
    ///
    /// # Errors
    /// Fails if the operating system cannot watch the listener.
    pub fn listen(&self, listener: TcpListener) -> io::Result<SocketAddr> {
        let Some(runtime) = &self.runtime else { return Err(io::ErrorKind::NotConnected.into()) };
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (connections, context, patience) = (self.connections.clone(), self.context.clone(), self.patience);
        runtime.spawn(async move {
            loop {
                let Ok(permit) = connections.clone().acquire_owned().await else { return };
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let connection = serve(stream, context.clone(), patience);
                        tokio::spawn(async move {
                            connection.await;
                            drop(permit);
                        });
                    }
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        });
        Ok(address)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropping a runtime inside another one panics.
            runtime.shutdown_background();
        }
    }
}

/// The requests of a connection.
#[derive(Debug, Default)]
struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request that has begun, and ends when it is dropped: its client may also cancel it.
struct InProgress(Arc<Requests>);

impl InProgress {
    fn new(requests: Arc<Requests>) -> Self {
        requests.begun.fetch_add(1, Ordering::Relaxed);
        InProgress(requests)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves a connection until it ends, or its client takes too long. Errors concern only its client.
async fn serve(stream: TcpStream, context: Context, patience: Patience) {
    // Nothing else ends a connection whose protocol is not known yet.
    match tokio::time::timeout(patience.first_byte, stream.peek(&mut [0])).await {
        Ok(Ok(1..)) => {}
        _ => return,
    }
    // Responses are small, and a client may wait for one before it sends its next request.
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience.idle).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(32 << 10)
        .keep_alive_interval(Some(patience.idle))
        .keep_alive_timeout(Duration::from_secs(20));
    let requests = Arc::new(Requests::default());
    let counted = requests.clone();
    let service = service_fn(move |request| {
        let (context, requests) = (context.clone(), counted.clone());
        async move {
            let _in_progress = InProgress::new(requests);
            Ok::<_, Infallible>(respond(request, &context).await)
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let is_idle = async {
        let mut ended_before = 0;
        loop {
            tokio::time::sleep(patience.idle).await;
            let (ended, begun) = (requests.ended.load(Ordering::Relaxed), requests.begun.load(Ordering::Relaxed));
            if ended == begun && ended == ended_before {
                return;
            }
            ended_before = ended;
        }
    };
    tokio::select! {
        _ = connection.as_mut() => return,
        // Pings of HTTP/2, or a head that arrives byte by byte, keep a connection open that sends no requests.
        () = is_idle => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(patience.end, connection).await;
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn respond(request: Request<Incoming>, context: &Context) -> Response<Body> {
    let (head, body) = request.into_parts();
    match context.origins.sender(&head.headers) {
        Sender::Local => respond_to(&head, body, context).await,
        Sender::Allowed(origin) => {
            let mut response = match origins::preflight(&head) {
                Some(response) => response.map(full),
                None => respond_to(&head, body, context).await,
            };
            origins::permit(response.headers_mut(), origin);
            response
        }
        Sender::Foreign => {
            let why = "web pages of this origin may not send; telemark-viewer --allow-origin allows them\n";
            let mut response = Response::new(full(why.into()));
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        }
    }
}

async fn respond_to(head: &Parts, body: Incoming, Context { receiving, store, .. }: &Context) -> Response<Body> {
    if grpc::is_call(head) {
        let (response, trailers) = grpc::respond(head, body, receiving, store).await;
        return response.map(|body| match trailers {
            Some(trailers) => {
                Full::new(Bytes::from(body)).with_trailers(async move { Some(Ok(trailers)) }).boxed_unsync()
            }
            None => full(body),
        });
    }
    otlp_http::respond(head, body, receiving, store).await.map(full)
}

fn full(body: Vec<u8>) -> Body {
    Full::new(Bytes::from(body)).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream as Client;

    use super::*;
    use crate::store::Limits;

    /// The preface of HTTP/2 and empty settings.
    const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0ping-pon";

    fn receiver(patience: Patience) -> (Receiver, SocketAddr) {
        let mut receiver = Receiver::new(Store::new(Limits::default())).unwrap();
        receiver.patience = patience;
        let address = receiver.listen(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        (receiver, address)
    }

    /// Sends `first`, and then `again` after each response or 20 ms, until the server closes the connection.
    fn is_closed_after(address: SocketAddr, first: &[u8], again: &[u8]) -> bool {
        let mut client = Client::connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        client.write_all(first).unwrap();
        let deadline = telemark_sdk::time::Deadline::after(Duration::from_secs(30));
        while !deadline.has_passed() {
            match client.read(&mut [0; 1024]) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => return true,
            }
            if client.write_all(again).is_err() {
                return true;
            }
        }
        false
    }

    #[test]
    fn connections_of_silent_and_of_slow_clients_are_closed() {
        let never = Duration::from_secs(3_600);
        let soon = Duration::from_millis(200);
        let (receiver, address) = receiver(Patience { first_byte: soon, idle: never, end: never });
        assert!(is_closed_after(address, b"", b""), "a client that sends nothing");
        drop(receiver);

        let (_receiver, address) = self::receiver(Patience { first_byte: never, idle: soon, end: soon });
        assert!(is_closed_after(address, b"PRI * HT", b""), "a client whose protocol is not known");
        assert!(is_closed_after(address, b"POST /v1/traces HTTP/1.1\r\nA: ", b"a"), "a head that arrives byte by byte");
        assert!(is_closed_after(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b""), "an idle client");
        assert!(is_closed_after(address, HTTP2, b""), "a client of HTTP/2 that sends no request");
        assert!(is_closed_after(address, HTTP2, PING), "a client of HTTP/2 that only pings");
    }
}
