//! Streams and their series: how a measurement's attributes lead to a cell, and how cells become points.
//!
//! | file | owns |
//! |---|---|
//! | `stream` | one instrument as one reader sees it through one view |
//! | `store` | all series of a stream, up to the cardinality limit |
//! | `local`, `table` | the series each thread has recorded into, for lookup without a lock |
//! | `one`, `striped` | one series and its cells, one per recording thread |
//! | `observed` | the totals reported by callbacks |
//! | `points` | adding up a series' cells into points |

pub(crate) mod local;
mod observed;
mod one;
pub(crate) mod points;
mod store;
pub(crate) mod stream;
mod striped;
mod table;

#[cfg(all(test, loom))]
pub(crate) use one::Series;
#[cfg(all(test, loom))]
pub(crate) use store::{Harvest, Store};
pub(crate) use stream::{BoundSeries, Stream};
