//! The bucket that a value belongs to, in a histogram with given boundaries.

/// The bucket of a value: how many bounds are below it.
#[inline]
pub(crate) fn bucket_of(bounds: &[f64], value: f64) -> usize {
    // Without branches up to a size at which halving wins.
    if bounds.len() <= 32 {
        bounds.iter().map(|bound| usize::from(*bound < value)).sum()
    } else {
        bounds.partition_point(|bound| *bound < value)
    }
}
