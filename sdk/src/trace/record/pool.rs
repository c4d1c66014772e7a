//! The pool of span records: a new span reuses the record of an exported one, with its attribute list.
//!
//! Each thread keeps a few records. The worker, which finishes them, returns them to the other threads in stacks, so that
//! threads that create spans neither allocate nor contend for the allocator with the thread that frees.

use std::cell::RefCell;
use std::sync::Mutex;

use super::data::SpanRecord;
use crate::sync::unpoisoned;

/// Number of records in a stack, which a thread keeps and threads exchange.
const STACK: usize = 32;
/// Maximum number of waiting stacks; further ones are freed. 4096 records: twice the default queue.
const STACKS: usize = 128;

type Stack = Vec<Box<SpanRecord>>;

#[derive(Default)]
struct Depot {
    full: Vec<Stack>,
    empty: Vec<Stack>,
}

static DEPOT: Mutex<Depot> = Mutex::new(Depot { full: Vec::new(), empty: Vec::new() });

thread_local! {
    static LOCAL: RefCell<Stack> = const { RefCell::new(Vec::new()) };
}

/// Takes a record that owns nothing but the memory of its attribute list, or a new one.
#[inline]
pub(super) fn take() -> Box<SpanRecord> {
    // At the end of a thread, its stack may be gone already.
    let reused = LOCAL.try_with(|local| {
        let mut local = local.borrow_mut();
        local.pop().or_else(|| {
            refill(&mut local);
            local.pop()
        })
    });
    reused.ok().flatten().unwrap_or_default()
}

/// Returns a record to the pool.
#[inline]
pub(super) fn give_back(mut record: Box<SpanRecord>) {
    record.release();
    // Without its stack the thread frees the record.
    let _ = LOCAL.try_with(|local| {
        let mut local = local.borrow_mut();
        if local.len() == STACK {
            hand_over(&mut local);
        }
        local.push(record);
    });
}

#[cold]
fn refill(local: &mut Stack) {
    let mut depot = unpoisoned(DEPOT.lock());
    if let Some(full) = depot.full.pop() {
        let empty = std::mem::replace(local, full);
        depot.empty.push(empty);
    }
}

#[cold]
fn hand_over(local: &mut Stack) {
    let mut depot = unpoisoned(DEPOT.lock());
    let empty = depot.empty.pop().unwrap_or_else(|| Vec::with_capacity(STACK));
    let full = std::mem::replace(local, empty);
    let surplus = if depot.full.len() < STACKS {
        depot.full.push(full);
        None
    } else {
        Some(full)
    };
    // Freed outside of the lock.
    drop(depot);
    drop(surplus);
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::KeyValue;

    #[test]
    fn a_record_comes_back_with_nothing_but_its_memory() {
        let mut record = take();
        record.own_attributes.extend((0..4).map(|n| KeyValue::new("key", n)));
        record.name = String::from("used").into();
        let memory = record.own_attributes.as_ptr();
        give_back(record);
        let again = take();
        assert_eq!((again.own_attributes.len(), &*again.name), (0, ""));
        assert_eq!(again.own_attributes.as_ptr(), memory);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test of two threads")]
    fn what_one_thread_gives_back_another_takes() {
        let records: Vec<_> = (0..3 * STACK).map(|_| take()).collect();
        let mut given: Vec<_> = records.iter().map(|record| std::ptr::from_ref(&**record) as usize).collect();
        std::thread::spawn(move || records.into_iter().for_each(give_back)).join().unwrap();
        let mut taken: Vec<_> = (0..STACK).map(|_| std::ptr::from_ref(&*take()) as usize).collect();
        given.sort_unstable();
        taken.sort_unstable();
        assert!(taken.iter().any(|record| given.binary_search(record).is_ok()));
    }

    #[test]
    fn a_large_attribute_list_is_not_kept() {
        let mut record = take();
        record.own_attributes.reserve(10_000);
        give_back(record);
        assert!(take().own_attributes.capacity() < 1000);
    }
}
