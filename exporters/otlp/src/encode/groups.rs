//! Groups the items of a batch by scope, in one pass and without copies.
//!
//! Neighbouring items usually share the same scope object. If they do not, the group is looked up by the scope's address. Scopes
//! are compared by value only if their address is new in this batch: every `#[traced]` call site has its own scope object,
//! although all call sites in a package have equal scopes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use telemark_sdk::trace::Scope;

const NONE: u32 = u32::MAX;

/// The items of each scope, as linked lists. All memory is reused for the next batch.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// For each item, the next item in its group.
    next: Vec<u32>,
    by_address: HashMap<u64, u32, BuildHasherDefault<AddressHasher>>,
    by_value: HashMap<u64, u32, BuildHasherDefault<AddressHasher>>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first: u32,
    last: u32,
    len: u32,
    /// Another group whose scope has the same hash, or [`NONE`].
    same_hash: u32,
}

/// A place in the order of the groups. The default is the place of the first item.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    group: u32,
    /// The item, or `None` for the first item of the group.
    item: Option<u32>,
}

impl Place {
    /// Returns the place of an item.
    pub(super) fn new(group: u32, item: usize) -> Self {
        Place { group, item: Some(item as u32) }
    }
}

impl Groups {
    /// Groups items by their scopes. `scope` returns the scope of a given item. Items keep their order within a group, and
    /// groups are in the order of their first items.
    pub(super) fn fill<'a>(
        &mut self,
        scopes: impl Iterator<Item = &'a Scope>,
        scope: impl Fn(usize) -> Option<&'a Scope>,
    ) {
        self.groups.clear();
        self.next.clear();
        // Addresses are only valid within a batch, because the address of a freed scope may be reused.
        self.by_address.clear();
        self.by_value.clear();
        let mut previous: Option<(&Scope, u32)> = None;
        for (item, own) in scopes.enumerate() {
            self.next.push(NONE);
            let group = match previous {
                Some((scope, group)) if scope.is_same(own) => group,
                _ => self.group_of(own, item as u32, &scope),
            };
            previous = Some((own, group));
            let group = &mut self.groups[group as usize];
            if group.len > 0 {
                self.next[group.last as usize] = item as u32;
            }
            group.last = item as u32;
            group.len += 1;
        }
    }

    fn group_of<'a>(&mut self, own: &Scope, item: u32, scope: &impl Fn(usize) -> Option<&'a Scope>) -> u32 {
        let address = std::ptr::from_ref(&**own).addr() as u64;
        if let Some(&group) = self.by_address.get(&address) {
            return group;
        }
        let hash = hash(own);
        let same_hash = self.by_value.get(&hash).copied().unwrap_or(NONE);
        let mut candidate = same_hash;
        while let Some(group) = self.groups.get(candidate as usize) {
            if scope(group.first as usize).is_some_and(|scope| is_equal(scope, own)) {
                self.by_address.insert(address, candidate);
                return candidate;
            }
            candidate = group.same_hash;
        }
        let group = self.groups.len() as u32;
        self.groups.push(Group { first: item, last: item, len: 0, same_hash });
        self.by_address.insert(address, group);
        self.by_value.insert(hash, group);
        group
    }

    /// Returns the groups starting at a place. Each has its number, its total number of items, and the items starting at that
    /// place.
    pub(super) fn from(&self, place: Place) -> impl Iterator<Item = (u32, usize, impl Iterator<Item = usize>)> {
        (place.group..).zip(self.groups.get(place.group as usize..).unwrap_or_default()).map(move |(number, group)| {
            let first = if number == place.group { place.item.unwrap_or(group.first) } else { group.first };
            (number, group.len as usize, self.items(first))
        })
    }

    fn items(&self, first: u32) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(first), |&item| self.next.get(item as usize).copied().filter(|&next| next != NONE))
            .map(|item| item as usize)
    }
}

/// Compares like `==`, without sorting the attributes of both scopes, because most scopes have none.
fn is_equal(a: &Scope, b: &Scope) -> bool {
    let are_within = |a: &Scope, b: &Scope| a.attributes().all(|own| b.attributes().any(|other| own == other));
    a.name() == b.name()
        && a.version() == b.version()
        && a.schema_url() == b.schema_url()
        && a.attributes().count() == b.attributes().count()
        && are_within(a, b)
        && are_within(b, a)
}

fn hash(scope: &Scope) -> u64 {
    let mut hasher = DefaultHasher::new();
    (scope.name(), scope.version(), scope.schema_url(), scope.attributes().count()).hash(&mut hasher);
    hasher.finish()
}

/// Distributes addresses and hashes with a multiplication.
#[derive(Debug, Default)]
pub(super) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The table uses the low bits as its index and the high bits as its tag, so both must depend on the whole input.
        self.0 = mixed ^ mixed >> 32;
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::{InstrumentationScope, KeyValue};

    fn check(scopes: &[Scope], expected: &str) {
        let mut groups = Groups::default();
        // Run twice, because the first batch must leave nothing behind.
        for _ in 0..2 {
            groups.fill(scopes.iter(), |item| scopes.get(item));
            let text: Vec<_> = groups
                .from(Place::default())
                .map(|(number, len, items)| format!("{number}/{len}:{:?}", items.collect::<Vec<_>>()))
                .collect();
            assert_eq!(text.join(" "), expected);
        }
    }

    fn scope(name: &'static str, version: &'static str) -> Scope {
        InstrumentationScope::builder(name).with_version(version).build().into()
    }

    #[test]
    fn items_of_one_scope_end_in_one_group() {
        let (a, b) = (scope("a", "1"), scope("b", "1"));
        check(&[a.clone(), a.clone(), b.clone(), a.clone(), b], "0/3:[0, 1, 3] 1/2:[2, 4]");
        check(&[a.clone(), scope("a", "1"), scope("a", "2"), scope("a", "1")], "0/3:[0, 1, 3] 1/1:[2]");
        check(&[], "");
    }

    #[test]
    fn scopes_that_differ_in_attributes_alone_are_two() {
        let with = |value: i64| -> Scope {
            InstrumentationScope::builder("a").with_attributes([KeyValue::new("k", value)]).build().into()
        };
        check(&[with(1), with(2), with(3), with(2), with(1)], "0/2:[0, 4] 1/2:[1, 3] 2/1:[2]");
    }
}
