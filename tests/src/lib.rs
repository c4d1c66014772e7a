//! What the tests across crates share.
//!
//! - [`Receiver`] is a real receiver that `cargo xtask test` (or `services`) has started.
//! - [`Received`] is what it took, read back from its output, and [`Received::text`] shows it in a form that is the same
//!   for every receiver.
//! - [`Recorded`] is what was recorded, in the same form.
//! - [`Points`] and [`RecordedMetrics`] are the same for metrics.
//! - [`Prometheus`] is a real one, which scrapes what a test shows.
//! - [`Sink`] is a scripted receiver in the test's own process.
//! - [`layers`] reads the workspace and finds what breaks the rules of the architecture.

mod decoded;
pub mod layers;
mod prometheus;
mod received;
mod receiver;
mod recorded;
mod recorded_metrics;
mod sink;

pub use prometheus::{Prometheus, http_get};
pub use received::{Event, Exemplar, Link, Point, Points, Received, Span};
pub use receiver::{Receiver, skip};
pub use recorded::Recorded;
pub use recorded_metrics::RecordedMetrics;
pub use sink::{Script, Sink};
