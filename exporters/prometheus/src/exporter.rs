//! The exporter: a metric reader that renders a page on each request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fmt, io};

use telemark_sdk::metrics::{PullReader, ReaderConfig, ScopeMetrics, TemporalityPreference};
use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, Resource};

use crate::format::Format;
use crate::negotiate::negotiate_or;
use crate::renderer::Renderer;
use crate::response::PageResponse;

/// Exports a provider's metrics to Prometheus. Clones share one exporter: pass its reader to the provider, and
/// keep a clone to respond to requests.
///
/// Each request collects on the calling thread, and any number of threads may make requests.
/// Collections run one at a time, but pages are rendered in parallel.
///
/// ```
/// use opentelemetry::metrics::MeterProvider;
/// use telemark_prometheus::{Format, PrometheusExporter};
/// use telemark_sdk::metrics::SdkMeterProvider;
///
/// let prometheus = PrometheusExporter::new();
/// let provider = SdkMeterProvider::builder().with_reader(prometheus.reader()).build();
/// provider.meter("shop").u64_counter("orders").build().add(1, &[]);
///
/// let mut page = Vec::new();
/// prometheus.render(Format::default(), &mut page)?;
/// assert!(String::from_utf8_lossy(&page).contains("# TYPE orders_total counter\n"));
/// # Ok::<(), telemark_sdk::ExportError>(())
/// ```
///
/// spec: metrics/sdk_exporters/prometheus.md
#[derive(Clone)]
pub struct PrometheusExporter(Arc<Inner>);

struct Inner {
    reader: PullReader,
    renderer: Renderer,
    fallback: Format,
    timeout: Duration,
    /// The size of the last page in bytes, used as an estimate for the next one.
    last_size: AtomicUsize,
}

impl PrometheusExporter {
    /// Creates an exporter with the specification's defaults.
    pub fn new() -> Self {
        PrometheusExporter::builder().build()
    }

    /// Returns a builder with the specification's defaults.
    pub fn builder() -> PrometheusBuilder {
        PrometheusBuilder {
            renderer: Renderer::new(),
            reader: ReaderConfig::new(),
            fallback: Format::default(),
            timeout: Duration::from_secs(10),
        }
    }

    /// Returns the exporter's reader, to be passed to the builder of a provider.
    pub fn reader(&self) -> PullReader {
        self.0.reader.clone()
    }

    /// Returns the format for a request with this `Accept` header.
    pub fn negotiate(&self, accept: &str) -> Format {
        negotiate_or(accept, self.0.fallback)
    }

    /// Collects and appends the page to `out`.
    ///
    /// # Errors
    /// Fails without appending anything if no provider has the reader, if the reader is shut down, or if the
    /// timeout passes while another collection is running.
    pub fn render(&self, format: Format, out: &mut Vec<u8>) -> Result<(), ExportError> {
        self.collect(|resource, scopes| {
            let expected = self.0.last_size.load(Ordering::Relaxed);
            // Reserve slightly more than the size of the last page, so that the buffer rarely grows.
            out.reserve(expected + expected / 16);
            let before = out.len();
            self.0.renderer.render(format, resource, scopes, out);
            self.0.last_size.store(out.len() - before, Ordering::Relaxed);
        })
    }

    /// Collects and writes the page in parts of about 64 KiB, so that a large page is never held in memory as a whole.
    /// The collected points are kept until the last part is written, but other requests do not wait for this.
    ///
    /// # Errors
    /// Fails like [`render`](PrometheusExporter::render), without writing anything. Also returns the first
    /// error from `to`, after which nothing more is written.
    pub fn write(&self, format: Format, to: &mut dyn io::Write) -> Result<(), ExportError> {
        self.collect(|resource, scopes| self.0.renderer.write(format, resource, scopes, to))?
            .map_err(|error| ExportError::other("the page cannot be written").with_source(error))
    }

    fn collect<T>(&self, render: impl FnOnce(&Resource, &[ScopeMetrics]) -> T) -> Result<T, ExportError> {
        let scopes = self.0.reader.collect(Deadline::after(self.0.timeout))?;
        let empty = Resource::empty();
        Ok(render(self.0.reader.resource().unwrap_or(&empty), &scopes))
    }

    /// Collects and returns the response to a request with these headers. Pass an empty string for a header
    /// that is absent.
    ///
    /// With the feature `gzip`, compresses the page if the request accepts it. The uncompressed page is never
    /// held in memory.
    pub fn response_for(&self, accept: &str, accept_encoding: &str) -> PageResponse {
        let format = self.negotiate(accept);
        #[cfg(feature = "gzip")]
        if crate::negotiate::accepts_gzip(accept_encoding) {
            return PageResponse::new(format, Some("gzip"), self.compress(format));
        }
        // Used only with the feature `gzip`.
        let _ = accept_encoding;
        let mut body = Vec::new();
        PageResponse::new(format, None, self.render(format, &mut body).map(|()| body))
    }

    /// Compresses at the fastest level, which suffices for repetitive text: pages shrink to a twentieth, or to
    /// a fifth with an exemplar in every bucket.
    #[cfg(feature = "gzip")]
    fn compress(&self, format: Format) -> Result<Vec<u8>, ExportError> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        self.write(format, &mut encoder)?;
        encoder.finish().map_err(|error| ExportError::other("the page cannot be compressed").with_source(error))
    }

    /// Like [`response_for`](PrometheusExporter::response_for), but with the types of the `http` crate. Ignores
    /// the path and the method. `B` is the server's body type: `axum::body::Body`, or
    /// `http_body_util::Full<Bytes>` with hyper.
    ///
    /// ```text
    /// axum:   router.route("/metrics", get(async move |headers: HeaderMap| prometheus.respond::<Body>(&headers)))
    /// hyper:  let response = prometheus.respond::<Full<Bytes>>(request.headers());
    /// ```
    ///
    /// Blocks while collecting: a few milliseconds for ten thousand series, and longer if an instrument's
    /// callback is slow. If the thread also serves other requests, call this in `spawn_blocking` or similar.
    #[cfg(feature = "http")]
    pub fn respond<B: From<Vec<u8>>>(&self, headers: &http::HeaderMap) -> http::Response<B> {
        let joined = |name: http::HeaderName| {
            let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            values.join(",")
        };
        let response = self.response_for(&joined(http::header::ACCEPT), &joined(http::header::ACCEPT_ENCODING));
        http::Response::from(response).map(B::from)
    }
}

impl Default for PrometheusExporter {
    fn default() -> Self {
        PrometheusExporter::new()
    }
}

impl fmt::Debug for PrometheusExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusExporter").field("renderer", &self.0.renderer).finish_non_exhaustive()
    }
}

/// Builds a [`PrometheusExporter`].
///
/// ```
/// use std::time::Duration;
/// use telemark_prometheus::{Escaping, Format, PrometheusExporter, Protocol, Renderer};
///
/// let prometheus = PrometheusExporter::builder()
///     .with_renderer(Renderer::new().without_scope_labels())
///     .with_fallback(Format::new(Protocol::OpenMetrics1_0_0, Escaping::AllowUtf8))
///     .with_timeout(Duration::from_secs(5))
///     .build();
/// assert!(prometheus.negotiate("*/*").is_open_metrics());
/// ```
#[derive(Debug)]
#[must_use]
pub struct PrometheusBuilder {
    renderer: Renderer,
    reader: ReaderConfig,
    fallback: Format,
    timeout: Duration,
}

impl PrometheusBuilder {
    /// Sets the renderer, which controls names, scopes and the resource.
    pub fn with_renderer(mut self, renderer: Renderer) -> Self {
        self.renderer = renderer;
        self
    }

    /// Sets aggregations, limits and producers. The temporality in `config` is ignored, because it is always
    /// cumulative.
    pub fn with_reader_config(mut self, config: ReaderConfig) -> Self {
        self.reader = config;
        self
    }

    /// Sets the format for requests that accept any format or no known one. Defaults to text 0.0.4.
    pub fn with_fallback(mut self, format: Format) -> Self {
        self.fallback = format;
        self
    }

    /// Sets how long a request waits for other collections. Defaults to 10 seconds.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Builds the exporter.
    pub fn build(self) -> PrometheusExporter {
        // spec: metrics/sdk_exporters/prometheus.md: temporality must be cumulative
        let config = self.reader.with_temporality(TemporalityPreference::Cumulative);
        let config = config.with_component_type("prometheus_http_text_metric_exporter");
        PrometheusExporter(Arc::new(Inner {
            reader: PullReader::new(config),
            renderer: self.renderer,
            fallback: self.fallback,
            timeout: self.timeout,
            last_size: AtomicUsize::new(0),
        }))
    }
}
