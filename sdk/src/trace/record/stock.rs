//! A thread's stock of records that are ready for reuse, together with their attribute lists.
//!
//! A record never leaves the thread on which its span ends. The record that was used last is reused first, because it
//! is still in the CPU's cache. A thread keeps as many records as it has had spans open at the same time, up to 32.

use std::cell::RefCell;

use super::SpanRecord;

/// Maximum number of records in a stock.
const RECORDS: usize = 32;
/// Maximum capacity of an attribute list that is kept for reuse.
const ATTRIBUTES: usize = 32;

#[allow(clippy::vec_box, reason = "a span holds its record by the box")]
type Stock = Vec<Box<SpanRecord>>;

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Vec::new()) };
}

/// Takes a record from the stock, or creates a new record. The record owns nothing but the memory of its attribute
/// list.
#[inline]
pub(super) fn take() -> Box<SpanRecord> {
    // When the thread is ending, its stock may already have been destroyed.
    let known = STOCK.try_with(|stock| stock.try_borrow_mut().ok()?.pop());
    known.ok().flatten().unwrap_or_else(fresh)
}

/// Allocates a record.
#[cold]
#[inline(never)]
pub(super) fn fresh() -> Box<SpanRecord> {
    Box::default()
}

/// Returns a record to the stock. The record's fields must have been moved out, so that it owns nothing but the memory
/// of its attribute list.
#[inline]
pub(super) fn give_back(mut record: Box<SpanRecord>) {
    if record.own_attributes.capacity() > ATTRIBUTES {
        record.own_attributes = Vec::new();
    }
    // If the stock has been destroyed, this frees the record.
    let _ = STOCK.try_with(|stock| {
        if let Ok(mut stock) = stock.try_borrow_mut() {
            if stock.len() < RECORDS {
                stock.push(record);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::KeyValue;

    #[test]
    fn the_last_record_comes_first_with_its_memory() {
        let mut records = [take(), take()];
        records[0].own_attributes.extend((0..4).map(|n| KeyValue::new("key", n)));
        records[0].own_attributes.clear();
        let memory = records[0].own_attributes.as_ptr();
        let [first, second] = records;
        give_back(second);
        give_back(first);
        assert_eq!(take().own_attributes.as_ptr(), memory);
    }

    #[test]
    fn a_large_attribute_list_is_not_kept() {
        let mut record = take();
        record.own_attributes.reserve(10_000);
        give_back(record);
        assert!(take().own_attributes.capacity() < 1000);
    }

    #[test]
    fn a_thread_keeps_a_bounded_number_of_records() {
        let records: Vec<_> = (0..10 * RECORDS).map(|_| take()).collect();
        records.into_iter().for_each(give_back);
        assert_eq!(STOCK.with_borrow(Vec::len), RECORDS);
    }
}
