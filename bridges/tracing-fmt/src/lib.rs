//! Log lines of `tracing` that carry the ids of the current OpenTelemetry span: JSON, flat JSON, ECS and text.
//!
//! ```
//! use telemark_tracing_fmt::{Format, LineLayer};
//! use tracing_subscriber::prelude::*;
//!
//! let subscriber = tracing_subscriber::registry().with(LineLayer::new(Format::Json));
//! tracing::subscriber::with_default(subscriber, || {
//!     tracing::info!(order.id = 7, "order placed");
//! });
//! ```
mod fields;
mod format;
mod install;
mod layer;
mod line;
mod output;
mod render;
mod resource;
mod time;
mod value;

pub use format::Format;
pub use install::{filter, init, init_with, install, subscriber, subscriber_with};
pub use layer::LineLayer;
pub use output::{Standard, StandardStream, dropped_lines};
