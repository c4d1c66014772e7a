//! The metrics of a tokio runtime, from counters that tokio maintains without `tokio_unstable`.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tokio::runtime::{Handle, RuntimeMetrics};

/// Registers the metrics of a tokio runtime on `meter`, like [`TokioMetrics`] with its defaults.
///
/// The metrics are observed as long as the meter provider lives. Call this function once for each provider; for more than
/// one runtime, see [`TokioMetrics::with_name`].
pub fn register_tokio(meter: &Meter, runtime: &Handle) {
    TokioMetrics::new().register(meter, runtime);
}

/// Configures the metrics of a tokio runtime.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let meter = opentelemetry::global::meter("shop");
/// let background = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// telemark_runtime::TokioMetrics::new().with_name("background").register(&meter, background.handle());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct TokioMetrics {
    attributes: Vec<KeyValue>,
}

impl TokioMetrics {
    /// Returns the configuration for an unnamed runtime.
    pub fn new() -> Self {
        TokioMetrics::default()
    }

    /// Sets the attribute `tokio.runtime.name`. Two unnamed runtimes share their time series, and the last one observed
    /// wins.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.attributes = vec![KeyValue::new("tokio.runtime.name", name.into())];
        self
    }

    /// Registers the metrics of `runtime` on `meter`. They are observed as long as its provider lives, since the API
    /// cannot remove them.
    pub fn register(&self, meter: &Meter, runtime: &Handle) {
        let observed = Observed { metrics: runtime.metrics(), attributes: self.attributes.clone() };
        observed.clone().worker_count(meter);
        #[cfg(target_has_atomic = "64")]
        observed.clone().busy_time(meter);
        #[cfg(target_has_atomic = "64")]
        observed.clone().parks(meter);
        observed.clone().task_count(meter);
        observed.global_queue_size(meter);
    }
}

/// An observed runtime. Worker indices stay valid, because the number of workers is fixed when a runtime is built.
#[derive(Clone)]
struct Observed {
    metrics: RuntimeMetrics,
    attributes: Vec<KeyValue>,
}

impl Observed {
    #[cfg(target_has_atomic = "64")]
    fn worker_count(self, meter: &Meter) {
        let in_state = |state| [&*self.attributes, &[KeyValue::new("tokio.worker.state", state)]].concat();
        let (active_attributes, parked_attributes) = (in_state("active"), in_state("parked"));
        worker_count(meter, move |observe| {
            let workers = 0..self.metrics.num_workers();
            // tokio counts each change of state, and a worker starts active.
            let parked =
                workers.clone().filter(|worker| self.metrics.worker_park_unpark_count(*worker) % 2 == 1).count();
            observe(workers.len() - parked, &active_attributes);
            observe(parked, &parked_attributes);
        });
    }

    #[cfg(not(target_has_atomic = "64"))]
    fn worker_count(self, meter: &Meter) {
        worker_count(meter, move |observe| observe(self.metrics.num_workers(), &self.attributes));
    }

    #[cfg(target_has_atomic = "64")]
    fn busy_time(self, meter: &Meter) {
        meter
            .f64_observable_counter("tokio.worker.busy_time")
            .with_unit("s")
            .with_description("Time that the workers of the runtime have been busy, all together.")
            .with_callback(move |instrument| {
                let workers = 0..self.metrics.num_workers();
                let busy = workers.map(|worker| self.metrics.worker_total_busy_duration(worker).as_secs_f64()).sum();
                instrument.observe(busy, &self.attributes);
            })
            .build();
    }

    #[cfg(target_has_atomic = "64")]
    fn parks(self, meter: &Meter) {
        meter
            .u64_observable_counter("tokio.worker.parks")
            .with_unit("{park}")
            .with_description("Number of times that a worker of the runtime has run out of work.")
            .with_callback(move |instrument| {
                let parks = (0..self.metrics.num_workers()).map(|worker| self.metrics.worker_park_count(worker));
                instrument.observe(parks.fold(0, u64::saturating_add), &self.attributes);
            })
            .build();
    }

    fn task_count(self, meter: &Meter) {
        meter
            .i64_observable_up_down_counter("tokio.task.count")
            .with_unit("{task}")
            .with_description("Tasks of the runtime that are spawned and not complete.")
            .with_callback(move |instrument| {
                instrument.observe(signed(self.metrics.num_alive_tasks()), &self.attributes);
            })
            .build();
    }

    fn global_queue_size(self, meter: &Meter) {
        meter
            .i64_observable_up_down_counter("tokio.global_queue.size")
            .with_unit("{task}")
            .with_description("Tasks in the queue that all workers of the runtime share.")
            .with_callback(move |instrument| {
                instrument.observe(signed(self.metrics.global_queue_depth()), &self.attributes);
            })
            .build();
    }
}

fn worker_count(meter: &Meter, count: impl Fn(&dyn Fn(usize, &[KeyValue])) + Send + Sync + 'static) {
    meter
        .i64_observable_up_down_counter("tokio.worker.count")
        .with_unit("{worker}")
        .with_description("Worker threads of the runtime.")
        .with_callback(move |instrument| {
            count(&|workers, attributes| instrument.observe(signed(workers), attributes));
        })
        .build();
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
