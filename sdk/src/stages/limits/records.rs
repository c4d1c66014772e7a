//! The stage that limits log records.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::batch::{Stage, Verdict};
use crate::diag::LimitCounts;
use crate::logs::SdkLogRecord;
use crate::signal::Logs;

/// Cuts records that are too large.
pub(super) struct RecordLimits {
    pub(super) max_bytes: usize,
    pub(super) counts: Arc<LimitCounts>,
}

impl Stage<Logs> for RecordLimits {
    fn process(&mut self, record: &mut SdkLogRecord) -> Verdict {
        if record.shrink(self.max_bytes) {
            self.counts.cut_records.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Keep
    }
}
