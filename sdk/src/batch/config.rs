//! Configuration of a batch processor.

use std::time::Duration;

use crate::config::{Env, Settings};
use crate::error::ConfigError;

/// Minimum delay between two runs of an idle worker.
pub(super) const MIN_DELAY: Duration = Duration::from_millis(5);
/// Size at which a batch is full. Receivers usually accept requests of up to 4 MiB, and spans are smaller on the wire
/// than in memory.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// The queue size, the batch size, and the timing of exports.
///
/// spec: trace/sdk.md#batching-processor
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    max_queue_size: usize,
    max_queue_bytes: usize,
    max_batch_size: usize,
    schedule_delay: Duration,
    export_timeout: Duration,
}

/// The variables of a signal's batch processor.
struct Names {
    queue_size: &'static str,
    queue_bytes: &'static str,
    batch_size: &'static str,
    delay: &'static str,
    timeout: &'static str,
}

impl BatchConfig {
    /// The specification's defaults for spans: a queue of 2048 items, batches of 512 items, a delay of up to 5 s
    /// before an export, and a timeout of 30 s per export. Spans that are waiting or being exported may take up 64 MiB
    /// in total, which is 32 KiB for each span of a full queue. A typical span takes up less than 1 KiB.
    pub const SPANS: BatchConfig = BatchConfig {
        max_queue_size: 2048,
        max_queue_bytes: 64 << 20,
        max_batch_size: 512,
        schedule_delay: Duration::from_secs(5),
        export_timeout: Duration::from_secs(30),
    };

    /// The specification's defaults for log records: the same as [`Self::SPANS`], but with a delay of at most 1 s before an export.
    ///
    /// spec: logs/sdk.md#batching-processor
    pub const LOGS: BatchConfig = BatchConfig { schedule_delay: Duration::from_secs(1), ..BatchConfig::SPANS };

    /// Returns the defaults for spans, overridden by `OTEL_BSP_*` and `OTEL_RUST_BSP_MAX_QUEUE_BYTES`.
    ///
    /// If the batch size exceeds the queue size, logs a warning and uses the queue size.
    pub fn spans_from_env(env: &Env) -> Self {
        BatchConfig::SPANS.overridden(
            env,
            &Names {
                queue_size: "OTEL_BSP_MAX_QUEUE_SIZE",
                queue_bytes: "OTEL_RUST_BSP_MAX_QUEUE_BYTES",
                batch_size: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                delay: "OTEL_BSP_SCHEDULE_DELAY",
                timeout: "OTEL_BSP_EXPORT_TIMEOUT",
            },
        )
    }

    /// Returns the defaults for log records, overridden by `OTEL_BLRP_*` and
    /// `OTEL_RUST_BLRP_MAX_QUEUE_BYTES`, as [`Self::spans_from_env`] does for spans.
    pub fn logs_from_env(env: &Env) -> Self {
        BatchConfig::LOGS.overridden(
            env,
            &Names {
                queue_size: "OTEL_BLRP_MAX_QUEUE_SIZE",
                queue_bytes: "OTEL_RUST_BLRP_MAX_QUEUE_BYTES",
                batch_size: "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
                delay: "OTEL_BLRP_SCHEDULE_DELAY",
                timeout: "OTEL_BLRP_EXPORT_TIMEOUT",
            },
        )
    }

    /// Returns this config, overridden by the settings of a `batch` processor in a configuration file. Warns about a batch size that
    /// exceeds the queue size, as [`Self::spans_from_env`] does.
    pub(crate) fn overridden_by(mut self, settings: Settings<'_>) -> Self {
        self.schedule_delay = settings.duration("schedule_delay").unwrap_or(self.schedule_delay);
        self.export_timeout = settings.timeout("export_timeout").unwrap_or(self.export_timeout);
        self.max_queue_size = settings.size("max_queue_size", 1).unwrap_or(self.max_queue_size);
        if let Some(size) = settings.size("max_export_batch_size", 1) {
            if let Some(value) = settings.get("max_export_batch_size").filter(|_| size > self.max_queue_size) {
                value.warn(&format!("exceeds max_queue_size, so {} is used", self.max_queue_size));
            }
            self.max_batch_size = size;
        }
        self
    }

    fn overridden(mut self, env: &Env, names: &Names) -> Self {
        if let Some(size) = env.integer(names.queue_size, 1..=usize::MAX) {
            self = self.with_max_queue_size(size);
        }
        if let Some(bytes) = env.integer(names.queue_bytes, 1..=usize::MAX) {
            self = self.with_max_queue_bytes(bytes);
        }
        if let Some(size) = env.integer(names.batch_size, 1..=usize::MAX) {
            if size > self.max_queue_size {
                let accepted = format!("at most {} ({}), which is used", names.queue_size, self.max_queue_size);
                env.warn(ConfigError::invalid(names.batch_size, size.to_string(), accepted));
            }
            self = self.with_max_batch_size(size);
        }
        self.schedule_delay = env.duration(names.delay).unwrap_or(self.schedule_delay);
        self.export_timeout = env.timeout(names.timeout).unwrap_or(self.export_timeout);
        self
    }

    /// Sets the maximum number of queued items. The minimum is 1.
    pub fn with_max_queue_size(mut self, items: usize) -> Self {
        self.max_queue_size = items.max(1);
        self
    }

    /// Sets the maximum total size, in bytes, of the items that are waiting or being exported. The minimum is 1. Items
    /// that do not fit are dropped.
    ///
    /// The size of an item includes everything that it owns. Every string counts as a separate allocation, even if it
    /// is static. The worker starts an export once a quarter of the bytes are used, and limits a batch to about an
    /// eighth of them, or to 4 MiB if that is less.
    pub fn with_max_queue_bytes(mut self, bytes: usize) -> Self {
        self.max_queue_bytes = bytes.max(1);
        self
    }

    /// Sets the maximum number of items per export. The minimum is 1. The value is capped at the queue size,
    /// regardless of the order of the calls.
    pub fn with_max_batch_size(mut self, items: usize) -> Self {
        self.max_batch_size = items.max(1);
        self
    }

    /// Sets the maximum time that an item waits before it is exported. The minimum is 5 ms.
    pub fn with_schedule_delay(mut self, delay: Duration) -> Self {
        self.schedule_delay = delay;
        self
    }

    /// Sets the maximum duration of one export; [`Duration::MAX`] means no limit.
    pub fn with_export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = timeout;
        self
    }

    /// Returns the maximum number of queued items.
    pub fn max_queue_size(&self) -> usize {
        self.max_queue_size
    }

    /// Returns the maximum total size, in bytes, of the items that are waiting or being exported.
    pub fn max_queue_bytes(&self) -> usize {
        self.max_queue_bytes
    }

    /// Returns the size, in bytes, at which a batch is full regardless of its number of items.
    pub(super) fn max_batch_bytes(&self) -> usize {
        (self.max_queue_bytes / 8).min(MAX_BATCH_BYTES)
    }

    /// Returns the maximum number of items per export.
    pub fn max_batch_size(&self) -> usize {
        self.max_batch_size.min(self.max_queue_size)
    }

    /// Returns the maximum time that an item waits before it is exported.
    pub fn schedule_delay(&self) -> Duration {
        self.schedule_delay
    }

    /// Returns the maximum duration of one export.
    pub fn export_timeout(&self) -> Duration {
        self.export_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: [u64; 4], warnings: &[&str]) {
        check_with(BatchConfig::spans_from_env, variables, expected, warnings);
    }

    fn check_with(read: fn(&Env) -> BatchConfig, variables: &[(&str, &str)], expected: [u64; 4], warnings: &[&str]) {
        let env = Env::from_pairs(variables.iter().copied());
        let config = read(&env);
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let actual = [
            config.max_queue_size as u64,
            config.max_batch_size() as u64,
            millis(config.schedule_delay),
            millis(config.export_timeout),
        ];
        assert_eq!(actual, expected, "{variables:?}");
        let given: Vec<_> = env.take_warnings().iter().map(ToString::to_string).collect();
        assert_eq!(given, warnings, "{variables:?}");
    }

    #[test]
    fn the_order_of_the_calls_does_not_matter() {
        let sizes = |config: BatchConfig| (config.max_queue_size(), config.max_batch_size());
        assert_eq!(sizes(BatchConfig::SPANS.with_max_batch_size(4096).with_max_queue_size(8192)), (8192, 4096));
        assert_eq!(sizes(BatchConfig::SPANS.with_max_queue_size(8192).with_max_batch_size(4096)), (8192, 4096));
        assert_eq!(sizes(BatchConfig::SPANS.with_max_batch_size(4096).with_max_queue_size(8)), (8, 8));
    }

    #[test]
    fn the_bytes_have_a_variable() {
        let bytes = |value| {
            BatchConfig::spans_from_env(&Env::from_pairs([("OTEL_RUST_BSP_MAX_QUEUE_BYTES", value)])).max_queue_bytes()
        };
        assert_eq!(["1000", "0", ""].map(bytes), [1000, 64 << 20, 64 << 20]);
    }

    #[test]
    fn the_variables() {
        check(&[], [2048, 512, 5000, 30000], &[]);
        check(
            &[("OTEL_BSP_MAX_QUEUE_SIZE", "10000"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1000")],
            [10000, 1000, 5000, 30000],
            &[],
        );
        check(&[("OTEL_BSP_SCHEDULE_DELAY", "0"), ("OTEL_BSP_EXPORT_TIMEOUT", "0")], [2048, 512, 0, u64::MAX], &[]);
        check(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100")], [100, 100, 5000, 30000], &[]);
        check(
            &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096")],
            [2048, 2048, 5000, 30000],
            &[
                r#"OTEL_BSP_MAX_EXPORT_BATCH_SIZE="4096" cannot be used: expected at most OTEL_BSP_MAX_QUEUE_SIZE (2048), which is used"#,
            ],
        );
        check(
            &[("OTEL_BSP_MAX_QUEUE_SIZE", "0")],
            [2048, 512, 5000, 30000],
            &[r#"OTEL_BSP_MAX_QUEUE_SIZE="0" cannot be used: expected a whole number of at least 1"#],
        );
    }
    #[test]
    fn log_records_have_variables_and_a_delay_of_their_own() {
        let check = |variables: &[(&str, &str)], expected, warnings: &[&str]| {
            check_with(BatchConfig::logs_from_env, variables, expected, warnings);
        };
        check(&[("OTEL_BSP_SCHEDULE_DELAY", "7"), ("OTEL_BSP_MAX_QUEUE_SIZE", "7")], [2048, 512, 1000, 30000], &[]);
        check(
            &[
                ("OTEL_BLRP_MAX_QUEUE_SIZE", "100"),
                ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "200"),
                ("OTEL_BLRP_SCHEDULE_DELAY", "5"),
                ("OTEL_BLRP_EXPORT_TIMEOUT", "6"),
            ],
            [100, 100, 5, 6],
            &[
                r#"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="200" cannot be used: expected at most OTEL_BLRP_MAX_QUEUE_SIZE (100), which is used"#,
            ],
        );
    }
}
