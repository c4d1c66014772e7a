//! Writes a collection as a page.
//!
//! | file | owns |
//! |---|---|
//! | `writer` | the structure of a page: each family's metadata, then its samples, in parts |
//! | `families` | metrics that share a name, and conflicts of names and types |
//! | `merge` | merging series with equal labels |
//! | `scope_labels` | labels shared by all series of a scope |
//! | `labels` | the labels of a series, from its attributes |
//! | `sample` | the name at the start of a line |
//! | `histogram` | the lines of a histogram |
//! | `bounds` | bucket bounds as text |
//! | `exponential` | conversion of exponential histograms to explicit bounds |
//! | `exemplars` | the exemplar at the end of a line |

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
