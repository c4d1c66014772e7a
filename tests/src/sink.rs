//! A scripted OTLP receiver inside the test process, for http/protobuf and gRPC. It keeps the requests it accepts,
//! decoded by opentelemetry-proto.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::{Semaphore, oneshot};
use tracing::subscriber::NoSubscriber;

use crate::decoded::{decoded, decoded_metrics};
use crate::received::{Points, Received};

/// The sink's reaction to every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Accepts the request.
    Take,
    /// Accepts the request once the test lets it through, with [`Sink::let_through`].
    TakeHeld,
    /// Responds with this status and discards the request.
    Status(u16),
    /// Reads the request and never responds.
    Silence,
    /// Reads the request and closes the connection.
    Close,
}

/// A receiver on loopback, stopped when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    /// Dropped to stop the server.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    script: Script,
    /// A permit for each request that a test lets through.
    permits: Semaphore,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    requests: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
    logs: Vec<ExportLogsServiceRequest>,
    seen: usize,
}

impl Sink {
    /// Starts a sink on its own thread.
    ///
    /// # Errors
    /// Fails if there is no free port or if a thread cannot be started.
    #[allow(clippy::disallowed_methods, reason = "a server that is not part of what is tested")]
    pub fn start(script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { script, permits: Semaphore::new(0), kept: Mutex::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let served = state.clone();
        let thread = std::thread::Builder::new().name("sink".to_owned()).spawn(move || {
            // The sink acts as a separate process, so the test's subscriber must not see events from the sink's
            // libraries.
            let _quiet = tracing::subscriber::set_default(NoSubscriber::new());
            runtime.block_on(async move {
                tokio::select! {
                    // `serve` returns only if the listener is broken. The test then times out.
                    _ = serve(listener, served) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Sink { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the URL for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of an endpoint without a listener. The port of a listener that was closed would not do: the system may give it to a server
    /// of another test.
    pub const NOBODY: &str = "http://127.0.0.1:1";

    /// Returns the number of requests that arrived, accepted or not.
    pub fn seen(&self) -> usize {
        self.state.kept().seen
    }

    /// Returns the accepted requests with spans.
    pub fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.state.kept().requests.clone()
    }

    /// Returns the accepted spans in the order of arrival.
    pub fn spans(&self) -> Vec<Span> {
        let scopes = self.requests().into_iter().flat_map(|request| request.resource_spans);
        scopes.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Returns the accepted spans in the form that all receivers share.
    pub fn received(&self) -> Received {
        decoded(&self.requests())
    }

    /// Returns the accepted metric points in the order of arrival.
    pub fn points(&self) -> Points {
        decoded_metrics(&self.state.kept().metrics)
    }

    /// Returns the accepted log records in the order of arrival.
    pub fn log_records(&self) -> Vec<LogRecord> {
        let requests = self.state.kept().logs.clone();
        let scopes = requests.into_iter().flat_map(|request| request.resource_logs);
        scopes.flat_map(|resource| resource.scope_logs).flat_map(|scope| scope.log_records).collect()
    }

    /// Lets the next `count` requests through that [`Script::TakeHeld`] holds, or will hold.
    pub fn let_through(&self, count: usize) {
        self.state.permits.add_permits(count);
    }

    /// Waits until `count` spans have arrived.
    ///
    /// # Panics
    /// Panics after half a minute.
    pub fn await_spans(&self, count: usize) -> Vec<Span> {
        await_count(count, "spans", || self.spans().len());
        self.spans()
    }

    /// Waits until `count` requests have arrived, accepted or not.
    ///
    /// # Panics
    /// Panics after half a minute.
    pub fn await_seen(&self, count: usize) {
        await_count(count, "requests", || self.seen());
    }
}

#[allow(clippy::disallowed_methods, reason = "tests have no clock of the sdk")]
fn await_count(count: usize, items: &str, arrived: impl Fn() -> usize) {
    let start = Instant::now();
    while arrived() < count {
        assert!(start.elapsed() < Duration::from_secs(30), "{} of {count} {items} came", arrived());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has already been reported.
            drop(thread.join());
        }
    }
}

impl State {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(state.clone(), request));
            let server = auto::Builder::new(TokioExecutor::new());
            // The script and the client determine how the connection ends, so its result is ignored.
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

const HTTP_PATH: &str = "/v1/traces";
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS_HTTP_PATH: &str = "/v1/metrics";
const METRICS_GRPC_PATH: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS_HTTP_PATH: &str = "/v1/logs";
const LOGS_GRPC_PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// The prefix of a gRPC message: a compression flag and the length.
const GRPC_PREFIX: usize = 5;

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(state: Arc<State>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    state.kept().seen += 1;
    match state.script {
        Script::Take => {}
        Script::TakeHeld => state.permits.acquire().await.map_err(io::Error::other)?.forget(),
        Script::Status(code) => {
            return Ok(http(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)));
        }
        Script::Silence => pending().await,
        Script::Close => return Err(io::Error::other("closed by the script")),
    }
    let (message, taken) = match &*path {
        HTTP_PATH | METRICS_HTTP_PATH | LOGS_HTTP_PATH => (body, http(StatusCode::OK)),
        GRPC_PATH | METRICS_GRPC_PATH | LOGS_GRPC_PATH if body.len() >= GRPC_PREFIX => {
            (body.slice(GRPC_PREFIX..), grpc())
        }
        _ => return Ok(http(StatusCode::NOT_FOUND)),
    };
    let kept = match &*path {
        METRICS_HTTP_PATH | METRICS_GRPC_PATH => {
            ExportMetricsServiceRequest::decode(message).map(|request| state.kept().metrics.push(request))
        }
        LOGS_HTTP_PATH | LOGS_GRPC_PATH => {
            ExportLogsServiceRequest::decode(message).map(|request| state.kept().logs.push(request))
        }
        _ => ExportTraceServiceRequest::decode(message).map(|request| state.kept().requests.push(request)),
    };
    Ok(if kept.is_ok() { taken } else { http(StatusCode::BAD_REQUEST) })
}

/// Returns a response with an empty message. With a success status, this means that everything was accepted.
fn http(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/x-protobuf"));
    response
}

/// Returns the gRPC response for accepted telemetry.
fn grpc() -> Response<Body> {
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let message = Full::new(Bytes::from_static(&[0; GRPC_PREFIX]));
    let mut response = Response::new(message.with_trailers(async { Some(Ok(trailers)) }).boxed_unsync());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
