//! What code has changed since the build, as the effective configuration shows it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use crate::config::{Item, Origin, schema};
use crate::process::unless_stuck;

/// What code has changed and no later version of the configuration file has replaced, each by the name that
/// [`Area::in_code`](super::super::declarative::live::Area::in_code) has for it, or by the variable of an integration's setting.
#[derive(Debug)]
pub(in crate::install) struct Changes {
    /// True if nothing has been started, so that nothing can change.
    is_disabled: bool,
    by_code: Mutex<ByCode>,
}

type ByCode = BTreeMap<&'static str, Change>;

/// A change as a configuration file can express it.
#[derive(Debug)]
pub(in crate::install) enum Change {
    /// Not at all: a sampler or a function may be anything.
    Opaque,
    /// `disabled`.
    Disabled(bool),
    /// The values of settings, each named by its variable. `None` stands for the default.
    Settings(Vec<(&'static str, Option<String>)>),
}

/// The place of [`Change::Disabled`].
pub(super) const DISABLED: &str = "disabled";

impl Changes {
    pub(in crate::install) fn new(is_disabled: bool) -> Self {
        Changes { is_disabled, by_code: Mutex::default() }
    }

    /// Locks the changes. Returns `None` in a forked child, where the lock may stay locked forever.
    fn lock(&self) -> Option<MutexGuard<'_, ByCode>> {
        unless_stuck(self.by_code.try_lock(), || self.by_code.lock())
    }

    /// Notes what code changes, or with `None` that something else is in effect from now on. `make` makes the change meanwhile, so that
    /// another one of the same kind comes before or after both; it calls no code of the program.
    pub(super) fn record(&self, name: &'static str, change: Option<Change>, make: impl FnOnce()) {
        let Some(mut by_code) = self.lock() else { return };
        make();
        match change.filter(|_| !self.is_disabled) {
            Some(change) => by_code.insert(name, change),
            None => by_code.remove(name),
        };
    }

    /// Returns true if code has made this change, and nothing has replaced it.
    pub(in crate::install) fn has(&self, name: &str) -> bool {
        self.lock().is_some_and(|by_code| by_code.contains_key(name))
    }

    /// Changes the values of a file that code has changed. Returns the names of the changes that a file cannot express.
    pub(in crate::install) fn apply(&self, root: &mut Item) -> Vec<&'static str> {
        let mut opaque = Vec::new();
        for (name, change) in self.lock().iter().flat_map(|by_code| by_code.iter()) {
            match change {
                Change::Opaque => opaque.push(*name),
                Change::Disabled(is_disabled) => {
                    *root.value_mut(DISABLED) = Item::new(*is_disabled).with_origin(Origin::CodeChange);
                }
                Change::Settings(values) => {
                    for (variable, value) in values {
                        schema::set_variable(root, variable, value.as_deref());
                    }
                }
            }
        }
        opaque
    }
}
