//! Servers on loopback that behave as their paths say, and remember the requests.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    /// Returns a header, or `-`.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("-", |value| value.to_str().unwrap())
    }

    /// Returns the method, the path and the body as text.
    pub fn shown(&self) -> String {
        format!("{} {} {}", self.method, self.path, String::from_utf8_lossy(&self.body))
    }
}

/// A server, which runs until the test's runtime ends.
///
/// | path | response |
/// |---|---|
/// | `/status/404` | that status, with the body `hello` |
/// | `/redirect/302?http://..` | that status, with the query as `Location` |
/// | `/stall` | none |
/// | `/stream` | three chunks of four bytes |
/// | `/broken` | half of the announced body |
/// | `/stall-in-body` | four bytes, and no end |
/// | others | 200, with the body `hello` |
#[derive(Clone, Debug)]
pub struct Server {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap(), received: Arc::default() };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                let service = service_fn(move |request| server.clone().serve(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        server
    }

    /// Returns a URL on this server, with `127.0.0.1` as its host.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns a URL on this server, with `localhost` as its host.
    pub fn other_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// Returns the requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    async fn serve(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let received = Received { method: head.method, path: head.uri.to_string(), headers: head.headers, body };
        self.received.lock().unwrap().push(received);
        let parts: Vec<_> = path.split('/').skip(1).collect();
        let response = match parts[..] {
            ["status", status] => with(status.parse().unwrap(), "hello"),
            ["redirect", status] => {
                let mut response = with(status.parse().unwrap(), "moved");
                response.headers_mut().insert("location", head.uri.query().unwrap().parse().unwrap());
                response
            }
            ["stall"] => std::future::pending().await,
            ["stream"] => {
                chunks(["abcd", "efgh", "ijkl"].map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
            }
            ["broken"] => broken(Some(8), false),
            ["stall-in-body"] => broken(None, true),
            _ => with(200, "hello"),
        };
        Ok(response)
    }
}

fn with(status: u16, body: &'static str) -> Response<Body> {
    let body = Full::from(body).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(status).header("x-reply", "b").body(body).unwrap()
}

fn chunks<const N: usize>(frames: [std::io::Result<Frame<Bytes>>; N]) -> Response<Body> {
    Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
}

/// A body of four bytes that then fails or stalls.
fn broken(length: Option<u64>, stalls: bool) -> Response<Body> {
    use futures_util::StreamExt;

    let first = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"abcd")))]);
    let last = futures_util::stream::once(async move {
        if stalls {
            std::future::pending::<()>().await;
        }
        // The server sends the first bytes while the body is not ready.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("on purpose"))
    });
    let mut response = Response::new(StreamBody::new(first.chain(last)).boxed_unsync());
    if let Some(length) = length {
        response.headers_mut().insert("content-length", length.into());
    }
    response
}

/// Accepts one connection, reads from it and closes it without a response.
pub async fn closing() -> SocketAddr {
    use tokio::io::AsyncReadExt;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 16];
            let _ = stream.read(&mut bytes).await;
            // With unread bytes and no lingering, the kernel resets the connection.
            let _ = stream.set_zero_linger();
        }
    });
    address
}

/// Returns an address on which nothing listens. The port of a listener that was closed would not do: the system may give it to a server of
/// another test.
pub fn refusing() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}
