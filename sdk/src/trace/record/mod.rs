//! A span's record: as the span is built, as it waits for export, and as an exporter sees it.
//!
//! | file | owns |
//! |---|---|
//! | `data` | [`SpanData`] with its [`SpanRecord`]: a span that is being built, in the form in which processors see it |
//! | `stock` | each thread's records that are ready for reuse |
//! | `size` | the number of bytes that a span occupies |
//! | `shrink` | makes a span fit into a number of bytes |
//! | `chunk` | [`SpanChunk`]: ended spans, stored contiguously in memory |
//! | `view` | [`SpanView`]: an ended span, borrowed from a chunk |

mod chunk;
mod data;
mod shrink;
mod size;
mod stock;
mod view;

pub use chunk::SpanChunk;
pub use data::{Bounded, Events, Links, SpanData, SpanEvent, SpanRecord};
pub(super) use size::size;
pub use view::SpanView;
