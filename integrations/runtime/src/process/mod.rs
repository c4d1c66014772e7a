//! Registers the metrics of the process.

use opentelemetry::metrics::Meter;

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod instruments;
#[cfg(target_os = "linux")]
mod parse;
#[cfg(target_os = "linux")]
mod shared;
#[cfg(target_os = "linux")]
mod switches;
#[cfg(target_os = "linux")]
mod utilization;

/// Registers the recommended metrics of the process on `meter`, like [`ProcessMetrics`] with its defaults.
///
/// The metrics are observed as long as the meter provider lives. Call this function once for each provider.
pub fn register_process(meter: &Meter) {
    ProcessMetrics::new().register(meter);
}

/// Selects metrics of the process.
///
/// ```
/// let meter = opentelemetry::global::meter("shop");
/// telemark_runtime::ProcessMetrics::new().with_cpu_utilization().register(&meter);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProcessMetrics {
    cpu_utilization: bool,
}

impl ProcessMetrics {
    /// Returns the metrics that the semantic conventions recommend.
    pub fn new() -> Self {
        ProcessMetrics::default()
    }

    /// Adds `process.cpu.utilization`: the CPU time since the last measurement, divided by the elapsed time and
    /// by the number of CPUs that the process may use.
    ///
    /// The window is at least a second: a reader that collects more often receives the last value again. Several readers share
    /// the window; `process.cpu.time`, by contrast, is exact for each reader.
    ///
    /// spec: system/process-metrics.md#metric-processcpuutilization: opt-in
    #[must_use]
    pub fn with_cpu_utilization(mut self) -> Self {
        self.cpu_utilization = true;
        self
    }

    /// Registers the metrics on `meter`. They are observed as long as its provider lives, since the API cannot remove
    /// them. On systems other than Linux, this registers nothing.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables, clippy::unused_self))]
    pub fn register(&self, meter: &Meter) {
        #[cfg(target_os = "linux")]
        {
            let source = instruments::Source::new(files::Proc::new());
            instruments::register(meter, &source);
            if self.cpu_utilization {
                instruments::register_cpu_utilization(meter, &source);
            }
        }
    }
}
