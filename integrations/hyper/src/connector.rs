//! Connectors and resolvers that report the phases of a new connection to the request that waits for it, and the streams of
//! connections that are counted.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection};
use pin_project_lite::pin_project;
use telemark_http::{
    BoxError, ClientConfig, ConnectionPhase, HttpClientInstrumentation, OpenConnection, PhaseFuture, Target,
};
use tower_service::Service;

/// A resolver whose work is a phase of the request that waits for it: the event `telemark.dns`.
///
/// Recorded if the settings of the [`Client`](crate::Client) ask for it: [`ClientConfig::with_connection_phases`].
#[derive(Clone, Debug)]
pub struct ObservedResolver<R>(R);

impl<R> ObservedResolver<R> {
    /// Wraps a resolver, for `HttpConnector::new_with_resolver`.
    pub fn new(resolver: R) -> Self {
        ObservedResolver(resolver)
    }
}

impl<R> Service<Name> for ObservedResolver<R>
where
    R: Service<Name, Error: Into<BoxError>>,
{
    type Response = R::Response;
    type Error = BoxError;
    type Future = PhaseFuture<R::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        PhaseFuture::new(ConnectionPhase::Dns, true, || self.0.call(name))
    }
}

/// A connector whose work is a phase of the request that waits for it, and whose connections may be counted.
///
/// The phase is the event `telemark.connect`, or `telemark.tls` for a connector that adds TLS to another one. It is recorded
/// if the settings of the [`Client`](crate::Client) ask for it: [`ClientConfig::with_connection_phases`].
///
/// Connections are counted if this connector has an instrumentation whose settings ask for it:
/// [`ClientConfig::with_connection_metrics`]. The client needs the same setting, for the state of its connections.
#[derive(Clone, Debug)]
pub struct ObservedConnector<C> {
    inner: C,
    phase: ConnectionPhase,
    instrumentation: Option<HttpClientInstrumentation>,
}

impl<C> ObservedConnector<C> {
    /// Wraps a connector that establishes connections. They are not counted.
    pub fn new(connector: C) -> Self {
        ObservedConnector { inner: connector, phase: ConnectionPhase::Connect, instrumentation: None }
    }

    /// Wraps a connector that adds TLS to an [`ObservedConnector`] within. Connections are not counted.
    pub fn tls(connector: C) -> Self {
        ObservedConnector { phase: ConnectionPhase::Tls, ..ObservedConnector::new(connector) }
    }

    /// Counts connections with this instrumentation, if its settings ask for it. Of connectors within each other, only the
    /// outermost one counts.
    pub fn with_instrumentation(mut self, instrumentation: HttpClientInstrumentation) -> Self {
        self.instrumentation = Some(instrumentation);
        self
    }

    /// Changes the settings of the instrumentation. Does nothing without one.
    pub fn map_config(mut self, change: impl FnOnce(ClientConfig) -> ClientConfig) -> Self {
        self.instrumentation = self.instrumentation.map(|instrumentation| instrumentation.map_config(change));
        self
    }
}

impl<C> Service<Uri> for ObservedConnector<C>
where
    C: Service<Uri, Response: Connection, Error: Into<BoxError>>,
{
    type Response = ObservedStream<C::Response>;
    type Error = BoxError;
    type Future = Connecting<C::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let is_within = IS_COUNTED.get();
        let counts =
            |instrumentation: &&HttpClientInstrumentation| !is_within && instrumentation.config().counts_connections();
        let counted = self
            .instrumentation
            .as_ref()
            .filter(counts)
            .map(|instrumentation| Counted { url: uri.to_string(), instrumentation: instrumentation.clone() });
        let begins = self.phase != ConnectionPhase::Tls || uri.scheme_str() == Some("https");
        let inner = PhaseFuture::new(self.phase, begins, || {
            let _mark = counted.as_ref().map(|_| Mark::new());
            self.inner.call(uri)
        });
        Connecting { inner, counted }
    }
}

thread_local! {
    /// True while this thread runs a connector whose connection will be counted.
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the connectors within another one from counting the same connection, until it is dropped.
struct Mark(bool);

impl Mark {
    fn new() -> Self {
        Mark(IS_COUNTED.replace(true))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        IS_COUNTED.set(self.0);
    }
}

/// The knowledge about a connection that will be counted.
#[derive(Debug)]
struct Counted {
    url: String,
    instrumentation: HttpClientInstrumentation,
}

pin_project! {
    /// The future of a connection.
    #[derive(Debug)]
    pub struct Connecting<F> {
        #[pin]
        inner: PhaseFuture<F>,
        counted: Option<Counted>,
    }
}

impl<F, S, E> Future for Connecting<F>
where
    F: Future<Output = Result<S, E>>,
    S: Connection,
    E: Into<BoxError>,
{
    type Output = Result<ObservedStream<S>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let stream = {
            let _mark = this.counted.as_ref().map(|_| Mark::new());
            ready!(this.inner.poll(cx))?
        };
        let open = this.counted.take().and_then(|Counted { url, instrumentation }| {
            let is_http2 = stream.connected().is_negotiated_h2();
            instrumentation.open_connection(&Target::parse(&url), is_http2)
        });
        Poll::Ready(Ok(ObservedStream { inner: stream, open }))
    }
}

pin_project! {
    /// The stream of a connection, which is counted until it is dropped.
    #[derive(Debug)]
    pub struct ObservedStream<S> {
        #[pin]
        inner: S,
        open: Option<OpenConnection>,
    }
}

impl<S: Connection> Connection for ObservedStream<S> {
    fn connected(&self) -> Connected {
        let connected = self.inner.connected();
        match &self.open {
            Some(open) => connected.extra(open.handle()),
            None => connected,
        }
    }
}

impl<S: Read> Read for ObservedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_read(cx, buffer)
    }
}

impl<S: Write> Write for ObservedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, slices)
    }
}
