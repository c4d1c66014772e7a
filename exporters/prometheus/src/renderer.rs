//! Rendering: settings and a collection make a page.

use std::io;

use telemark_sdk::Resource;
use telemark_sdk::metrics::ScopeMetrics;

use crate::format::Format;
use crate::names::TranslationStrategy;
use crate::page::{self, Chunks};

/// Writes collections as pages; what [`Prometheus`](crate::Prometheus) does for each request.
///
/// Totals must be cumulative: a page says what is, not what changed. A metric that cannot be shown is left out with a
/// warning.
///
/// spec: compatibility/prometheus_and_openmetrics.md
#[derive(Clone, Debug, Default)]
pub struct Renderer {
    settings: Settings,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) strategy: TranslationStrategy,
    pub(crate) scope_labels: bool,
    pub(crate) target_info: bool,
    pub(crate) constant_labels: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            strategy: TranslationStrategy::default(),
            scope_labels: true,
            target_info: true,
            constant_labels: Vec::new(),
        }
    }
}

impl Settings {
    pub(crate) fn is_constant(&self, key: &str) -> bool {
        self.constant_labels.iter().any(|constant| constant == key)
    }
}

impl Renderer {
    /// The specification's defaults.
    pub fn new() -> Self {
        Renderer::default()
    }

    /// How names are translated; [`TranslationStrategy::UnderscoreEscapingWithSuffixes`] by default.
    pub fn with_translation(mut self, strategy: TranslationStrategy) -> Self {
        self.settings.strategy = strategy;
        self
    }

    /// Leaves out the labels `otel_scope_…` that tell which library a series is from.
    pub fn without_scope_labels(mut self) -> Self {
        self.settings.scope_labels = false;
        self
    }

    /// Leaves out `target_info`, which has the attributes of the resource.
    pub fn without_target_info(mut self) -> Self {
        self.settings.target_info = false;
        self
    }

    /// Gives these attributes of the resource to each series as labels; by default none.
    pub fn with_resource_labels<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.settings.constant_labels = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Appends the page of a collection.
    pub fn render(&self, format: Format, resource: &Resource, scopes: &[ScopeMetrics], out: &mut Vec<u8>) {
        let chunks = Chunks { size: usize::MAX, pass_on: &mut |_| Ok(()) };
        // Memory has no errors.
        let _ = page::write(&self.settings, format, resource, scopes, out, chunks);
    }

    /// Writes the page of a collection in parts of about 64 KiB, so that a large page never is in memory as a whole.
    ///
    /// # Errors
    /// The first error of `to`, after which nothing more is written.
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
        page::write(&self.settings, format, resource, scopes, &mut part, chunks)?;
        to.write_all(&part)
    }
}

/// Few calls, and few enough bytes for the processor's caches.
const CHUNK: usize = 64 << 10;
