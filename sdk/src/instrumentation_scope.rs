//! The instrumentation scope of a span or a log record, shared rather than copied.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, TryLockError};

use opentelemetry::InstrumentationScope;

use crate::attributes;

/// The scope of a span or a log record. It is shared by all items of a tracer or a logger, or lives as long as the program.
#[derive(Clone, Debug)]
pub enum Scope {
    /// The scope of a `#[traced]` call site, or of a tracer or a logger that has no attributes, as most have none.
    Static(&'static InstrumentationScope),
    /// The scope of another tracer or logger.
    Shared(Arc<InstrumentationScope>),
}

impl Scope {
    /// Returns a scope with an empty name.
    #[inline]
    pub(crate) fn unnamed() -> Self {
        static UNNAMED: OnceLock<InstrumentationScope> = OnceLock::new();
        Scope::Static(UNNAMED.get_or_init(InstrumentationScope::default))
    }

    /// Moves the scope out and leaves a scope that owns nothing.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        match self {
            Scope::Static(scope) => Scope::Static(scope),
            Scope::Shared(_) => std::mem::replace(self, Scope::unnamed()),
        }
    }

    /// Returns true if both refer to the same value in memory. This is a cheap check before names, versions and
    /// attributes are compared.
    #[inline]
    pub fn is_same(&self, other: &Scope) -> bool {
        std::ptr::eq::<InstrumentationScope>(&**self, &**other)
    }
}

impl Deref for Scope {
    type Target = InstrumentationScope;

    #[inline]
    fn deref(&self) -> &InstrumentationScope {
        match self {
            Scope::Static(scope) => scope,
            Scope::Shared(scope) => scope,
        }
    }
}

impl From<InstrumentationScope> for Scope {
    fn from(scope: InstrumentationScope) -> Self {
        let scope = attributes::valid_scope(scope);
        match lasting(&scope) {
            Some(scope) => Scope::Static(scope),
            None => Scope::Shared(Arc::new(scope)),
        }
    }
}

/// The scopes that stay until the program ends. Counting references instead would cost an atomic operation when a span starts and another
/// one when it is freed, on memory for which all threads of the program contend.
#[derive(Debug)]
struct Lasting {
    scopes: Option<HashSet<&'static InstrumentationScope>>,
    /// The number of bytes that more scopes may occupy. Programs that make up names must not fill the memory.
    room: usize,
}

static LASTING: Mutex<Lasting> = Mutex::new(Lasting::with_room(64 << 10));

/// Returns a scope that is equal and stays until the program ends, or `None` if there is no room or another thread has the lock, as a
/// thread that did not survive a fork may have it forever.
fn lasting(scope: &InstrumentationScope) -> Option<&'static InstrumentationScope> {
    match LASTING.try_lock() {
        Ok(mut lasting) => lasting.find_or_add(scope),
        Err(TryLockError::Poisoned(lasting)) => lasting.into_inner().find_or_add(scope),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Lasting {
    const fn with_room(room: usize) -> Self {
        Lasting { scopes: None, room }
    }

    fn find_or_add(&mut self, scope: &InstrumentationScope) -> Option<&'static InstrumentationScope> {
        if scope.attributes().next().is_some() {
            return None;
        }
        let scopes = self.scopes.get_or_insert_default();
        if let Some(known) = scopes.get(scope) {
            return Some(known);
        }
        let texts = [Some(scope.name()), scope.version(), scope.schema_url()].into_iter().flatten();
        let bytes = size_of::<InstrumentationScope>() + texts.map(str::len).sum::<usize>();
        self.room = self.room.checked_sub(bytes)?;
        // A clone has no spare capacity.
        let added: &'static _ = Box::leak(Box::new(scope.clone()));
        scopes.insert(added);
        Some(added)
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || **self == **other
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test")]

    use opentelemetry::KeyValue;

    use super::*;

    #[test]
    fn scopes_without_attributes_last_and_are_equal_as_long_as_there_is_room() {
        let scope = |name: &str| InstrumentationScope::builder(name.to_owned()).with_version("1").build();
        let mut lasting = Lasting::with_room(2 * size_of::<InstrumentationScope>() + 10);
        let first = lasting.find_or_add(&scope("shop")).unwrap();
        assert_eq!((first.name(), first.version()), ("shop", Some("1")));
        assert!(std::ptr::eq(first, lasting.find_or_add(&scope("shop")).unwrap()));
        assert_eq!(lasting.find_or_add(&scope("a longer name")), None, "too many bytes");
        assert_eq!(lasting.find_or_add(&scope("till")).map(InstrumentationScope::name), Some("till"));
        assert_eq!(lasting.find_or_add(&scope("")), None, "no room for another one");
        assert!(lasting.find_or_add(&scope("shop")).is_some());
        let with_attributes = InstrumentationScope::builder("shop").with_attributes([KeyValue::new("a", 1)]).build();
        assert_eq!(lasting.find_or_add(&with_attributes), None);
    }

    #[test]
    fn a_scope_is_the_one_that_was_given() {
        let given = InstrumentationScope::builder("shop").with_schema_url("https://s").build();
        assert_eq!(*Scope::from(given.clone()), given);
        let attributes = [KeyValue::new("a", 1)];
        let given = InstrumentationScope::builder("shop").with_attributes(attributes).build();
        let scope = Scope::from(given.clone());
        assert!(matches!(scope, Scope::Shared(_)) && *scope == given);
    }
}
