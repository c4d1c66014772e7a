//! Streams and their series: how a measurement's attributes lead to a cell, and how cells become points.
//!
//! | file | owns |
//! |---|---|
//! | `stream` | one instrument as one reader sees it through one view |
//! | `store` | all series of a stream, limited in number |
//! | `local`, `table` | the series that each thread has recorded into, for lookup without a lock |
//! | `known_lists` | the attribute lists that each thread passes repeatedly, to skip computing their fingerprints |
//! | `maps` | the tables of a store, and the room in them |
//! | `idle` | which series nothing records into any more |
//! | `one`, `striped` | one series and its cells, one per recording thread |
//! | `observed` | the totals reported by callbacks |
//! | `points` | combines the cells of each series into a point |

mod idle;
mod known_lists;
pub(crate) mod local;
mod maps;
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
pub(crate) use stream::{BoundSeries, Cardinality, Stream};
