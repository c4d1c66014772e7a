//! Owned telemetry, as the store holds it. No behaviour except for its size in bytes.

pub(crate) mod cut;
mod id;
mod interner;
mod metric;
mod record;
mod size;
mod span;
mod value;

pub use id::{InvalidId, SpanId, TraceId};
pub use interner::Interner;
pub use metric::{Exemplar, Metric, MetricKind, Point, PointData, Temporality};
pub use record::Record;
pub(crate) use size::Size;
pub use span::{Dropped, Event, Kind, Link, Resource, Scope, Span, Status};
pub use value::{Attribute, Text, Value};
