//! The count of emitted log records, striped by thread so that the hot path shares no cache line.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::thread_index;

/// Number of stripes. Threads beyond it share them.
const STRIPES: usize = 64;

/// The number of records given to the enabled loggers of one provider; `otel.sdk.log.created`.
#[derive(Debug)]
pub(crate) struct LogCount([Stripe; STRIPES]);

/// Aligned so that two threads never write to the same cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

impl LogCount {
    pub(crate) fn new() -> Self {
        LogCount(std::array::from_fn(|_| Stripe::default()))
    }

    #[inline]
    pub(crate) fn add(&self) {
        self.0[thread_index() % STRIPES].0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the total.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}
