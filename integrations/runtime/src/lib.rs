#![cfg_attr(docsrs, feature(doc_cfg))]
//! Metrics of the process and of the tokio runtime, on the OpenTelemetry API.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let meter = opentelemetry::global::meter_with_scope(telemark_runtime::scope());
//! telemark_runtime::register_process(&meter);
//!
//! # #[cfg(feature = "tokio")] {
//! let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
//! telemark_runtime::register_tokio(&meter, runtime.handle());
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! a reader collects ─▶ one callback per instrument ─▶ one sample per file ─▶ /proc/self/{stat,status,io,fd,task}
//!                                                 └─▶ tokio's own counters
//! ```
//!
//! All instruments are asynchronous: nothing runs between two collections, and no thread or timer is started.
//! Callbacks run on the reader's thread. They do not panic, and they skip values that the system does not provide.
//!
//! Call [`register_process`] once per meter provider, after the provider is installed: before that, the API's global meter
//! does nothing. The API cannot remove an observable instrument, so there is no handle to keep or to drop: the
//! instruments are observed as long as their meter provider lives.
//!
//! [`scope`] names this crate, its version and the conventions that the metrics follow. A meter with another scope also works,
//! but the metrics then name that scope as their origin.
//!
//! # The process
//! The names follow the semantic conventions 1.45 for processes. The numbers come from `/proc/self`. On systems other
//! than Linux, [`register_process`] registers nothing.
//!
//! | metric | instrument | unit | attribute | values |
//! |---|---|---|---|---|
//! | `process.cpu.time` | counter | `s` | `cpu.mode` | `user`, `system` |
//! | `process.cpu.utilization`, opt-in | gauge | `1` | `cpu.mode` | `user`, `system` |
//! | `process.memory.usage` | up-down counter | `By` | | |
//! | `process.memory.virtual` | up-down counter | `By` | | |
//! | `process.disk.io` | counter | `By` | `disk.io.direction` | `read`, `write` |
//! | `process.thread.count` | up-down counter | `{thread}` | | |
//! | `process.unix.file_descriptor.count` | up-down counter | `{file_descriptor}` | | |
//! | `process.context_switches` | counter | `{context_switch}` | `process.context_switch.type` | `voluntary`, `involuntary` |
//! | `process.paging.faults` | counter | `{fault}` | `system.paging.fault.type` | `minor`, `major` |
//! | `process.uptime` | gauge | `s` | | |
//!
//! - CPU time and uptime have the resolution of the kernel's clock tick, usually 10 ms.
//! - `process.disk.io` counts bytes that reach the storage, not bytes served by a cache.
//! - Linux counts context switches per thread and discards the counts when the thread ends. This crate adds them up, so the
//!   counter never falls, but it misses a thread that starts and ends between two collections. It tracks up to 1024
//!   threads, which dominate the cost of a collection: 30 µs each, and 0.2 ms for everything else.
//! - `process.uptime` is omitted if the system contradicts itself, as in a container with its own uptime.
//! - `process.network.io` and `process.disk.operations` are missing: Linux counts the first only per network namespace, and
//!   does not count the second per process.
//!
//! # Tokio
//! Requires the feature `tokio`. No conventions are published for tokio, so the names follow the style of the process metrics.
//! The values come from counters that tokio always maintains, even without `tokio_unstable`.
//!
//! | metric | instrument | unit | attribute | meaning |
//! |---|---|---|---|---|
//! | `tokio.worker.count` | up-down counter | `{worker}` | `tokio.worker.state`: `active`, `parked` | the worker threads; a current-thread runtime has one |
//! | `tokio.worker.busy_time` | counter | `s` | | total time for which the workers were not parked |
//! | `tokio.worker.parks` | counter | `{park}` | | number of times that a worker ran out of work |
//! | `tokio.task.count` | up-down counter | `{task}` | | spawned tasks that are not complete |
//! | `tokio.global_queue.size` | up-down counter | `{task}` | | tasks in the queue shared by all workers |
//!
//! - The share of time during which the workers are busy is the rate of `tokio.worker.busy_time` divided by the sum of
//!   `tokio.worker.count`.
//! - A worker updates `tokio.worker.busy_time` and `tokio.worker.parks` when it parks, and occasionally between parks. A worker
//!   blocked by a task is `active`, and its busy time does not increase.
//! - Without 64-bit atomics, tokio keeps no statistics on its workers: `tokio.worker.count` has no state there, and the
//!   other two `tokio.worker` metrics are missing.
//! - If there is more than one runtime, give each a name with `TokioMetrics::with_name`.
//! - An observed runtime that is shut down retains the memory of its handle and keeps reporting its last state. Observe only
//!   runtimes that live as long as the process.
//!
//! # Environment variables
//! This crate reads no environment variables.
//!
//! # Features
//! `tokio`, on by default: the functions and types for the metrics of tokio.

mod process;
#[cfg(feature = "tokio")]
mod tokio_runtime;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::Meter;
pub use process::{ProcessMetrics, register_process};
#[cfg(feature = "tokio")]
pub use tokio_runtime::{TokioMetrics, register_tokio};

/// Returns the instrumentation scope of these metrics: this crate, its version, and the schema URL of the semantic
/// conventions.
///
/// spec: common/instrumentation-scope.md
pub fn scope() -> InstrumentationScope {
    telemark_kit::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

/// Registers the metrics of the process, and those of the current tokio runtime when called within one, like
/// [`register_process`] and `register_tokio`.
pub fn register_all(meter: &Meter) {
    register_process(meter);
    #[cfg(feature = "tokio")]
    if let Ok(handle) = tokio::runtime::Handle::try_current() {
        register_tokio(meter, &handle);
    }
}

#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
