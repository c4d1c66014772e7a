//! It can grow and be cleared. Removing entries costs as much as building it anew.

use super::one::Series;
use crate::sync::Arc;

/// Uses open addressing and stays at most three quarters full to keep probes short.
#[derive(Default)]
pub(crate) struct Table {
    /// Either empty or a power of two in length.
    slots: Vec<Option<(u64, Arc<Series>)>>,
    len: usize,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the series with this hash for which `matches` returns true.
    #[inline]
    pub(crate) fn find(&self, hash: u64, matches: impl Fn(&Series) -> bool) -> Option<&Arc<Series>> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        while let Some((other, series)) = self.slots.get(at)? {
            if *other == hash && matches(series) {
                return Some(series);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Adds a series that the table does not contain yet.
    pub(crate) fn insert(&mut self, hash: u64, series: Arc<Series>) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.len += 1;
        self.place(hash, series);
    }

    fn place(&mut self, hash: u64, series: Arc<Series>) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].is_some() {
            at = (at + 1) & mask;
        }
        self.slots[at] = Some((hash, series));
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(8);
        let old = std::mem::take(&mut self.slots);
        self.slots.resize_with(size, || None);
        for (hash, series) in old.into_iter().flatten() {
            self.place(hash, series);
        }
    }

    /// Removes the series for which `is_removed` returns true, and returns them.
    pub(crate) fn extract(&mut self, mut is_removed: impl FnMut(&mut Arc<Series>) -> bool) -> Vec<Arc<Series>> {
        let mut removed = Vec::new();
        let old = std::mem::take(self);
        for (hash, mut series) in old.slots.into_iter().flatten() {
            match is_removed(&mut series) {
                true => removed.push(series),
                false => self.insert(hash, series),
            }
        }
        removed
    }

    /// Iterates over the hashes and their series.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(u64, Arc<Series>)> {
        self.slots.iter().flatten()
    }

    pub(crate) fn series(&self) -> impl Iterator<Item = Arc<Series>> {
        self.iter().map(|(_, series)| series.clone())
    }

    pub(crate) fn into_series(self) -> impl Iterator<Item = Arc<Series>> {
        self.slots.into_iter().flatten().map(|(_, series)| series)
    }
}
