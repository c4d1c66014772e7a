//! The code that rules put around calls and in the places of paths. No program depends on it.

/// Says what a call has returned.
pub fn observed(count: usize) -> usize {
    eprintln!("observed {count}");
    count
}

/// Returns another text than the original.
pub fn version() -> String {
    "a version in place of the original".to_owned()
}
