//! The signals. [`Exporter`](crate::Exporter), batches, queues and pipelines are generic over them.

/// A kind of telemetry. Sealed, because the specification defines a fixed set.
pub trait Signal: sealed::Sealed + Send + Sync + 'static {
    /// A finished item, such as a span for traces.
    type Item: Send + 'static;
    /// The name used in thread names, diagnostics and paths, such as `traces`.
    const NAME: &'static str;
    /// The word for items in messages, such as `spans`.
    const ITEMS: &'static str;
}

/// The traces signal; its items are [`SpanData`](crate::trace::SpanData).
#[derive(Debug, Clone, Copy)]
pub enum Traces {}

/// The metrics signal; its items are [`ScopeMetrics`](crate::metrics::ScopeMetrics).
#[derive(Debug, Clone, Copy)]
pub enum Metrics {}

pub(crate) mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Traces {}
impl sealed::Sealed for Metrics {}
