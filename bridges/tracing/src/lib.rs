//! A layer.
mod data;
mod event_fields;
mod events;
mod fields;
mod filter;
mod layer;
mod metrics;
mod options;
mod sites;
mod span_ext;
mod stack;

pub use filter::BridgeFilter;
pub use layer::Bridge;
pub use metrics::{MetricsBridge, MetricsFilter, MetricsLayer, metrics_layer};
pub use options::{LayerBuilder, TelemarkLayer, builder, layer};
pub use span_ext::{OpenTelemetrySpanExt, SetParentError};
