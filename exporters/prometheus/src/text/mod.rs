//! Text of the page: numbers, quoted names and values, and lines that share a start.

pub(crate) mod line;
pub(crate) mod numbers;
pub(crate) mod quoting;
pub(crate) mod value;
