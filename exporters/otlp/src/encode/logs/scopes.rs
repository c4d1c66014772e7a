//! The scope that each record is sent with. A bridge has one logger for a whole program, so the target of a record, if it has
//! one, takes the place of the logger's scope.

use std::collections::HashMap;

use opentelemetry::InstrumentationScope;
use telemark_sdk::Batch;
use telemark_sdk::logs::{Scope, SdkLogRecord};
use telemark_sdk::signal::Logs;

/// Maximum number of targets whose scopes are kept. A program has one for each of its modules that log.
const MAX_KEPT: usize = 1024;

/// The scopes of the targets seen so far.
#[derive(Debug, Default)]
pub(super) struct Targets {
    by_name: HashMap<String, Scope>,
    /// The scope of each record of the batch; empty if no record has a target.
    of_batch: Vec<Scope>,
}

/// A batch with the scopes of its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scopes<'a> {
    pub(super) batch: Batch<'a, Logs>,
    of_batch: &'a [Scope],
}

impl Targets {
    /// Finds the scopes of the records of a batch.
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

    /// Returns the scopes of the batch that was resolved last.
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

/// Returns the target of a record, unless it is the name of the record's scope, which then keeps its version and attributes.
fn target(record: &SdkLogRecord) -> Option<&str> {
    record.target().filter(|target| *target != record.scope().name())
}
