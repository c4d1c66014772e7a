//! The interner: holds each name, key, resource and scope once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::size::{ALLOCATION, Size};
use super::{Resource, Scope, Text, cut};

/// The bytes that an entry of a pool occupies besides its content: the slot of the table, which is about half full, and
/// the allocation.
const ENTRY: usize = 2 * size_of::<(Text, usize)>() + ALLOCATION;

/// Shares equal names, resources and scopes among all items of a store.
///
/// Resources and scopes must come from here: the store tells the series of metrics apart by the addresses of both, and counts their
/// bytes here only. Copies that do not come from here make a series of each point, and their memory is not bounded.
///
/// The store counts the interner's bytes as its own, and removes the entries that no item uses.
#[derive(Debug, Default)]
pub struct Interner {
    texts: Mutex<Pool<str>>,
    resources: Mutex<Pool<Resource>>,
    scopes: Mutex<Pool<Scope>>,
}

/// Entries of one type with their sizes, and the sum of the sizes. An entry's size is measured once, because it depends
/// on the references to its names.
#[derive(Debug)]
struct Pool<T: ?Sized + Eq + Hash> {
    entries: HashMap<Arc<T>, usize>,
    bytes: usize,
}

impl<T: ?Sized + Eq + Hash> Default for Pool<T> {
    fn default() -> Self {
        Pool { entries: HashMap::new(), bytes: 0 }
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    fn add(&mut self, entry: Arc<T>, size: usize) -> Arc<T> {
        self.bytes += size;
        self.entries.insert(entry.clone(), size);
        entry
    }

    /// Removes the entries that only the pool holds.
    fn sweep(&mut self) {
        let mut freed = 0;
        self.entries.retain(|entry, size| {
            let is_used = Arc::strong_count(entry) > 1;
            if !is_used {
                freed += *size;
            }
            is_used
        });
        self.bytes = self.bytes.saturating_sub(freed);
        self.entries.shrink_to(self.entries.len() * 2);
    }
}

impl Interner {
    /// Returns the shared copy of a text, which is cut if it has more than 1 KiB.
    pub fn text(&self, text: &str) -> Text {
        let text = &*cut::short(text);
        let mut texts = lock(&self.texts);
        match texts.entries.get_key_value(text) {
            Some((text, _)) => text.clone(),
            None => texts.add(Text::from(text), ENTRY + text.len()),
        }
    }

    /// Returns the shared copy of a resource. Its values are cut to 2 KiB. It keeps up to 256 attributes, and up to 64 KiB of them; the
    /// last attribute then names those that are left out.
    pub fn resource(&self, mut resource: Resource) -> Arc<Resource> {
        resource.service = self.text(&resource.service);
        cut::shared_attributes(self, &mut resource.attributes);
        let mut resources = lock(&self.resources);
        match resources.entries.get_key_value(&resource) {
            Some((resource, _)) => resource.clone(),
            None => {
                let size = ENTRY + size_of::<Resource>() + resource.attributes.heap();
                resources.add(Arc::new(resource), size)
            }
        }
    }

    /// Returns the shared copy of a scope, cut like a resource.
    pub fn scope(&self, mut scope: Scope) -> Arc<Scope> {
        (scope.name, scope.version) = (self.text(&scope.name), self.text(&scope.version));
        cut::shared_attributes(self, &mut scope.attributes);
        let mut scopes = lock(&self.scopes);
        match scopes.entries.get_key_value(&scope) {
            Some((scope, _)) => scope.clone(),
            None => {
                let size = ENTRY + size_of::<Scope>() + scope.attributes.heap();
                scopes.add(Arc::new(scope), size)
            }
        }
    }

    /// Returns the number of bytes that all entries occupy.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.texts).bytes + lock(&self.resources).bytes + lock(&self.scopes).bytes
    }

    /// Removes the entries that nothing uses.
    pub(crate) fn sweep(&self) {
        // Resources and scopes use texts.
        lock(&self.resources).sweep();
        lock(&self.scopes).sweep();
        lock(&self.texts).sweep();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Attribute, Value};
    use super::*;

    fn resource(service: &str, value: Value) -> Resource {
        Resource { service: service.into(), attributes: Box::new([Attribute { key: "key".into(), value }]) }
    }

    #[test]
    fn equal_content_is_shared() {
        let interner = Interner::default();
        assert!(Arc::ptr_eq(&interner.text("a"), &interner.text("a")));
        assert!(!Arc::ptr_eq(&interner.text("a"), &interner.text("b")));
        let nan = || interner.resource(resource("shop", Value::Double(f64::NAN)));
        assert!(Arc::ptr_eq(&nan(), &nan()));
        assert!(!Arc::ptr_eq(&nan(), &interner.resource(resource("shop", Value::Int(1)))));
    }

    #[test]
    fn nothing_that_items_share_is_large() {
        let interner = Interner::default();
        let large = "x".repeat(1 << 20);
        let attribute = |key: &str| Attribute { key: key.into(), value: Value::String((&*large).into()) };
        let attributes: Vec<_> = (0..1_000).map(|_| attribute(&large)).collect();
        let resource = interner.resource(Resource { service: (&*large).into(), attributes: attributes.clone().into() });
        let scope = interner.scope(Scope { name: (&*large).into(), version: "".into(), attributes: attributes.into() });
        assert!(resource.service.len() < 1_100 && scope.name.len() < 1_100);
        assert!(resource.attributes.len() <= 256 && resource.attributes.iter().all(|one| one.key.len() < 1_100));
        assert!(interner.bytes() < 150_000, "{}", interner.bytes());
        assert!(Arc::ptr_eq(&interner.text(&large), &interner.text(&large)));
    }

    #[test]
    fn a_sweep_frees_unused_entries_only_and_its_bytes_add_up() {
        let interner = Interner::default();
        let kept = interner.text("kept");
        let bytes = interner.bytes();
        interner.text("unused");
        interner.resource(resource("shop", Value::String("unused".into())));
        assert!(interner.bytes() > bytes);
        interner.sweep();
        assert_eq!(interner.bytes(), bytes);
        assert!(Arc::ptr_eq(&kept, &interner.text("kept")));
        drop(kept);
        interner.sweep();
        assert_eq!(interner.bytes(), 0);
    }
}
