//! The bucket that a value belongs to, in a histogram with given boundaries.

/// Returns the bucket of a value: the number of bounds below it.
#[inline]
pub(crate) fn bucket_of(bounds: &[f64], value: f64) -> usize {
    // Branchless up to the size at which binary search wins.
    if bounds.len() <= 32 {
        bounds.iter().map(|bound| usize::from(*bound < value)).sum()
    } else {
        bounds.partition_point(|bound| *bound < value)
    }
}
