//! Finds the histogram bucket for a value.

/// Returns the index of the bucket for a value, which is the number of bounds below the value.
#[inline]
pub(crate) fn bucket_of(bounds: &[f64], value: f64) -> usize {
    // Branchless up to the size at which binary search becomes faster.
    if bounds.len() <= 32 {
        bounds.iter().map(|bound| usize::from(*bound < value)).sum()
    } else {
        bounds.partition_point(|bound| *bound < value)
    }
}
