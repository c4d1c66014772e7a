//! The record of a span: while it is built, as it waits, and as an exporter sees it.
//!
//! | file | owns |
//! |---|---|
//! | `data` | [`SpanData`] with its [`SpanRecord`]: the span that is being built, which processors see |
//! | `stock` | the records of a thread that wait for their next span |
//! | `size` | the bytes that a span takes |
//! | `chunk` | [`SpanChunk`]: ended spans end to end in memory |
//! | `view` | [`SpanView`]: an ended span of a chunk, borrowed |

mod chunk;
mod data;
mod size;
mod stock;
mod view;

pub use chunk::SpanChunk;
pub use data::{Bounded, Events, Links, SpanData, SpanEvent, SpanRecord};
pub(super) use size::size;
pub use view::SpanView;
