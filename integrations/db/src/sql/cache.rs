//! A bounded cache of statements, so that a repeated statement costs one lookup.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::dialect::Dialect;
use super::statement::Statement;

/// The memory that the texts of one generation take at most, in bytes. Two generations exist.
const MAX_GENERATION_BYTES: usize = 512 * 1024;
/// The memory that an entry takes besides its texts: keys, pointers and the unused places of the table.
const ENTRY_BYTES: usize = 256;
/// Longer statements are read at each call: most of them are unique.
const MAX_KEPT_BYTES: usize = 8 * 1024;

/// Statements that were read before, at most 1 MiB of them.
///
/// The cache has two generations. When the young one is full, it becomes the old one, and the statements of the old one that
/// are still in use return one by one. A flood of unique statements therefore displaces the others only for one call each.
pub struct Statements {
    max_bytes: usize,
    generations: RwLock<Generations>,
}

#[derive(Default)]
struct Generations {
    young: Table,
    young_bytes: usize,
    old: Table,
}

/// The statements of each dialect, separately for parameterized and other ones, so that a lookup needs no copied key.
type Table = HashMap<Key, HashMap<Box<str>, Arc<Statement>>>;
type Key = (Dialect, bool);

impl Statements {
    /// Returns an empty cache.
    pub fn new() -> Self {
        Statements { max_bytes: MAX_GENERATION_BYTES, generations: RwLock::default() }
    }

    /// Returns the statement, which is read if it is not in the cache. With `is_parameterized`, the text is recorded as it
    /// is.
    pub fn get(&self, sql: &str, dialect: Dialect, is_parameterized: bool) -> Arc<Statement> {
        let key = (dialect, is_parameterized);
        {
            let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(statement) = find(&generations.young, key, sql) {
                return Arc::clone(statement);
            }
        }
        self.add(sql, key)
    }

    #[cold]
    fn add(&self, sql: &str, key: Key) -> Arc<Statement> {
        if sql.len() > MAX_KEPT_BYTES {
            return Arc::new(Statement::new(sql, key.0, key.1));
        }
        let old = {
            let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            find(&generations.old, key, sql).map(Arc::clone)
        };
        // Reads the statement without the lock.
        let statement = old.unwrap_or_else(|| Arc::new(Statement::new(sql, key.0, key.1)));
        let bytes = ENTRY_BYTES + sql.len() + statement.text().len();
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, young_bytes, old } = &mut *generations;
        if *young_bytes + bytes > self.max_bytes {
            (*old, *young_bytes) = (std::mem::take(young), 0);
        }
        // Another thread may have added it; then its entry stays.
        let added = young.entry(key).or_default();
        if !added.contains_key(sql) {
            added.insert(sql.into(), Arc::clone(&statement));
            *young_bytes += bytes;
        }
        statement
    }
}

fn find<'t>(table: &'t Table, key: Key, sql: &str) -> Option<&'t Arc<Statement>> {
    table.get(&key)?.get(sql)
}

impl Default for Statements {
    fn default() -> Self {
        Statements::new()
    }
}

impl fmt::Debug for Statements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statements(at most {} bytes)", 2 * self.max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_in_use_survives_a_flood_and_the_memory_is_bounded() {
        let statements = Statements { max_bytes: 20 * ENTRY_BYTES, generations: RwLock::default() };
        let used = statements.get("SELECT 1 FROM t", Dialect::Sqlite, false);
        assert_eq!((used.summary(), used.text()), (Some("SELECT t"), "SELECT ? FROM t"));
        for number in 0..1000 {
            statements.get(&format!("SELECT {number}"), Dialect::Sqlite, false);
            let again = statements.get("SELECT 1 FROM t", Dialect::Sqlite, false);
            assert!(Arc::ptr_eq(&used, &again), "{number}");
            let generations = statements.generations.read().unwrap();
            assert!(generations.young_bytes <= statements.max_bytes);
            let entries = |table: &Table| table.values().map(HashMap::len).sum::<usize>();
            assert!(entries(&generations.young) <= 20 && entries(&generations.old) <= 20);
        }
    }

    #[test]
    fn dialects_and_kinds_are_kept_apart() {
        let statements = Statements::new();
        let text = |dialect, is_parameterized| {
            statements.get("SELECT \"a\" = 'b'", dialect, is_parameterized).text().to_owned()
        };
        for _ in 0..2 {
            assert_eq!(text(Dialect::MySql, false), "SELECT ? = ?");
            assert_eq!(text(Dialect::PostgreSql, false), "SELECT \"a\" = ?");
            assert_eq!(text(Dialect::PostgreSql, true), "SELECT \"a\" = 'b'");
        }
    }

    #[test]
    fn long_statements_are_not_kept() {
        let statements = Statements::new();
        let long = format!("SELECT '{}'", "x".repeat(MAX_KEPT_BYTES));
        let (first, second) =
            (statements.get(&long, Dialect::MySql, false), statements.get(&long, Dialect::MySql, false));
        assert!(!Arc::ptr_eq(&first, &second));
    }
}
