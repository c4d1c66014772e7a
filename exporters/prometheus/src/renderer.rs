//! Renders a collection as a page, according to a configuration.

use std::io;

use telemark_sdk::Resource;
use telemark_sdk::config::Settings;
use telemark_sdk::metrics::ScopeMetrics;
use telemark_sdk::text::Patterns;

use crate::config::PageConfig;
use crate::format::Format;
use crate::names::TranslationStrategy;
use crate::page::{self, Chunks};

/// Renders collections as pages. [`PrometheusExporter`](crate::PrometheusExporter) uses it for its own pages.
///
/// Totals must be cumulative, because a page shows the current state rather than a change. Metrics that cannot
/// be shown are left out with a warning.
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
    /// Creates a renderer with the specification's defaults.
    pub fn new() -> Self {
        Renderer::default()
    }

    /// Sets how names are translated. Defaults to [`TranslationStrategy::UnderscoreEscapingWithSuffixes`].
    pub fn with_translation(mut self, strategy: TranslationStrategy) -> Self {
        self.config.strategy = strategy;
        self
    }

    /// Omits the `otel_scope_…` labels, which name the library that a series comes from.
    pub fn without_scope_labels(mut self) -> Self {
        self.config.scope_labels = false;
        self
    }

    /// Omits the metric `target_info`, which carries the resource attributes.
    pub fn without_target_info(mut self) -> Self {
        self.config.target_info = false;
        self
    }

    /// Adds the resource attributes with these keys as labels to every series. By default, adds none. In a key, `*` stands for any
    /// sequence of characters and `?` for a single one.
    pub fn with_resource_labels<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.config.resource_labels = Patterns::new(Some(keys), [""; 0]);
        self
    }

    /// Reads the settings of `prometheus/development` in a configuration file that concern the page.
    pub fn with_settings(mut self, settings: Settings<'_>) -> Self {
        use TranslationStrategy::{
            NoTranslation, NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes,
            UnderscoreEscapingWithoutSuffixes,
        };
        let strategies = [
            ("underscore_escaping_with_suffixes", UnderscoreEscapingWithSuffixes),
            ("underscore_escaping_without_suffixes/development", UnderscoreEscapingWithoutSuffixes),
            ("no_utf8_escaping_with_suffixes/development", NoUtf8EscapingWithSuffixes),
            ("no_translation/development", NoTranslation),
        ];
        let config = &mut self.config;
        config.strategy = settings.one_of("translation_strategy", &strategies).unwrap_or(config.strategy);
        config.scope_labels = settings.boolean("scope_info_enabled").unwrap_or(config.scope_labels);
        config.target_info = settings.boolean("target_info_enabled/development").unwrap_or(config.target_info);
        if let Some(labels) = settings.object("resource_constant_labels").filter(|labels| !labels.item().is_null()) {
            config.resource_labels =
                Patterns::new(labels.texts("included"), labels.texts("excluded").unwrap_or_default());
        }
        self
    }

    /// Appends a collection's page to `out`.
    pub fn render(&self, format: Format, resource: &Resource, scopes: &[ScopeMetrics], out: &mut Vec<u8>) {
        let chunks = Chunks { size: usize::MAX, pass_on: &mut |_| Ok(()) };
        // Only `pass_on` can fail, and here it never does.
        let _ = page::write(&self.config, format, resource, scopes, out, chunks);
    }

    /// Writes a collection's page in parts of about 64 KiB, so that a large page is never held in memory as a
    /// whole.
    ///
    /// # Errors
    /// Returns the first error from `to`, after which nothing more is written.
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

/// The size of a part in bytes, which is large enough to keep the number of writes small, and small enough for the CPU
/// caches.
const CHUNK: usize = 64 << 10;
