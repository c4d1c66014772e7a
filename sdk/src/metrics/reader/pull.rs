//! The pull reader, which collects on request: for a scrape, or in a test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::config::ReaderConfig;
use super::contract::{Begin, Begun, Connect, MetricReader, Source};
use crate::error::ExportError;
use crate::metrics::data::ScopeMetrics;
use crate::resource::Resource;
use crate::runtime::Waiting;
use crate::time::Deadline;

/// Collects on request. All clones represent the same reader: pass one clone to the provider, and collect with another.
///
/// ```
/// use telemark_sdk::metrics::{PullReader, ReaderConfig, SdkMeterProvider};
/// use telemark_sdk::time::Deadline;
/// use opentelemetry::metrics::MeterProvider;
///
/// let reader = PullReader::new(ReaderConfig::new());
/// let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
/// provider.meter("shop").u64_counter("orders").build().add(1, &[]);
/// assert_eq!(&*reader.collect(Deadline::NEVER)?[0].metrics[0].name, "orders");
/// # Ok::<(), telemark_sdk::ExportError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PullReader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ReaderConfig,
    source: OnceLock<Source>,
    is_shut_down: AtomicBool,
    is_disabled: AtomicBool,
}

impl PullReader {
    /// Creates a reader to pass to a provider.
    pub fn new(config: ReaderConfig) -> Self {
        let inner = Inner {
            config,
            source: OnceLock::new(),
            is_shut_down: AtomicBool::new(false),
            is_disabled: AtomicBool::new(false),
        };
        PullReader(Arc::new(inner))
    }

    /// Collects all metrics. Waits for any other collection by this reader to finish. Recording continues
    /// during the collection. With `OTEL_SDK_DISABLED=true`, returns no metrics.
    ///
    /// Callbacks run on this thread, outside its current context and with telemetry suppressed. A callback that
    /// blocks is not interrupted at the deadline.
    ///
    /// # Errors
    ///
    /// Returns an error if no provider has this reader, if the reader has been shut down, or if another collection is
    /// still running at the deadline.
    pub fn collect(&self, deadline: Deadline) -> Result<Vec<ScopeMetrics>, ExportError> {
        if self.0.is_shut_down.load(Ordering::Acquire) {
            return Err(ExportError::shutdown());
        }
        match self.0.source.get() {
            Some(Source(pipeline)) => pipeline.collect(deadline),
            None if self.0.is_disabled.load(Ordering::Acquire) => Ok(Vec::new()),
            None => Err(ExportError::other("no provider has this reader; give it to the builder of the telemetry")),
        }
    }

    /// Returns the provider's resource, or `None` before the provider is built.
    pub fn resource(&self) -> Option<&Resource> {
        self.0.source.get().map(|Source(pipeline)| &pipeline.resource)
    }
}

impl Default for PullReader {
    fn default() -> Self {
        PullReader::new(ReaderConfig::new())
    }
}

impl MetricReader for PullReader {
    fn component_type(&self) -> &'static str {
        // The path from which users import the type, which differs from its module path.
        self.0.config.component_type.unwrap_or("telemark_sdk::metrics::PullReader")
    }
}

impl Connect for PullReader {
    fn take_config(&mut self) -> ReaderConfig {
        self.0.config.clone()
    }

    fn connect(&self, source: Source) {
        // spec: metrics/sdk.md#metricreader — a reader may be registered with only one provider.
        if self.0.source.set(source).is_err() {
            crate::__warn!("metrics.reader", "a reader was given to two providers; it reads from the first one only");
        }
    }

    fn disable(&self) {
        self.0.is_disabled.store(true, Ordering::Release);
    }

    fn begin(&self, what: Begin, _: Deadline) -> Begun {
        if matches!(what, Begin::Shutdown) {
            self.0.is_shut_down.store(true, Ordering::Release);
        }
        Begun(Waiting::done(Ok(())))
    }
}
