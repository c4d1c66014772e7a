//! The tables of a store, and the room in them.

use super::one::Series;
use super::table::Table;
use crate::metrics::config::StreamConfig;
use crate::metrics::data::{Fingerprint, bytes};
use crate::sync::{Arc, Ordering};
use crate::time::Timestamp;

/// Number of bytes that the attributes of a series may take on average. The attributes themselves have no limits, and peers may
/// choose their values, so a stream is full if all of its series together exceed this.
///
/// spec: common/README.md#exempt-entities
const BYTES_OF_A_SERIES: usize = 4096;
/// Number of bytes that the attributes of a stream may take in any case.
const MIN_BYTES: usize = 1 << 20;

pub(super) struct Maps {
    /// Series of the current epoch.
    pub(super) current: Table,
    /// Number of bytes of the attributes of these series.
    pub(super) bytes: usize,
    /// The series among them that have expired, as the last collection has found them.
    pub(super) held: Held,
    /// Series of the previous epoch, revived when a thread looks them up. Used only by delta streams.
    pub(super) previous: Table,
    /// Evicted series that a thread may still hold.
    pub(super) retired: Vec<Arc<Series>>,
    pub(super) overflow: Option<Arc<Series>>,
    /// Time of the last collection or, before the first collection, of the stream's creation.
    pub(super) since: Timestamp,
}

/// Expired series that cannot be given up yet, because a thread or a bound instrument may still record into them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    series: usize,
    /// Number of bytes of their attributes.
    bytes: usize,
}

impl Held {
    pub(super) fn add(&mut self, series: &Series) {
        self.series += 1;
        self.bytes = self.bytes.saturating_add(bytes(&series.attributes));
    }

    pub(super) fn is_any(self) -> bool {
        self.series > 0
    }
}

/// Returns the number of bytes that the attributes of all series together may take.
pub(super) fn max_bytes(config: &StreamConfig) -> usize {
    config.limit.saturating_mul(BYTES_OF_A_SERIES).max(MIN_BYTES)
}

impl Maps {
    pub(super) fn new(created: Timestamp) -> Self {
        Maps {
            current: Table::default(),
            bytes: 0,
            held: Held::default(),
            previous: Table::default(),
            retired: Vec::new(),
            overflow: None,
            since: created,
        }
    }

    /// Returns true if the stream takes no further series. Expired series that a thread still holds take no place, unless there are as many
    /// of them as the limit.
    pub(super) fn is_full(&self, config: &StreamConfig) -> bool {
        let is_over = |used: usize, held: usize, max: usize| {
            // What has expired may come back as long as it is held, so that there is an end to its room as well.
            used.saturating_sub(held) >= max || used >= max.saturating_mul(2)
        };
        is_over(self.current.len(), self.held.series, config.limit)
            || is_over(self.bytes, self.held.bytes, max_bytes(config))
    }

    /// Makes room for as many bytes as the attributes of these series take.
    pub(super) fn give_back(&mut self, gone: &[Arc<Series>]) {
        self.bytes = gone.iter().fold(self.bytes, |left, series| left.saturating_sub(bytes(&series.attributes)));
    }

    pub(super) fn insert(&mut self, place: u64, series: Arc<Series>) {
        self.bytes = self.bytes.saturating_add(bytes(&series.attributes));
        self.current.insert(place, series);
    }

    pub(super) fn find(
        &mut self,
        config: &StreamConfig,
        epoch: u64,
        fingerprint: Fingerprint,
        is_it: impl Fn(&Series) -> bool,
    ) -> Option<Arc<Series>> {
        if let Some(found) = self.current.find(fingerprint.place, &is_it) {
            return Some(found.clone());
        }
        if self.is_full(config) {
            return None;
        }
        let again = self.previous.find(fingerprint.place, &is_it)?.clone();
        again.epoch.store(epoch, Ordering::Relaxed);
        self.insert(fingerprint.place, again.clone());
        Some(again)
    }
}
