//! Queries that a reader types into the viewer, or that a link contains.

/// Every text is parsed, or has an error that points to one of its characters. In quotes, every text stands for itself.
pub(crate) fn query(input: &[u8]) {
    telemark_viewer::fuzzing::query(&String::from_utf8_lossy(input));
}
