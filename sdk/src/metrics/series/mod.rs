//! Streams and their series: from the attributes of a measurement to the cell it goes into, and back out as points.
//!
//! | file | owns |
//! |---|---|
//! | `stream` | one instrument as one reader sees it through one view |
//! | `store` | all series of a stream, up to the cardinality limit |
//! | `local`, `table` | the series each thread has recorded into, found without a lock |
//! | `one`, `striped` | one series and its cells, one for each thread that records |
//! | `observed` | the totals that callbacks report |
//! | `points` | the cells of a series added up |

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
