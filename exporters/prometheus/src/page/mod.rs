//! The page of a collection, from families down to buckets and exemplars.

mod buckets;
mod exemplars;
mod families;
mod labels;
mod merge;
mod sample;
mod scope_labels;
mod writer;

pub(crate) use writer::{Chunks, write};
