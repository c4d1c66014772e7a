//! Emitted records as they wait for their export, and the bytes that a record takes.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use opentelemetry::Key;
use opentelemetry::logs::AnyValue;

use super::SdkLogRecord;
use crate::attributes::{heap, list};
use crate::signal::{Chunk, Logs};

/// The usual maximum number of records in a chunk.
const RECORDS: usize = 64;

/// The number of records for which a chunk without memory has room at first.
const FIRST: usize = 8;

/// The largest list of attributes that is kept for another record.
const MAX_LIST: usize = 8;

type Attributes = Vec<(Key, AnyValue)>;

thread_local! {
    /// An empty list for the next record of this thread. Lists travel from the worker back to the threads that emit, because
    /// freeing memory on another thread than the one that allocated it is slow.
    static NEXT: Cell<Attributes> = const { Cell::new(Vec::new()) };
}

/// Returns an empty list for the attributes of a record.
#[inline]
pub(super) fn new_list() -> Attributes {
    NEXT.try_with(Cell::take).unwrap_or_default()
}

/// Emitted records, end to end in memory. Collected from [`SdkLogRecord`].
#[derive(Debug, Default)]
pub struct LogChunk {
    records: Vec<SdkLogRecord>,
    /// The bytes that the records own outside of the list.
    owned: usize,
    /// Empty lists of exported records, for records to come. [`push`](Chunk::push) passes one to its thread.
    lists: Vec<Attributes>,
}

impl LogChunk {
    /// Makes room for another record. Grows in few steps, because each step copies the records.
    #[cold]
    fn grow(&mut self) {
        match self.records.capacity() {
            0 => self.records.reserve_exact(FIRST),
            places if places < RECORDS => self.records.reserve_exact(RECORDS - places),
            _ => self.records.reserve(1),
        }
    }
}

impl Chunk<Logs> for LogChunk {
    #[inline]
    fn len(&self) -> usize {
        self.records.len()
    }

    #[inline]
    fn views(&self, range: Range<usize>) -> impl Iterator<Item = &SdkLogRecord> + Clone {
        let end = range.end.min(self.records.len());
        self.records.get(range.start..end).unwrap_or_default().iter()
    }

    // Inlined, it would copy the record more often on its way into the list.
    #[inline(never)]
    fn push(&mut self, record: SdkLogRecord, size: usize) {
        self.owned += size.saturating_sub(size_of::<SdkLogRecord>());
        if self.records.len() == self.records.capacity() {
            self.grow();
        }
        self.records.push(record);
        if let Some(list) = self.lists.pop() {
            // At the end of a thread, the list is dropped.
            let _ = NEXT.try_with(|next| next.set(list));
        }
    }

    fn make_room(&mut self, _: &SdkLogRecord) {
        let records = &mut self.records;
        if records.len() == records.capacity() {
            records.reserve_exact((records.len() / 2).max(1));
        }
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.records.len() >= RECORDS
    }

    fn bytes(&self) -> usize {
        let lists: usize = self.lists.iter().map(|own| list::<(Key, AnyValue)>(own.capacity())).sum();
        self.records.capacity() * size_of::<SdkLogRecord>() + self.owned + lists
    }

    fn drain(&mut self) -> impl Iterator<Item = SdkLogRecord> {
        self.owned = 0;
        self.records.drain(..)
    }

    fn clear(&mut self) {
        for mut record in self.records.drain(..) {
            let mut list = std::mem::take(&mut record.attributes);
            if (1..=MAX_LIST).contains(&list.capacity()) && self.lists.len() < RECORDS {
                list.clear();
                self.lists.push(list);
            }
        }
        self.owned = 0;
        if self.records.capacity() > 2 * RECORDS {
            self.records = Vec::new();
        }
    }
}

impl FromIterator<SdkLogRecord> for LogChunk {
    fn from_iter<I: IntoIterator<Item = SdkLogRecord>>(records: I) -> Self {
        let mut chunk = LogChunk::default();
        for record in records {
            let size = size(&record);
            chunk.push(record, size);
        }
        chunk
    }
}

/// Returns the bytes of a record in a chunk, with all that it owns. A key or a value does not tell if its string is static, so
/// every string counts as an allocation of its own.
pub(super) fn size(record: &SdkLogRecord) -> usize {
    let texts = [&record.severity_text, &record.event_name, &record.target];
    let texts: usize = texts.into_iter().map(text).sum();
    let attributes: usize = record.attributes.iter().map(|(key, own)| heap(key.as_str().len()) + value(own)).sum();
    size_of::<SdkLogRecord>()
        + texts
        + record.body.as_ref().map_or(0, value)
        + list::<(Key, AnyValue)>(record.attributes.capacity())
        + attributes
}

#[inline]
fn text(text: &Option<Cow<'static, str>>) -> usize {
    match text {
        Some(Cow::Owned(text)) => heap(text.capacity()),
        _ => 0,
    }
}

/// Returns the bytes that a value owns. Values nest at most as deep as the limits allow.
#[inline]
pub(super) fn value(own: &AnyValue) -> usize {
    match own {
        AnyValue::Int(_) | AnyValue::Double(_) | AnyValue::Boolean(_) => 0,
        AnyValue::String(text) => heap(text.as_str().len()),
        _ => compound(own),
    }
}

/// Returns the bytes that a list, a map or bytes own.
fn compound(own: &AnyValue) -> usize {
    match own {
        AnyValue::Bytes(bytes) => heap(size_of::<Vec<u8>>()) + list::<u8>(bytes.capacity()),
        AnyValue::ListAny(values) => {
            let values_own: usize = values.iter().map(value).sum();
            heap(size_of::<Vec<AnyValue>>()) + list::<AnyValue>(values.capacity()) + values_own
        }
        AnyValue::Map(map) => {
            let fields: usize = map.iter().map(|(key, own)| heap(key.as_str().len()) + value(own)).sum();
            // A table has up to twice the places that it says, and a byte for each.
            let places = map.capacity().saturating_mul(2);
            heap(places) + heap(128) + list::<(Key, AnyValue)>(places) + fields
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::LogRecord;

    use super::*;

    /// Checks that `change` adds about `expected` bytes to the size of a record.
    fn check(expected: usize, change: impl FnOnce(&mut SdkLogRecord)) {
        let mut changed = SdkLogRecord::default();
        change(&mut changed);
        let added = size(&changed) - size(&SdkLogRecord::default());
        assert!((expected..expected + expected / 2 + 1000).contains(&added), "{added} instead of about {expected}");
    }

    #[test]
    fn everything_that_a_record_owns_counts() {
        let big = || "x".repeat(100_000);
        check(0, |_| {});
        check(100_000, |record| record.set_body(big().into()));
        check(100_000, |record| record.set_owned_event_name(big()));
        check(100_000, |record| record.set_owned_severity_text(big()));
        check(100_000, |record| record.set_target(big()));
        check(200_000, |record| record.add_attribute(big(), big()));
        check(100_000, |record| record.set_body(AnyValue::from(big().as_bytes())));
        check(100_000, |record| record.set_body(AnyValue::from_iter([AnyValue::from_iter([big()])])));
        check(200_000, |record| record.set_body(AnyValue::from_iter([(big(), big())])));
    }

    #[test]
    fn lists_of_exported_records_are_used_again_and_bounded() {
        let with = |attributes: usize| {
            let mut record = SdkLogRecord::default();
            (0..attributes).for_each(|n| record.add_attribute(format!("key {n}"), 1));
            record
        };
        let mut chunk: LogChunk = (0..1000).map(|n| with(if n % 2 == 0 { 3 } else { 100 })).collect();
        chunk.clear();
        assert!((chunk.lists.len(), chunk.len()) == (RECORDS, 0) && chunk.lists.iter().all(Vec::is_empty));
        assert!((1..RECORDS * (MAX_LIST * 64 + 32)).contains(&chunk.bytes()), "{}", chunk.bytes());
        drop(new_list());
        chunk.push(with(0), 0);
        assert_eq!(chunk.lists.len(), RECORDS - 1);
        assert!(SdkLogRecord::default().attributes.capacity() >= 3, "the next record has the list");
        assert_eq!(SdkLogRecord::default().attributes.capacity(), 0);
    }

    #[test]
    fn a_chunk_counts_its_records_and_shrinks_when_it_is_cleared() {
        let record = || {
            let mut record = SdkLogRecord::default();
            record.set_body("x".repeat(1000).into());
            record
        };
        let mut chunk: LogChunk = std::iter::repeat_with(record).take(1000).collect();
        assert!(chunk.is_full() && chunk.bytes() > 1_000_000);
        assert_eq!(chunk.views(990..2000).count(), 10);
        chunk.clear();
        assert_eq!((chunk.len(), chunk.bytes()), (0, 0));
    }
}
