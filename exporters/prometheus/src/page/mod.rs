//! The page of a collection.
//!
//! | file | owns |
//! |---|---|
//! | `writer` | the order of a page: metadata, then the samples of each family, in parts |
//! | `families` | metrics that share a name, and conflicts of names and types |
//! | `merge` | series of one metric whose labels are equal |
//! | `scope_labels` | labels that all series of a scope share |
//! | `labels` | labels of a series, from its attributes |
//! | `sample` | the name at the start of a line |
//! | `histogram` | the lines of a histogram |
//! | `bounds` | bounds of buckets as text |
//! | `exponential` | exponential histograms as buckets with bounds |
//! | `exemplars` | exemplars at the end of a line |

mod bounds;
mod exemplars;
mod exponential;
mod families;
mod histogram;
mod labels;
mod merge;
mod sample;
mod scope_labels;
mod writer;

pub(crate) use writer::{Chunks, write};
