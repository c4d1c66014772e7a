//! Traces: provider, tracer, span, processors and the data of a finished span.

mod call_site;
mod data;
mod scope;

pub use call_site::CallSite;
pub use data::{Events, Links, SpanData, SpanEvent};
pub use scope::Scope;

use crate::signal::{Signal, Traces};

impl Signal for Traces {
    type Item = SpanData;
    const NAME: &'static str = "traces";
    const ITEMS: &'static str = "spans";
}
