//! The signals, over which an [`Exporter`](crate::Exporter), a batch, a queue and a pipeline are generic.

/// A kind of telemetry. Sealed: the specification has a fixed list.
pub trait Signal: sealed::Sealed + Send + Sync + 'static {
    /// A finished item: for traces, a span.
    type Item: Send + 'static;
    /// The name in thread names, diagnostics and paths: `traces`.
    const NAME: &'static str;
    /// The word for items in messages: `spans`.
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
