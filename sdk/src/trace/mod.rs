//! Traces: the provider, the tracer, the span, processors, and the data of a finished span.

pub mod active;
mod attention;
pub(crate) mod bridged;
mod call_site;
mod decisions;
pub(crate) mod exceptions;
mod failure;
mod in_context;
mod processor;
mod provider;
mod record;
mod span;
mod tracer;

pub use crate::instrumentation_scope::Scope;
pub use attention::Attention;
pub use call_site::{CallSite, Fields};
pub(crate) use decisions::Glance;
pub use decisions::TracerConfig;
pub(crate) use decisions::{Asks, Tail};
pub use exceptions::ExceptionSignal;
#[doc(hidden)]
pub use failure::record_error_beside;
pub(crate) use failure::{Failure, Source};
pub use processor::SpanProcessor;
pub(crate) use processor::{SpanRate, staged};
pub use provider::{SdkTracerProvider, TracerProviderBuilder};
pub use record::{Bounded, Events, Links, SpanChunk, SpanData, SpanEvent, SpanRecord, SpanView};
pub use span::{END_NOW, SdkSpan};
pub(crate) use span::{is_ending, is_recording};
pub(crate) use tracer::Started;
pub use tracer::{SdkTracer, TracedSpan};

use crate::signal::{Signal, Traces};

impl Signal for Traces {
    type Item = SpanData;
    type View<'a> = SpanView<'a>;
    type Chunk = SpanChunk;
    const NAME: &'static str = "traces";
    const ITEMS: &'static str = "spans";
    const QUEUE_VARIABLES: [&'static str; 2] = ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_RUST_BSP_MAX_QUEUE_BYTES"];
    const OWNED_SIZE: usize = size_of::<SpanRecord>();

    fn to_item(view: SpanView<'_>) -> SpanData {
        view.into()
    }

    #[inline]
    fn size(span: &SpanData) -> usize {
        record::size(span)
    }
}
