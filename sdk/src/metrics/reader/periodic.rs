//! The push reader, which collects and exports at regular intervals on its own thread.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::config::ReaderConfig;
use super::contract::{Begin, Begun, Connect, MetricReader, Source};
use super::split;
use crate::config::{Env, Settings};
use crate::diag::Counters;
use crate::error::{ConfigError, ExportError};
use crate::export::{Batch, Exporter, Guarded};
use crate::runtime::{Handle, Next, Pace, Pacer, Request, Runtime, Task, Wake};
use crate::signal::Metrics;
use crate::time::Deadline;

const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Interval, timeout and batch size of a [`PeriodicReader`].
///
/// spec: metrics/sdk.md#periodic-exporting-metricreader
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodicConfig {
    interval: Duration,
    timeout: Duration,
    max_batch_size: usize,
}

impl Default for PeriodicConfig {
    /// Returns the defaults: an interval of 60 s, a timeout of 30 s, and one export per collection.
    fn default() -> Self {
        PeriodicConfig {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            max_batch_size: usize::MAX,
        }
    }
}

impl PeriodicConfig {
    /// Reads the configuration from `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_METRIC_EXPORT_TIMEOUT` and
    /// `OTEL_RUST_METRIC_EXPORT_MAX_BATCH_SIZE`. Unset variables leave the defaults.
    pub fn from_env(env: &Env) -> Self {
        let default = PeriodicConfig::default();
        let interval = env.integer("OTEL_METRIC_EXPORT_INTERVAL", 1..=usize::MAX);
        PeriodicConfig {
            interval: interval.map_or(default.interval, |millis| Duration::from_millis(millis as u64)),
            timeout: env.timeout("OTEL_METRIC_EXPORT_TIMEOUT").unwrap_or(default.timeout),
            max_batch_size: env
                .integer("OTEL_RUST_METRIC_EXPORT_MAX_BATCH_SIZE", 1..=usize::MAX)
                .unwrap_or(default.max_batch_size),
        }
    }

    /// Returns this config, overridden by the settings of a `periodic` reader in a configuration file.
    pub(crate) fn overridden_by(self, settings: Settings<'_>) -> Self {
        PeriodicConfig {
            interval: settings.duration("interval").map_or(self.interval, |interval| interval.max(MIN_INTERVAL)),
            timeout: settings.timeout("timeout").unwrap_or(self.timeout),
            max_batch_size: settings.size("max_export_batch_size/development", 1).unwrap_or(self.max_batch_size),
        }
    }

    /// Sets the time from the start of one export to the start of the next, with a minimum of one millisecond.
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(MIN_INTERVAL);
        self
    }

    /// Sets the maximum duration of a collection and its export together. [`Duration::MAX`] means no limit.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the maximum number of points per export. The minimum is 1. Larger collections are exported in several
    /// batches, one right after the other. By default, a single export contains the whole collection.
    ///
    /// Receivers limit the size of a request; the OpenTelemetry Collector accepts 4 MiB over gRPC by default. A
    /// histogram series takes a few hundred bytes, and more than a thousand if every bucket has an exemplar.
    pub fn with_max_batch_size(mut self, points: usize) -> Self {
        self.max_batch_size = points.max(1);
        self
    }

    /// Returns the time from the start of one export to the start of the next.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns the maximum duration of a collection and its export together.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the maximum number of points per export.
    pub fn max_batch_size(&self) -> usize {
        self.max_batch_size
    }
}

/// Collects and exports at regular intervals. Exports never overlap.
///
/// A failed export is not repeated. The exporter retries until its deadline; after that, the batch is dropped.
/// The next export contains the missing totals but not the lost deltas, which are counted in
/// [`SdkMeterProvider::lost_delta_points`](crate::metrics::SdkMeterProvider::lost_delta_points).
///
/// spec: metrics/sdk.md#exportbatch
#[derive(Debug)]
pub struct PeriodicReader {
    handle: Handle,
    source: Arc<OnceLock<Source>>,
    config: Option<ReaderConfig>,
    counters: Arc<Counters>,
    pace: Pace,
}

impl PeriodicReader {
    /// Starts a reader. It begins to export once a provider is built with it.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    pub fn start(
        exporter: impl Exporter<Metrics>,
        periods: PeriodicConfig,
        config: ReaderConfig,
        runtime: &Runtime,
    ) -> Result<Self, ConfigError> {
        let (source, exporter) = (Arc::new(OnceLock::new()), Guarded::new(exporter));
        let counters = exporter.counters().clone();
        let (pace, next) = (Pace::new(periods.interval), Deadline::after(periods.interval));
        let worker = Worker { exporter, periods, pace: pace.clone(), next, source: source.clone() };
        let handle = runtime.start("telemark-metrics", worker)?;
        Ok(PeriodicReader { handle, source, config: Some(config), counters, pace })
    }
}

impl MetricReader for PeriodicReader {
    fn counters(&self) -> Option<Arc<Counters>> {
        Some(self.counters.clone())
    }

    fn component_type(&self) -> &'static str {
        "periodic_metric_reader"
    }
}

impl Connect for PeriodicReader {
    fn take_config(&mut self) -> ReaderConfig {
        self.config.take().unwrap_or_default()
    }

    fn connect(&self, source: Source) {
        // Each reader is owned by one provider, so nothing else can have set the source.
        let _ = self.source.set(source);
    }

    fn pacer(&self) -> Option<Pacer> {
        Some(Pacer::new(&self.pace, &self.handle))
    }

    fn begin(&self, what: Begin, deadline: Deadline) -> Begun {
        let request = match what {
            Begin::Flush => Request::Flush,
            Begin::Shutdown => Request::Shutdown,
        };
        Begun(self.handle.ask(request, deadline))
    }
}

struct Worker {
    exporter: Guarded<Metrics>,
    periods: PeriodicConfig,
    /// The interval.
    pace: Pace,
    /// The time of the next export.
    next: Deadline,
    source: Arc<OnceLock<Source>>,
}

impl Task for Worker {
    fn first(&self) -> Duration {
        self.pace.delay()
    }

    fn run(&mut self, why: Wake) -> Next {
        // Measured from start to start, so that the duration of the export does not add to the interval.
        let next = Deadline::after(self.pace.delay());
        if why == Wake::Full {
            // The interval has changed. A shorter one applies at once.
            self.next = self.next.min(next);
            return Next::After(self.next.remaining().unwrap_or(self.pace.delay()));
        }
        // During a pause that the receiver requested, deltas stay in their series.
        let pause = self.exporter.pause();
        if !pause.is_zero() {
            self.next = Deadline::after(pause);
            return Next::After(pause);
        }
        self.next = next;
        // Failures are already counted and logged, and this task has no caller to return them to.
        drop(self.export(Deadline::NEVER));
        Next::After(next.remaining().unwrap_or(self.pace.delay()))
    }

    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        // spec: metrics/sdk.md#forceflush-2 — flush the exporter even if the collection timed out.
        let exported = self.export(deadline);
        exported.and(self.exporter.flush(deadline))
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        // spec: metrics/sdk.md#shutdown-1 — includes the effects of ForceFlush, and thus a flush of the
        // exporter.
        let flushed = self.flush(deadline);
        flushed.and(self.exporter.shutdown(deadline))
    }
}

impl Worker {
    fn export(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let Some(Source(pipeline)) = self.source.get() else { return Ok(()) };
        let deadline = deadline.min(Deadline::after(self.periods.timeout));
        let mut result = Ok(());
        for scopes in split::batches(pipeline.collect(deadline)?, self.periods.max_batch_size) {
            let batch = Batch::new(&pipeline.resource, &scopes);
            let exported = self.exporter.export(split::points(&scopes) as u64, batch, deadline);
            if let Err(error) = &exported {
                // If a batch failed only in part, the number of lost deltas cannot exceed the number of failed points.
                let deltas = split::deltas(&scopes) as u64;
                pipeline.lose_deltas(error.items().map_or(deltas, |failed| deltas.min(failed)));
            }
            // Keep the first error, but still export the remaining batches.
            result = result.and(exported);
        }
        result
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_variables() {
        let check = |interval: &str, timeout: &str, expected: (u64, Option<u64>), warnings: usize| {
            let env = Env::from_pairs([
                ("OTEL_METRIC_EXPORT_INTERVAL", interval),
                ("OTEL_METRIC_EXPORT_TIMEOUT", timeout),
                ("OTEL_RUST_METRIC_EXPORT_MAX_BATCH_SIZE", interval),
            ]);
            let config = PeriodicConfig::from_env(&env);
            let most = interval.parse().ok().filter(|most| *most > 0).unwrap_or(usize::MAX);
            assert_eq!(config.max_batch_size(), most);
            assert_eq!(config.interval(), Duration::from_millis(expected.0));
            assert_eq!(config.timeout(), expected.1.map_or(Duration::MAX, Duration::from_millis));
            assert_eq!(env.take_warnings().len(), warnings, "{interval} {timeout}");
        };
        check("", "", (60_000, Some(30_000)), 0);
        check("1000", "500", (1000, Some(500)), 0);
        check("5", "0", (5, None), 0);
        check("0", "-1", (60_000, Some(30_000)), 3);
    }
}
