//! Traces: provider, tracer, span, processors and the data of a finished span.

pub mod active;
pub(crate) mod bridged;
mod call_site;
mod data;
mod failure;
mod pool;
mod processor;
mod provider;
mod scope;
mod span;
mod tracer;

pub use call_site::CallSite;
pub use data::{Bounded, Events, Links, SpanData, SpanEvent, SpanRecord};
#[doc(hidden)]
pub use failure::record_error_beside;
pub(crate) use failure::{Failure, Source};
pub use processor::SpanProcessor;
pub use provider::{SdkTracerProvider, TracerProviderBuilder};
pub use scope::Scope;
pub use span::{END_NOW, SdkSpan};
pub(crate) use tracer::{Glance, Started};
pub use tracer::{SdkTracer, TracedSpan};

use crate::signal::{Signal, Traces};

impl Signal for Traces {
    type Item = SpanData;
    const NAME: &'static str = "traces";
    const ITEMS: &'static str = "spans";
}
