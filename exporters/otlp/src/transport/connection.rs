//! One connection: made when needed, kept between batches, replaced when lost.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
#[cfg(feature = "grpc")]
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use telemark_sdk::ExportError;
use telemark_sdk::time::Deadline;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::protocol::Failure;
use super::tls::Tls;
use crate::config::{Config, Protocol};
use crate::endpoint::Endpoint;

/// A connection that was idle for longer is not trusted: a router in between may have forgotten it without a word.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// The connection to one endpoint.
pub(super) struct Connection {
    endpoint: Endpoint,
    tls: Option<Tls>,
    http2: bool,
    open: Option<Open>,
    /// There was a connection at some time.
    was_reached: bool,
}

/// A stream of bytes, encrypted or not.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

struct Open {
    sender: Sender,
    /// Reads and writes the socket while the runtime runs.
    task: JoinHandle<hyper::Result<()>>,
    idle_until: Deadline,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    #[cfg(feature = "grpc")]
    Http2(http2::SendRequest<Full<Bytes>>),
}

type Unsent = hyper::client::conn::TrySendError<Request<Full<Bytes>>>;

impl Sender {
    async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Sender::Http1(sender) => sender.ready().await,
            #[cfg(feature = "grpc")]
            Sender::Http2(sender) => sender.ready().await,
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unsent> {
        match self {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            #[cfg(feature = "grpc")]
            Sender::Http2(sender) => sender.try_send_request(request).await,
        }
    }
}

impl Connection {
    pub(super) fn new(config: &Config) -> Self {
        Connection {
            endpoint: config.endpoint.clone(),
            tls: config.tls.clone(),
            http2: config.protocol == Protocol::Grpc,
            open: None,
            was_reached: false,
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Whether the receiver has ever been there.
    pub(super) fn was_reached(&self) -> bool {
        self.was_reached
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: Deadline,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Incoming>, Failure>> + '_>> {
        Box::pin(self.try_to_send(request, deadline))
    }

    async fn try_to_send(
        &mut self,
        mut request: Request<Full<Bytes>>,
        deadline: Deadline,
    ) -> Result<Response<Incoming>, Failure> {
        let mut reused = self.is_usable().await;
        loop {
            let open = match self.open.as_mut().filter(|_| reused) {
                Some(open) => open,
                None => {
                    self.open = None;
                    let open = self.connect(deadline).await?;
                    self.was_reached = true;
                    self.open.insert(open)
                }
            };
            let mut unsent = match open.sender.send(request).await {
                Ok(response) => {
                    open.idle_until = Deadline::after(LONGEST_IDLE);
                    return Ok(response);
                }
                Err(unsent) => unsent,
            };
            let ended = self.end().await;
            match unsent.take_message() {
                // The kept connection was closed at that very moment and nothing of the request was sent.
                Some(back) if reused => {
                    request = back;
                    reused = false;
                }
                _ => return Err(self.lost(ended.unwrap_or_else(|| unsent.into_error()))),
            }
        }
    }

    /// Drops a connection that has failed and returns why it ended, which tells more than that the request was lost with
    /// it: a receiver that wants a client certificate says so only after the client thinks that all is well.
    async fn end(&mut self) -> Option<hyper::Error> {
        let mut open = self.open.take()?;
        settle().await;
        if open.task.is_finished() { (&mut open.task).await.ok()?.err() } else { None }
    }

    /// Whether the kept connection is still there.
    async fn is_usable(&mut self) -> bool {
        let Some(open) = self.open.as_mut() else { return false };
        if open.idle_until.has_passed() {
            return false;
        }
        // Between exports nothing runs: lets the connection see first what has come in, such as its end.
        settle().await;
        open.sender.ready().await.is_ok()
    }

    async fn connect(&self, deadline: Deadline) -> Result<Open, Failure> {
        let stream = self.tcp(deadline).await.map_err(|error| {
            Failure::transient(
                ExportError::unavailable(format!("cannot connect to {}", self.endpoint)).with_source(error),
            )
        })?;
        let io: Box<dyn Io> = match &self.tls {
            Some(tls) => tls.connect(stream).await.map_err(|error| self.tls_failed(error))?,
            None => Box::new(stream),
        };
        let io = TokioIo::new(io);
        let idle_until = Deadline::after(LONGEST_IDLE);
        #[cfg(feature = "grpc")]
        if self.http2 {
            let (sender, connection) =
                http2::Builder::new(Background).handshake(io).await.map_err(|error| self.lost(error))?;
            let task = spawn(Box::pin(connection));
            return Ok(Open { sender: Sender::Http2(sender), task, idle_until });
        }
        debug_assert!(!self.http2);
        let (sender, connection) = http1::handshake(io).await.map_err(|error| self.lost(error))?;
        let task = spawn(Box::pin(connection));
        Ok(Open { sender: Sender::Http1(sender), task, idle_until })
    }

    /// Tries every address of the host, each with its share of the time that is left.
    async fn tcp(&self, deadline: Deadline) -> io::Result<TcpStream> {
        let addresses: Vec<_> =
            tokio::net::lookup_host((self.endpoint.host.as_str(), self.endpoint.port)).await?.collect();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for (index, &address) in addresses.iter().enumerate() {
            let others = (addresses.len() - index) as u32;
            let share = deadline.remaining().map_or(Duration::MAX, |remaining| remaining / others);
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A request is written at once: waiting to fill a packet would only delay its end.
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(elapsed) => last = elapsed.into(),
            }
        }
        Err(last)
    }

    /// A certificate does not become valid by waiting; a connection that breaks may.
    fn tls_failed(&self, error: io::Error) -> Failure {
        let refused = Tls::is_refusal(&error);
        let error = ExportError::unavailable(format!("no TLS connection to {}", self.endpoint)).with_source(error);
        if refused { Failure::Final(error) } else { Failure::transient(error) }
    }

    /// No answer, or none that is HTTP.
    pub(super) fn lost(&self, error: hyper::Error) -> Failure {
        if error.is_parse() {
            let version = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
            let message =
                format!("the answer of {} is not {version}: is the port that of another protocol?", self.endpoint);
            return Failure::Final(ExportError::other(message).with_source(error));
        }
        let refused = Tls::is_refusal(&error);
        let error = ExportError::unavailable(format!("the connection to {} was lost", self.endpoint))
            .with_source(Causes(error.into()));
        if refused { Failure::Final(error) } else { Failure::transient(error) }
    }
}

/// Runs a future beside the exports, as long as there are some. A trait object, because tokio's code for a task is
/// compiled for every type of future and every kind of runtime.
fn spawn(future: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>) -> JoinHandle<hyper::Result<()>> {
    tokio::spawn(future)
}

/// Runs what hyper splits off from an HTTP/2 connection.
#[cfg(feature = "grpc")]
#[derive(Clone, Copy)]
struct Background;

#[cfg(feature = "grpc")]
impl<F: Future + Send + 'static> hyper::rt::Executor<F> for Background {
    fn execute(&self, future: F) {
        drop(spawn(Box::pin(async {
            future.await;
            Ok(())
        })));
    }
}

/// Lets the tasks of the runtime run: one turn polls the sockets, the next one runs what they woke.
async fn settle() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("endpoint", &self.endpoint).field("open", &self.open.is_some()).finish()
    }
}

/// An error that is shown with all its causes: the first of hyper's says little.
#[derive(Debug)]
struct Causes(Box<dyn Error + Send + Sync>);

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Causes {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why the body of an answer could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    TooLarge,
    Broken(hyper::Error),
}

/// Reads the body up to `limit` bytes, and the trailers.
///
/// spec: protocol/exporter.md, max response size
pub(super) async fn read(mut body: Incoming, limit: usize) -> Result<(Vec<u8>, Option<HeaderMap>), Unread> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame.map_err(Unread::Broken)?.into_data() {
            Ok(data) if bytes.len() + data.len() > limit => return Err(Unread::TooLarge),
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((bytes, trailers))
}

/// The error for an answer beyond the limit.
pub(super) fn too_large(endpoint: &Endpoint, limit: usize) -> Failure {
    // spec: not to be retried
    Failure::Final(ExportError::too_large(format!("the answer of {endpoint} is larger than {limit} bytes")))
}
