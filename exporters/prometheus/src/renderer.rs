//! Rendering: from a collection and a configuration to a page.

use std::io;

use telemark_sdk::Resource;
use telemark_sdk::metrics::ScopeMetrics;

use crate::config::PageConfig;
use crate::format::Format;
use crate::names::TranslationStrategy;
use crate::page::{self, Chunks};

/// Renders collections as pages. [`PrometheusExporter`](crate::PrometheusExporter) uses one for each request.
///
/// Totals must be cumulative, because a page shows the current state and not a change. A metric that cannot be shown is left out
/// with a warning.
///
/// ```
/// use telemark_prometheus::{Format, Renderer};
/// use telemark_sdk::Resource;
///
/// let renderer = Renderer::new().without_target_info().with_resource_labels(["deployment.environment.name"]);
/// let mut page = Vec::new();
/// renderer.render(Format::default(), &Resource::empty(), &[], &mut page);
/// assert!(page.is_empty());
/// ```
///
/// spec: compatibility/prometheus_and_openmetrics.md
#[derive(Clone, Debug, Default)]
pub struct Renderer {
    config: PageConfig,
}

impl Renderer {
    /// Returns a renderer with the specification's defaults.
    pub fn new() -> Self {
        Renderer::default()
    }

    /// Sets the translation of names; [`TranslationStrategy::UnderscoreEscapingWithSuffixes`] by default.
    pub fn with_translation(mut self, strategy: TranslationStrategy) -> Self {
        self.config.strategy = strategy;
        self
    }

    /// Leaves out the labels `otel_scope_…`, which name the library that a series comes from.
    pub fn without_scope_labels(mut self) -> Self {
        self.config.scope_labels = false;
        self
    }

    /// Leaves out the metric `target_info`, which carries the attributes of the resource.
    pub fn without_target_info(mut self) -> Self {
        self.config.target_info = false;
        self
    }

    /// Adds the resource's attributes with these keys to every series as labels; none by default.
    pub fn with_resource_labels<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.config.resource_labels = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Appends the page of a collection to `out`.
    pub fn render(&self, format: Format, resource: &Resource, scopes: &[ScopeMetrics], out: &mut Vec<u8>) {
        let chunks = Chunks { size: usize::MAX, pass_on: &mut |_| Ok(()) };
        // `pass_on` is the only source of errors.
        let _ = page::write(&self.config, format, resource, scopes, out, chunks);
    }

    /// Writes the page of a collection in parts of about 64 KiB, so that a large page is never in memory as a whole.
    ///
    /// # Errors
    /// Returns the first error of `to`, after which nothing more is written.
    pub fn write(
        &self,
        format: Format,
        resource: &Resource,
        scopes: &[ScopeMetrics],
        to: &mut dyn io::Write,
    ) -> io::Result<()> {
        let mut part = Vec::with_capacity(CHUNK + CHUNK / 4);
        let mut pass_on = |part: &mut Vec<u8>| {
            to.write_all(part)?;
            part.clear();
            Ok(())
        };
        let chunks = Chunks { size: CHUNK, pass_on: &mut pass_on };
        page::write(&self.config, format, resource, scopes, &mut part, chunks)?;
        to.write_all(&part)
    }
}

/// Bytes of a part: large enough for few calls, small enough for the processor's caches.
const CHUNK: usize = 64 << 10;
