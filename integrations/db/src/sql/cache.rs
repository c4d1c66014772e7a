//! A bounded cache of statements, so that a repeated statement costs one lookup.

use std::array;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, RwLock};

use telemark_kit::free;

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
    seed: Seed,
    generations: RwLock<Generations>,
}

struct Generations {
    young: Tables,
    young_bytes: usize,
    old: Tables,
}

/// The statements of each dialect, separately for parameterized and other ones, so that a lookup needs no copied key.
type Tables = [Table; 2 * Dialect::COUNT];
type Table = HashMap<Box<str>, Arc<Statement>, Seed>;

fn tables(seed: Seed) -> Tables {
    array::from_fn(|_| Table::with_hasher(seed))
}

impl Statements {
    /// Returns an empty cache.
    pub fn new() -> Self {
        Statements::with_max_bytes(MAX_GENERATION_BYTES)
    }

    fn with_max_bytes(max_bytes: usize) -> Self {
        let seed = Seed::random();
        let generations = Generations { young: tables(seed), young_bytes: 0, old: tables(seed) };
        Statements { max_bytes, seed, generations: RwLock::new(generations) }
    }

    /// Returns the statement, which is read if it is not in the cache, or if another thread is changing the cache. Waits for no lock,
    /// which may be locked forever in a forked child. With `is_parameterized`, the text is recorded as it is.
    pub fn get(&self, sql: &str, dialect: Dialect, is_parameterized: bool) -> Arc<Statement> {
        let table = 2 * dialect as usize + usize::from(is_parameterized);
        let mut old = None;
        if let Some(generations) = free(self.generations.try_read()) {
            if let Some(statement) = generations.young[table].get(sql) {
                return Arc::clone(statement);
            }
            old = generations.old[table].get(sql).map(Arc::clone);
        }
        // Reads the statement without the lock.
        let statement = old.unwrap_or_else(|| Arc::new(Statement::new(sql, dialect, is_parameterized)));
        if sql.len() <= MAX_KEPT_BYTES {
            self.add(sql, table, &statement);
        }
        statement
    }

    #[cold]
    fn add(&self, sql: &str, table: usize, statement: &Arc<Statement>) {
        let bytes = ENTRY_BYTES + sql.len() + statement.text().len();
        let Some(mut generations) = free(self.generations.try_write()) else { return };
        let mut dropped = None;
        if generations.young_bytes + bytes > self.max_bytes {
            let full = std::mem::replace(&mut generations.young, tables(self.seed));
            dropped = Some(std::mem::replace(&mut generations.old, full));
            generations.young_bytes = 0;
        }
        // Another thread may have added it; then its entry stays.
        let young = &mut generations.young[table];
        if !young.contains_key(sql) {
            young.insert(sql.into(), Arc::clone(statement));
            generations.young_bytes += bytes;
        }
        // Frees up to thousands of statements, for which no other call must wait.
        drop(generations);
        drop(dropped);
    }
}

/// Builds the hasher of texts. A secret seed keeps a client from sending texts that collide.
#[derive(Clone, Copy)]
struct Seed([u64; 2]);

impl Seed {
    fn random() -> Self {
        let random = RandomState::new();
        Seed([random.hash_one(0), random.hash_one(1)])
    }
}

impl BuildHasher for Seed {
    type Hasher = TextHasher;

    fn build_hasher(&self) -> TextHasher {
        TextHasher { seed: self.0[0], state: self.0[1] }
    }
}

/// Hashes sixteen bytes at a time. For a statement, the default hasher takes longer than the rest of the lookup.
struct TextHasher {
    seed: u64,
    state: u64,
}

impl TextHasher {
    fn add(&mut self, bytes: [u8; 16]) {
        let word = u128::from_le_bytes(bytes);
        let product = u128::from(word as u64 ^ self.seed) * u128::from((word >> 64) as u64 ^ self.state);
        self.state = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(16);
        for word in &mut words {
            self.add(word.try_into().unwrap_or_default());
        }
        // The length tells a text from one that ends with zeros.
        let mut last = [0; 16];
        let rest = words.remainder();
        last[..rest.len()].copy_from_slice(rest);
        last[15] = rest.len() as u8;
        self.add(last);
    }

    /// Ends a string. No key has more than one.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.state
    }
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
    use std::collections::HashSet;

    #[test]
    fn a_statement_in_use_survives_a_flood_and_the_memory_is_bounded() {
        let statements = Statements::with_max_bytes(20 * ENTRY_BYTES);
        let used = statements.get("SELECT 1 FROM t", Dialect::Sqlite, false);
        assert_eq!((used.summary(), used.text()), (Some("SELECT t"), "SELECT ? FROM t"));
        for number in 0..1000 {
            statements.get(&format!("SELECT {number}"), Dialect::Sqlite, false);
            let again = statements.get("SELECT 1 FROM t", Dialect::Sqlite, false);
            assert!(Arc::ptr_eq(&used, &again), "{number}");
            let generations = statements.generations.read().unwrap();
            assert!(generations.young_bytes <= statements.max_bytes);
            let entries = |tables: &Tables| tables.iter().map(Table::len).sum::<usize>();
            assert!(entries(&generations.young) <= 20 && entries(&generations.old) <= 20);
        }
    }

    #[test]
    fn a_lock_that_is_held_is_not_waited_for() {
        let statements = Statements::new();
        let first = statements.get("SELECT 1 FROM t", Dialect::Sqlite, false);
        let held = statements.generations.write().unwrap();
        assert_eq!(statements.get("SELECT 1 FROM t", Dialect::Sqlite, false).text(), first.text());
        drop(held);
        assert!(Arc::ptr_eq(&first, &statements.get("SELECT 1 FROM t", Dialect::Sqlite, false)));
        let held = statements.generations.read().unwrap();
        assert_eq!(statements.get("SELECT 2 FROM u", Dialect::Sqlite, false).summary(), Some("SELECT u"));
        assert!(held.young.iter().all(|table| !table.contains_key("SELECT 2 FROM u")));
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
    fn texts_that_differ_have_different_hashes() {
        let long = "x".repeat(70);
        let mut texts: Vec<String> = (0..70).map(|end| long[..end].to_owned()).collect();
        texts.extend((0..70).map(|at| format!("{}y{}", &long[..at], &long[at + 1..])));
        texts.extend((0..40).map(|zeros| format!("a{}", "\0".repeat(zeros))));
        texts.extend((0..10_000).map(|number| format!("SELECT * FROM t WHERE a = {number} AND b = 1")));
        let count = texts.len();
        for seed in [Seed::random(), Seed::random(), Seed::random()] {
            let hashes: HashSet<u64> = texts.iter().map(|text| seed.hash_one(&**text)).collect();
            assert_eq!(hashes.len(), count, "{:?}", seed.0);
            // A table uses the lowest bits.
            let places: HashSet<u64> = hashes.iter().map(|hash| hash % 4096).collect();
            assert!(places.len() > 3000, "{}", places.len());
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
