//! What tests need: exporters that keep what they are given, a clock and ids that are set by hand, spans as text.
//!
//! ```
//! use opentelemetry::trace::{Tracer, TraceContextExt};
//! use telemark_sdk::testing::TestTelemetry;
//!
//! let telemetry = TestTelemetry::new();
//! let _attached = telemetry.attach();
//! telemetry.tracer("shop").in_span("checkout", |cx| cx.span().set_attribute(opentelemetry::KeyValue::new("items", 3)));
//! assert_eq!(telemetry.tree(), "checkout items=3\n");
//! ```

mod clock;
mod ids;
mod memory;
mod telemetry;
mod tree;

pub use clock::ManualClock;
pub use ids::SequentialIds;
pub use memory::InMemoryExporter;
pub use telemetry::TestTelemetry;
pub use tree::tree;
