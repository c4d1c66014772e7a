//! A bounded table of strings that live as long as the program, which saves copying them.
//!
//! Entries are never removed, so their strings are `&'static`. A peer can choose strings, so both the number of
//! entries and the length of each are bounded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{RwLock, TryLockResult};
use std::thread;

use crate::guard::free;

/// Interned strings, each with a value that is computed once.
///
/// Intended for a `static`: dropping a table leaks its strings.
///
/// ```
/// static NAMES: telemark_kit::Interner<usize> = telemark_kit::Interner::new(128, 64);
/// assert_eq!(NAMES.get("shop.example", str::len), Some(("shop.example", &12)));
/// ```
pub struct Interner<T: 'static> {
    max_entries: usize,
    max_bytes: usize,
    table: RwLock<Option<Table<T>>>,
}

type Table<T> = HashMap<&'static str, &'static T>;

impl<T> Interner<T> {
    /// Returns a table of at most `max_entries` strings of at most `max_bytes` bytes.
    pub const fn new(max_entries: usize, max_bytes: usize) -> Self {
        Interner { max_entries, max_bytes, table: RwLock::new(None) }
    }

    /// Returns the interned string and its value, or `None` if the string is too long or the table is full. Also returns
    /// `None` if the lock of the table stays locked, as it may in a forked child.
    ///
    /// Calls `make` for a new string while holding the table's lock: it must neither block nor use the same table.
    pub fn get(&self, text: &str, make: impl FnOnce(&'static str) -> T) -> Option<(&'static str, &'static T)> {
        if text.len() > self.max_bytes {
            return None;
        }
        {
            let table = soon(|| self.table.try_read())?;
            if let Some(table) = table.as_ref() {
                match table.get_key_value(text) {
                    Some((text, value)) => return Some((text, value)),
                    None if table.len() >= self.max_entries => return None,
                    None => {}
                }
            }
        }
        self.add(text, make)
    }

    /// Returns an interned string and its value. Adds nothing.
    pub fn find(&self, text: &str) -> Option<(&'static str, &'static T)> {
        let table = soon(|| self.table.try_read())?;
        table.as_ref()?.get_key_value(text).map(|(text, value)| (*text, *value))
    }

    /// Returns all values. Returns none if the lock of the table stays locked, as it may in a forked child.
    pub fn values(&self) -> Vec<&'static T> {
        let table = soon(|| self.table.try_read());
        table.iter().flat_map(|table| table.iter()).flat_map(|table| table.values().copied()).collect()
    }

    #[cold]
    fn add(&self, text: &str, make: impl FnOnce(&'static str) -> T) -> Option<(&'static str, &'static T)> {
        let mut table = soon(|| self.table.try_write())?;
        let table = table.get_or_insert_default();
        // Another thread may have added the string, or taken the last free entry.
        match table.get_key_value(text) {
            Some((text, value)) => Some((text, value)),
            None if table.len() >= self.max_entries => None,
            None => {
                let text: &'static str = Box::leak(Box::from(text));
                let value: &'static T = Box::leak(Box::new(make(text)));
                table.insert(text, value);
                Some((text, value))
            }
        }
    }
}

/// Returns the guard of a lock that is held for moments only. Ignores poisoning. Returns `None` if the lock stays locked: a
/// process may fork while another thread holds the lock, and that thread does not exist in the child.
#[inline]
fn soon<G>(attempt: impl Fn() -> TryLockResult<G>) -> Option<G> {
    /// With each attempt, another thread may run. A holder needs no more than one turn.
    const ATTEMPTS: usize = 1000;
    for _ in 0..ATTEMPTS {
        if let Some(guard) = free(attempt()) {
            return Some(guard);
        }
        thread::yield_now();
    }
    None
}

impl<T> fmt::Debug for Interner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interner { max_entries, max_bytes, .. } = self;
        write!(f, "Interner(at most {max_entries} texts of {max_bytes} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_their_lengths_are_bounded() {
        let interner = Interner::new(3, 5);
        let check = |text: &str, expected: Option<usize>| {
            for _ in 0..2 {
                let kept = interner.get(text, str::len);
                assert_eq!(kept, expected.as_ref().map(|length| (text, length)), "{text}");
            }
        };
        check("a", Some(1));
        check("12345", Some(5));
        check("123456", None);
        check("", Some(0));
        check("late", None);
        check("a", Some(1));
        let (first, again) = (interner.get("a", str::len), interner.get("a", |_| unreachable!()));
        assert!(std::ptr::eq(first.unwrap().0, again.unwrap().0));
        let mut values = interner.values();
        values.sort_unstable();
        assert_eq!(values, [&0, &1, &5]);
    }

    #[test]
    fn a_lock_that_stays_locked_is_given_up() {
        let interner = Interner::new(64, 8);
        assert!(interner.get("known", str::len).is_some());
        let reading = interner.table.read().unwrap();
        assert_eq!(interner.get("known", str::len), Some(("known", &5)));
        assert_eq!(interner.get("new", str::len), None);
        drop(reading);
        let writing = interner.table.write().unwrap();
        assert_eq!((interner.get("known", str::len), interner.find("known")), (None, None));
        assert!(interner.values().is_empty());
        drop(writing);
        assert!(interner.get("new", str::len).is_some());
    }

    #[test]
    fn threads_that_add_at_once_share_an_entry() {
        let interner: Interner<()> = Interner::new(64, 8);
        let seen = std::sync::Mutex::new(HashMap::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..100 {
                        if let Some((text, _)) = interner.get(&number.to_string(), |_| ()) {
                            let mut seen = seen.lock().unwrap();
                            assert!(std::ptr::eq(*seen.entry(number).or_insert(text), text));
                        }
                    }
                });
            }
        });
        assert_eq!(seen.into_inner().unwrap().len(), 64);
    }
}
