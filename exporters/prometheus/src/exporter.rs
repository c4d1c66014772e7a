//! The exporter: a reader of metrics, and the page for each request.

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
use crate::response::Answer;

/// Shows the metrics of a provider to Prometheus. Clones are one exporter: give its reader to the provider and keep another
/// to answer requests.
///
/// Each request collects anew, on its own thread. Any number may be answered at the same time; collections wait for each
/// other, rendering does not.
///
/// spec: metrics/sdk_exporters/prometheus.md
#[derive(Clone)]
pub struct Prometheus(Arc<Inner>);

struct Inner {
    reader: PullReader,
    renderer: Renderer,
    fallback: Format,
    timeout: Duration,
    /// The length of the last page in bytes: the next one is about as long.
    length: AtomicUsize,
}

impl Prometheus {
    /// An exporter with the specification's defaults.
    pub fn new() -> Self {
        Prometheus::builder().build()
    }

    /// Begins an exporter with settings.
    pub fn builder() -> Builder {
        Builder {
            renderer: Renderer::new(),
            reader: ReaderConfig::new(),
            fallback: Format::default(),
            timeout: Duration::from_secs(10),
        }
    }

    /// The reader, for the builder of the provider.
    pub fn reader(&self) -> PullReader {
        self.0.reader.clone()
    }

    /// The format for a request with this `Accept` header.
    pub fn negotiate(&self, accept: &str) -> Format {
        negotiate_or(accept, self.0.fallback)
    }

    /// Collects and appends the page.
    ///
    /// # Errors
    /// No provider has the reader, it is shut down, or another collection takes too long. Nothing is appended then.
    pub fn render(&self, format: Format, out: &mut Vec<u8>) -> Result<(), ExportError> {
        self.collected(|resource, scopes| {
            let expected = self.0.length.load(Ordering::Relaxed);
            // A little more than the last page, which saves growing and copying.
            out.reserve(expected + expected / 16);
            let before = out.len();
            self.0.renderer.render(format, resource, scopes, out);
            self.0.length.store(out.len() - before, Ordering::Relaxed);
        })
    }

    /// Collects and writes the page in parts of about 64 KiB, so that a large page never is in memory as a whole. What was
    /// collected is, until the last part is written; nothing waits for that.
    ///
    /// # Errors
    /// Those of [`render`](Prometheus::render), when nothing has been written, and the first error of `to`, after which
    /// nothing more is.
    pub fn write(&self, format: Format, to: &mut dyn io::Write) -> Result<(), ExportError> {
        self.collected(|resource, scopes| self.0.renderer.write(format, resource, scopes, to))?
            .map_err(|error| ExportError::other("the page cannot be written").with_source(error))
    }

    fn collected<T>(&self, use_it: impl FnOnce(&Resource, &[ScopeMetrics]) -> T) -> Result<T, ExportError> {
        let scopes = self.0.reader.collect(Deadline::after(self.0.timeout))?;
        let empty = Resource::empty();
        Ok(use_it(self.0.reader.resource().unwrap_or(&empty), &scopes))
    }

    /// Collects and answers a request with these headers, which are empty when the request has none.
    ///
    /// The page is compressed with the feature `gzip` when the request accepts that, and then never is in memory as it was
    /// before.
    pub fn answer(&self, accept: &str, accept_encoding: &str) -> Answer {
        let format = self.negotiate(accept);
        #[cfg(feature = "gzip")]
        if crate::negotiate::accepts_gzip(accept_encoding) {
            return Answer::new(format, Some("gzip"), self.compressed(format));
        }
        // Without the feature, nothing is asked of it.
        let _ = accept_encoding;
        let mut body = Vec::new();
        Answer::new(format, None, self.render(format, &mut body).map(|()| body))
    }

    /// Pages repeat themselves: at the fastest level they become a twentieth, or a fifth with an exemplar in every bucket.
    #[cfg(feature = "gzip")]
    fn compressed(&self, format: Format) -> Result<Vec<u8>, ExportError> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        self.write(format, &mut encoder)?;
        encoder.finish().map_err(|error| ExportError::other("the page cannot be compressed").with_source(error))
    }

    /// The same with the types of the `http` crate, whatever the path and the method. The body is of whatever type the server
    /// has: `axum::body::Body`, or `http_body_util::Full<Bytes>` with hyper.
    ///
    /// ```text
    /// axum:   router.route("/metrics", get(async move |headers: HeaderMap| prometheus.respond::<Body>(&headers)))
    /// hyper:  let response = prometheus.respond::<Full<Bytes>>(request.headers());
    /// ```
    ///
    /// It collects and hence may block, for milliseconds with ten thousand series and for longer when a callback of an
    /// instrument takes long: call it in `spawn_blocking` or the like where that is harm.
    #[cfg(feature = "http")]
    pub fn respond<B: From<Vec<u8>>>(&self, headers: &http::HeaderMap) -> http::Response<B> {
        let joined = |name: http::HeaderName| {
            let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            values.join(",")
        };
        let answer = self.answer(&joined(http::header::ACCEPT), &joined(http::header::ACCEPT_ENCODING));
        http::Response::from(answer).map(B::from)
    }
}

impl Default for Prometheus {
    fn default() -> Self {
        Prometheus::new()
    }
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").field("renderer", &self.0.renderer).finish_non_exhaustive()
    }
}

/// Builds a [`Prometheus`] exporter.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    renderer: Renderer,
    reader: ReaderConfig,
    fallback: Format,
    timeout: Duration,
}

impl Builder {
    /// Sets how pages are written: names, scopes, the resource.
    pub fn with_renderer(mut self, renderer: Renderer) -> Self {
        self.renderer = renderer;
        self
    }

    /// Sets aggregations, limits and producers. The temporality is cumulative, whatever this says.
    pub fn with_reader(mut self, config: ReaderConfig) -> Self {
        self.reader = config;
        self
    }

    /// Sets the format for requests that accept none or all of those there are; text 0.0.4 by default.
    pub fn with_fallback(mut self, format: Format) -> Self {
        self.fallback = format;
        self
    }

    /// Sets how long a request may wait for the collections of others; ten seconds by default.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The exporter.
    pub fn build(self) -> Prometheus {
        // spec: metrics/sdk_exporters/prometheus.md: temporality must be cumulative
        let config = self.reader.with_temporality(TemporalityPreference::Cumulative);
        let config = config.with_component_type("prometheus_http_text_metric_exporter");
        Prometheus(Arc::new(Inner {
            reader: PullReader::new(config),
            renderer: self.renderer,
            fallback: self.fallback,
            timeout: self.timeout,
            length: AtomicUsize::new(0),
        }))
    }
}
