//! Writes numbers, quoted names, and attribute values.

pub(crate) mod numbers;
pub(crate) mod quoting;
pub(crate) mod value;
