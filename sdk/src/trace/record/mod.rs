//! The record of a span: while it is built, as it waits, and as an exporter sees it.
//!
//! | file | owns |
//! |---|---|
//! | `data` | [`SpanData`] with its [`SpanRecord`]: the span that is being built, which processors see |
//! | `pool` | the records that wait for their next span |
//! | `chunk` | [`SpanChunk`]: ended spans end to end in memory |
//! | `view` | [`SpanView`]: an ended span of a chunk, borrowed |

mod chunk;
mod data;
mod pool;
mod view;

pub use chunk::SpanChunk;
pub use data::{Bounded, Events, Links, SpanData, SpanEvent, SpanRecord};
pub use view::SpanView;
