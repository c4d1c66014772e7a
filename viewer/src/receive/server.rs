//! Listeners and connections. Each listener accepts both gRPC and HTTP, so a client that is configured with the port of the other
//! protocol works too.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
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
use super::{grpc, http as otlp_http};
use crate::store::Store;

/// The maximum number of connections. Further clients wait.
const MAX_CONNECTIONS: usize = 256;
/// The maximum number of concurrent calls of a connection.
const MAX_STREAMS: u32 = 32;
/// The time within which the head of a request must arrive, also on an idle connection. SDKs export metrics every minute.
const IDLE: Duration = Duration::from_secs(90);
/// The pause after a failed accept, which usually means that no descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);

/// Receives OTLP on any number of listeners. Dropping it closes them and all connections.
pub struct Receiver {
    /// `None` once it has been shut down.
    runtime: Option<Runtime>,
    connections: Arc<Semaphore>,
    receiving: Receiving,
    store: Arc<Store>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("free_connections", &self.connections.available_permits()).finish()
    }
}

impl Receiver {
    /// Creates a receiver without listeners, which adds what it receives to this store.
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
        Ok(Receiver { runtime: Some(runtime), connections, receiving: Receiving::default(), store })
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
        let (connections, receiving, store) = (self.connections.clone(), self.receiving.clone(), self.store.clone());
        runtime.spawn(async move {
            loop {
                let Ok(permit) = connections.clone().acquire_owned().await else { return };
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let connection = serve(stream, receiving.clone(), store.clone());
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

/// Serves a connection until it ends. Errors concern only its client.
async fn serve(stream: TcpStream, receiving: Receiving, store: Arc<Store>) {
    // Responses are small, and a client may wait for one before it sends its next request.
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(32 << 10)
        .keep_alive_interval(Some(IDLE))
        .keep_alive_timeout(Duration::from_secs(20));
    let service = service_fn(move |request| {
        let (receiving, store) = (receiving.clone(), store.clone());
        async move { Ok::<_, Infallible>(respond(request, &receiving, &store).await) }
    });
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn respond(request: Request<Incoming>, receiving: &Receiving, store: &Store) -> Response<Body> {
    let (head, body) = request.into_parts();
    if is_foreign(&head.headers) {
        let mut response = Response::new(full(b"requests of web pages are not allowed\n".to_vec()));
        *response.status_mut() = StatusCode::FORBIDDEN;
        return response;
    }
    if grpc::is_call(&head) {
        let (response, trailers) = grpc::respond(&head, body, receiving, store).await;
        return response.map(|body| match trailers {
            Some(trailers) => {
                Full::new(Bytes::from(body)).with_trailers(async move { Some(Ok(trailers)) }).boxed_unsync()
            }
            None => full(body),
        });
    }
    otlp_http::respond(&head, body, receiving, store).await.map(full)
}

fn full(body: Vec<u8>) -> Body {
    Full::new(Bytes::from(body)).boxed_unsync()
}

/// Returns true if a page of another host than this machine sent the request. Such pages must not write into the viewer.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host != "localhost" && !host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}
