//! The counts of versions of the configuration file that came while the program ran.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many versions were applied and how many were refused.
#[derive(Debug, Default)]
pub(crate) struct ReloadCounts {
    applied: AtomicU64,
    refused: AtomicU64,
}

impl ReloadCounts {
    pub(crate) fn apply(&self) {
        self.applied.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
