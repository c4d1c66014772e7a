//! Texts of the page.

pub(crate) mod line;
pub(crate) mod numbers;
