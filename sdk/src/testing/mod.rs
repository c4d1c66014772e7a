//! Tools for tests: an in-memory exporter, a manual clock, sequential ids, and text output for spans,
//! metrics and log records.
//!
//! ```
//! use opentelemetry::trace::{Tracer, TraceContextExt};
//! use telemark_sdk::testing::TestTelemetry;
//!
//! let telemetry = TestTelemetry::new();
//! let _attached = telemetry.attach();
//! telemetry.tracer("shop").in_span("checkout", |cx| cx.span().set_attribute(opentelemetry::KeyValue::new("items", 3)));
//! assert_eq!(telemetry.tree(), "checkout items=3\n");
//!
//! telemetry.meter("shop").u64_counter("orders").build().add(2, &[opentelemetry::KeyValue::new("paid", true)]);
//! assert_eq!(telemetry.metrics(), "orders{paid=true} sum 2\n");
//! ```

mod clock;
mod ids;
mod logs;
mod memory;
mod metrics;
mod telemetry;
mod tree;

pub use clock::ManualClock;
pub use ids::SequentialIds;
pub use logs::logs_text;
pub use memory::InMemoryExporter;
pub use metrics::metrics_text;
pub use telemetry::TestTelemetry;
pub use tree::tree;
