//! The metrics of the process: what is registered, and where.

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
pub fn process(meter: &Meter) {
    ProcessMetrics::new().observe(meter);
}

/// Which metrics of the process are observed.
///
/// ```
/// let meter = opentelemetry::global::meter("shop");
/// telemark_runtime::ProcessMetrics::new().with_cpu_utilization().observe(&meter);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ProcessMetrics {
    cpu_utilization: bool,
}

impl ProcessMetrics {
    /// The metrics that the semantic conventions recommend.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `process.cpu.utilization`: the CPU time since the last measurement, divided by the time that has passed and
    /// the number of CPUs that the process may use.
    ///
    /// It is measured over at least a second: who collects more often is given the last value again. With several
    /// readers, it is measured since the last of them collected. What `process.cpu.time` says is exact for each reader.
    // spec: the conventions make this metric an opt-in.
    #[must_use]
    pub fn with_cpu_utilization(mut self) -> Self {
        self.cpu_utilization = true;
        self
    }

    /// Registers the metrics on `meter`. They are observed for as long as its provider lives; the API has no way to take
    /// them back. Registers nothing on systems other than Linux.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables, clippy::unused_self))]
    pub fn observe(&self, meter: &Meter) {
        #[cfg(target_os = "linux")]
        {
            let source = instruments::Source::new(files::Proc::of_this_system());
            instruments::register(meter, &source);
            if self.cpu_utilization {
                instruments::register_cpu_utilization(meter, &source);
            }
        }
    }
}
