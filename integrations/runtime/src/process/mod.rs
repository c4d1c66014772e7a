//! The metrics of the process: their registration.

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

/// Registers the recommended metrics of the process on `meter`: [`ProcessMetrics`] with its defaults.
///
/// They are observed for as long as the meter provider lives. Call it once for each provider.
pub fn register_process(meter: &Meter) {
    ProcessMetrics::new().register(meter);
}

/// The choice of metrics of the process.
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

    /// Adds `process.cpu.utilization`: the CPU time since the last measurement, divided by the time that has passed and
    /// the number of CPUs that the process may use.
    ///
    /// The window is at least a second: a reader that collects more often gets the last value again. Several readers share
    /// the window. `process.cpu.time` is exact for each reader.
    ///
    /// spec: system/process-metrics.md#metric-processcpuutilization: opt-in
    #[must_use]
    pub fn with_cpu_utilization(mut self) -> Self {
        self.cpu_utilization = true;
        self
    }

    /// Registers the metrics on `meter`. They are observed for as long as its provider lives; the API has no way to remove
    /// them. Registers nothing on systems other than Linux.
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
