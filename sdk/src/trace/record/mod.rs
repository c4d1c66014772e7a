//! The data of a span: while it is built, while it waits for export, and as passed to an exporter.
//!
//! | file | owns |
//! |---|---|
//! | `data` | [`SpanData`] with its [`SpanRecord`]: the span while it is built, as passed to processors |
//! | `stock` | records kept for the next spans of a thread |
//! | `size` | the size of a span in bytes |
//! | `chunk` | [`SpanChunk`]: ended spans in contiguous memory |
//! | `view` | [`SpanView`]: an ended span, borrowed from a chunk |

mod chunk;
mod data;
mod size;
mod stock;
mod view;

pub use chunk::SpanChunk;
pub use data::{Bounded, Events, Links, SpanData, SpanEvent, SpanRecord};
pub(super) use size::size;
pub use view::SpanView;
