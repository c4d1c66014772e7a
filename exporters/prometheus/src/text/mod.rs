//! Text of the page: numbers, quoted names, and values of attributes.

pub(crate) mod numbers;
pub(crate) mod quoting;
pub(crate) mod value;
