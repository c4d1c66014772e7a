//! The fingerprints of attribute lists that a thread passes repeatedly from the same address, such as a `static` array
//! or a list that an integration keeps.
//!
//! Comparing a list with a copy is much cheaper than computing its fingerprint, because two strings with the same
//! address and length are equal without a look at their bytes, and copies of static and shared strings keep their
//! address. The address of a list only selects an entry: a hit always compares the whole list, so a list that has taken
//! the address of another is never mistaken for it. The result is a fingerprint and not a series, so everything that
//! depends on the stream (its view, its epoch, its limit) is decided as for any other measurement.

use std::cell::Cell;

use opentelemetry::{KeyValue, Value};

use crate::metrics::config::{AttributeFilter, StreamConfig};
use crate::metrics::data::{Fingerprint, Secrets, is_same_value};

/// Number of lists that a thread knows at most, a power of two.
const ENTRIES: usize = 64;
/// Longer lists, and lists with more text, are not copied. Together with [`ENTRIES`], this bounds the memory of a thread.
const MAX_ATTRIBUTES: usize = 16;
const MAX_TEXT_BYTES: usize = 1024;
/// Number of failed comparisons in a row after which a list gives up its entry.
const MAX_FAILURES: u32 = 8;
/// Limits the number of consecutive sightings that an entry requires to 2 to this power.
const MAX_REPLACEMENTS: u32 = 8;

/// The lists that a thread has passed repeatedly, at most one for each of a few places.
#[derive(Default)]
pub(super) struct KnownLists {
    /// Empty until the thread has recorded into a series.
    entries: Box<[Entry]>,
    secrets: Option<&'static Secrets>,
}

#[derive(Default)]
struct Entry {
    /// The address from which the list is passed, or 0 if the entry is vacant.
    address: Cell<usize>,
    list: Option<Box<List>>,
    /// Number of comparisons that have failed since the last hit.
    failures: Cell<u32>,
    /// Number of times that the entry was given to a list. An entry that changes often requires more sightings, because
    /// copying a list costs as much as several fingerprints.
    replacements: u32,
    /// Identifies the last list that belongs to this entry and was not known.
    candidate: Cell<u64>,
    /// Number of times that the candidate was seen in a row, after the first time.
    sightings: Cell<u32>,
}

struct List {
    fingerprint: Fingerprint,
    /// The attributes, each with the places of its strings.
    attributes: Box<[(Places, KeyValue)]>,
}

impl KnownLists {
    /// Allocates the entries.
    pub(super) fn prepare(&mut self, config: &StreamConfig) {
        if self.secrets.is_none() {
            self.entries = (0..ENTRIES).map(|_| Entry::default()).collect();
            self.secrets = Some(config.secrets);
        }
    }

    /// Returns the fingerprint of the list if it is known.
    #[inline(always)]
    pub(super) fn find(&self, config: &StreamConfig, given: &[KeyValue]) -> Option<Fingerprint> {
        let entry = self.entries.get(index(given))?;
        if entry.address.get() != address(given) || !self.is_for(config) {
            return None;
        }
        let list = entry.list.as_deref()?;
        if !list.is(given) {
            entry.fail();
            return None;
        }
        if entry.failures.get() != 0 {
            entry.failures.set(0);
        }
        // A list that is in use keeps its entry, even if another list belongs to the same entry.
        if entry.sightings.get() != 0 {
            entry.sightings.set(0);
        }
        Some(list.fingerprint)
    }

    /// Notes that a list with this fingerprint is not known. Returns true if it has been seen often enough to be
    /// passed to [`Self::add`].
    #[inline(always)]
    pub(super) fn is_due(&self, config: &StreamConfig, given: &[KeyValue], fingerprint: Fingerprint) -> bool {
        let Some(entry) = self.entries.get(index(given)).filter(|_| self.is_for(config)) else { return false };
        let candidate = fingerprint.place ^ address(given) as u64;
        if entry.candidate.replace(candidate) != candidate {
            entry.sightings.set(0);
            return false;
        }
        let sightings = entry.sightings.get().saturating_add(1);
        entry.sightings.set(sightings);
        sightings >> entry.replacements.min(MAX_REPLACEMENTS) != 0
    }

    /// Copies the list into its entry, unless the list is too large.
    pub(super) fn add(&mut self, given: &[KeyValue], fingerprint: Fingerprint) {
        let Some(entry) = self.entries.get_mut(index(given)) else { return };
        entry.sightings.set(0);
        if !is_small(given) {
            entry.replacements = MAX_REPLACEMENTS;
            return;
        }
        entry.replacements = entry.replacements.saturating_add(1);
        entry.failures.set(0);
        entry.address.set(address(given));
        entry.list = Some(Box::new(List::new(given, fingerprint)));
    }

    /// Returns true if the fingerprints cover all attributes and are keyed by the stream's secrets, which only unit tests
    /// change.
    #[inline(always)]
    fn is_for(&self, config: &StreamConfig) -> bool {
        matches!(config.attributes, AttributeFilter::All)
            && self.secrets.is_some_and(|secrets| std::ptr::eq(secrets, config.secrets))
    }
}

impl List {
    fn new(given: &[KeyValue], fingerprint: Fingerprint) -> Self {
        let attributes = given.iter().cloned().map(|attribute| (Places::new(&attribute), attribute)).collect();
        List { fingerprint, attributes }
    }

    /// Returns true if this is the given list: the same attributes in the same order.
    #[inline(always)]
    fn is(&self, given: &[KeyValue]) -> bool {
        if self.attributes.len() != given.len() {
            return false;
        }
        // A loop, because a closure would not be inlined.
        for ((places, own), given) in self.attributes.iter().zip(given) {
            if !places.are_those_of(given) && !is_same(own, given) {
                return false;
            }
        }
        true
    }
}

impl Entry {
    /// Counts a failed comparison. A list that is passed only now and then should not cost the others a comparison
    /// each time.
    #[cold]
    fn fail(&self) {
        let failures = self.failures.get() + 1;
        self.failures.set(failures);
        if failures >= MAX_FAILURES {
            self.address.set(0);
        }
    }
}

#[inline(always)]
fn address(given: &[KeyValue]) -> usize {
    given.as_ptr().addr()
}

/// Returns the index of the list's entry.
#[inline(always)]
fn index(given: &[KeyValue]) -> usize {
    let spread = (address(given) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> (u64::BITS - ENTRIES.trailing_zeros())) as usize
}

fn is_small(given: &[KeyValue]) -> bool {
    let bytes = |one: &KeyValue| {
        let value = match &one.value {
            Value::String(text) => text.as_str().len(),
            Value::I64(_) | Value::F64(_) | Value::Bool(_) => 0,
            _ => MAX_TEXT_BYTES,
        };
        value.saturating_add(one.key.as_str().len())
    };
    given.len() <= MAX_ATTRIBUTES && given.iter().map(bytes).fold(0, usize::saturating_add) <= MAX_TEXT_BYTES
}

/// The places of an attribute's strings. The copy of the attribute keeps the strings alive, so a given string with the same
/// address and length has the same bytes.
struct Places {
    key: (usize, usize),
    value: ValuePlace,
}

enum ValuePlace {
    Text(usize, usize),
    I64(i64),
    Other,
}

impl Places {
    fn new(attribute: &KeyValue) -> Self {
        let value = match &attribute.value {
            Value::String(text) => {
                let (address, len) = place_of(text.as_str());
                ValuePlace::Text(address, len)
            }
            Value::I64(number) => ValuePlace::I64(*number),
            _ => ValuePlace::Other,
        };
        Places { key: place_of(attribute.key.as_str()), value }
    }

    /// Returns true if the given attribute has the same strings, at the same places, or the same integer.
    #[inline(always)]
    fn are_those_of(&self, given: &KeyValue) -> bool {
        self.key == place_of(given.key.as_str())
            && match (&self.value, &given.value) {
                (ValuePlace::Text(address, len), Value::String(text)) => (*address, *len) == place_of(text.as_str()),
                (ValuePlace::I64(number), Value::I64(given)) => number == given,
                _ => false,
            }
    }
}

#[inline(always)]
fn place_of(text: &str) -> (usize, usize) {
    (text.as_ptr().addr(), text.len())
}

/// Compares the bytes of strings at different places, and values that have no place.
#[inline(never)]
fn is_same(own: &KeyValue, given: &KeyValue) -> bool {
    is_same_value(&own.value, &given.value) && own.key == given.key
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use opentelemetry::{Array, StringValue};
    use std::sync::Arc;

    fn values() -> Vec<Value> {
        let shared: Arc<str> = "shared".into();
        vec![
            1i64.into(),
            2i64.into(),
            1.0.into(),
            0.0.into(),
            (-0.0).into(),
            f64::NAN.into(),
            true.into(),
            false.into(),
            "".into(),
            "1".into(),
            "text".into(),
            "next".into(),
            String::from("owned").into(),
            StringValue::from(shared).into(),
            Value::Array(Array::I64(vec![1])),
            Value::Array(Array::F64(vec![1.0])),
        ]
    }

    fn kept(list: &[KeyValue]) -> List {
        List::new(list, Fingerprint::default())
    }

    #[test]
    fn a_list_is_only_itself() {
        for (at, value) in values().into_iter().enumerate() {
            let kept = kept(&[KeyValue::new("key", value)]);
            for (other, given) in values().into_iter().enumerate() {
                assert_eq!(kept.is(&[KeyValue::new("key", given.clone())]), at == other, "{at} {given:?}");
                assert!(!kept.is(&[KeyValue::new("kez", given.clone())]));
                assert!(!kept.is(&[KeyValue::new("key", given.clone()), KeyValue::new("key", given)]));
            }
            assert!(!kept.is(&[]));
        }
    }

    #[test]
    fn equal_strings_are_equal_wherever_they_are() {
        let list = [KeyValue::new("a", "1"), KeyValue::new("b", "2")];
        let owned = [("a", "1"), ("b", "2")].map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
        assert!(kept(&list).is(&owned) && kept(&owned).is(&list) && kept(&owned).is(&owned));
        assert!(!kept(&list).is(&[list[1].clone(), list[0].clone()]));
    }

    #[test]
    fn lists_that_are_too_large_are_not_kept() {
        let many = |count: usize| vec![KeyValue::new("key", 1); count];
        assert!(is_small(&many(MAX_ATTRIBUTES)) && !is_small(&many(MAX_ATTRIBUTES + 1)));
        let text = |bytes: usize| [KeyValue::new("key", "x".repeat(bytes))];
        assert!(is_small(&text(MAX_TEXT_BYTES - 3)) && !is_small(&text(MAX_TEXT_BYTES - 2)));
        assert!(!is_small(&[KeyValue::new("key", Value::Array(Array::I64(vec![1])))]));
    }

    #[test]
    fn a_thread_knows_a_bounded_number_of_lists() {
        let lists: Vec<_> = (0..10 * ENTRIES as i64).map(|number| [KeyValue::new("key", number)]).collect();
        let mut known = KnownLists { entries: (0..ENTRIES).map(|_| Entry::default()).collect(), secrets: None };
        lists.iter().for_each(|list| known.add(list, Fingerprint::default()));
        assert_eq!(known.entries.len(), ENTRIES);
        // Each entry holds the last list that was given to it.
        let is_known =
            |list: &&[KeyValue; 1]| known.entries[index(*list)].list.as_ref().is_some_and(|own| own.is(*list));
        assert!(lists.iter().filter(is_known).count() <= ENTRIES);
        assert!(known.entries.iter().any(|entry| entry.list.is_some()));
    }
}
