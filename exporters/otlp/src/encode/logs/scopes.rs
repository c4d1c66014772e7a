//! The scope with which each record is sent. A bridge uses a single logger for the whole program, so if a record has a
//! target, the target replaces the logger's scope.

use std::collections::HashMap;

use opentelemetry::InstrumentationScope;
use telemark_sdk::Batch;
use telemark_sdk::logs::{Scope, SdkLogRecord};
use telemark_sdk::signal::Logs;

/// The maximum number of targets whose scopes are kept. A program has one target per module that logs.
const MAX_KEPT: usize = 1024;

/// The scopes of the targets seen so far.
#[derive(Debug, Default)]
pub(super) struct Targets {
    by_name: HashMap<String, Scope>,
    /// The scope of each record in the batch, or empty if no record has a target.
    of_batch: Vec<Scope>,
}

/// A batch with the scopes of its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scopes<'a> {
    pub(super) batch: Batch<'a, Logs>,
    of_batch: &'a [Scope],
}

impl Targets {
    /// Determines the scopes for the records in a batch.
    pub(super) fn resolve(&mut self, batch: Batch<'_, Logs>) {
        self.of_batch.clear();
        if batch.iter().any(|record| target(record).is_some()) {
            if self.by_name.len() > MAX_KEPT {
                self.by_name.clear();
            }
            for record in batch.iter() {
                let scope = match target(record) {
                    None => record.scope().clone(),
                    Some(target) => self.scope_named(target),
                };
                self.of_batch.push(scope);
            }
        }
    }

    /// Returns the scopes of the last resolved batch.
    pub(super) fn scopes<'a>(&'a self, batch: Batch<'a, Logs>) -> Scopes<'a> {
        Scopes { batch, of_batch: &self.of_batch }
    }

    fn scope_named(&mut self, target: &str) -> Scope {
        if let Some(known) = self.by_name.get(target) {
            return known.clone();
        }
        let scope = Scope::from(InstrumentationScope::builder(target.to_owned()).build());
        self.by_name.insert(target.to_owned(), scope.clone());
        scope
    }
}

impl<'a> Scopes<'a> {
    /// Returns the scope of the record with this number.
    pub(super) fn get(&self, item: usize) -> Option<&'a Scope> {
        match self.of_batch {
            [] => self.batch.get(item).map(SdkLogRecord::scope),
            resolved => resolved.get(item),
        }
    }
}

/// Returns a record's target, unless it equals the name of the record's scope. In that case, the scope is kept with its
/// version and attributes.
fn target(record: &SdkLogRecord) -> Option<&str> {
    record.target().filter(|target| *target != record.scope().name())
}
