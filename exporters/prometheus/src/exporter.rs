//! The exporter: a reader of metrics, and the page for each request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use telemark_sdk::metrics::{PullReader, ReaderConfig, TemporalityPreference};
use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, Resource};

use crate::answer::Answer;
use crate::format::Format;
use crate::negotiate::negotiate_or;
use crate::renderer::Renderer;

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
        let scopes = self.0.reader.collect(Deadline::after(self.0.timeout))?;
        let empty = Resource::empty();
        let resource = self.0.reader.resource().unwrap_or(&empty);
        let expected = self.0.length.load(Ordering::Relaxed);
        // A little more than the last page, which saves growing and copying.
        out.reserve(expected + expected / 16);
        let before = out.len();
        self.0.renderer.render(format, resource, &scopes, out);
        self.0.length.store(out.len() - before, Ordering::Relaxed);
        Ok(())
    }

    /// Collects and answers a request with these headers, which are empty when the request has none.
    ///
    /// The page is compressed with the feature `gzip` when the request accepts that.
    pub fn answer(&self, accept: &str, accept_encoding: &str) -> Answer {
        let format = self.negotiate(accept);
        let mut body = Vec::new();
        match self.render(format, &mut body) {
            Ok(()) => Answer::page(format, body, accept_encoding),
            Err(error) => Answer::failure(&error),
        }
    }

    /// The same with the types of the `http` crate; whatever the path and the method.
    ///
    /// It collects and hence may block: call it on a thread where that is no harm.
    #[cfg(feature = "http")]
    pub fn respond(&self, headers: &http::HeaderMap) -> http::Response<Vec<u8>> {
        let joined = |name: http::HeaderName| {
            let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            values.join(",")
        };
        self.answer(&joined(http::header::ACCEPT), &joined(http::header::ACCEPT_ENCODING)).into()
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
