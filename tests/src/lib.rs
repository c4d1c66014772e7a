//! Shared code for the tests across crates.
//!
//! - [`Receiver`] is a real receiver, started by `cargo xtask test` or `cargo xtask services`.
//! - [`Received`] holds the spans read back from its output. [`Received::text`] shows them in a form that is the same for
//!   every receiver.
//! - [`Recorded`] holds the spans as they were recorded, in the same form.
//! - [`Points`] and [`RecordedMetrics`] do the same for metrics, and [`Record`] does the same for log records.
//! - [`Prometheus`] is a real Prometheus, which scrapes the pages that a test serves.
//! - [`Sink`] is a scripted receiver in the test's own process.
//! - [`own_time`] is a clock that stands still while a thread waits for a CPU.
//! - [`layers`] reads the workspace and reports violations of the architecture's rules.

mod decoded;
pub mod layers;
mod own_time;
mod prometheus;
mod received;
mod receiver;
mod recorded;
mod recorded_metrics;
mod sink;

pub use own_time::own_time;
pub use prometheus::{Prometheus, http_get};
pub use received::{Event, Exemplar, Link, Point, Points, Received, Record, Span};
pub use receiver::{Receiver, skip};
pub use recorded::Recorded;
pub use recorded_metrics::RecordedMetrics;
pub use sink::{Script, Sink};
