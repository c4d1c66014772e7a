//! The events that sqlx emits for statements, as spans and measurements.
//!
//! sqlx emits one event when a statement has ended, on the thread that executed it. The event does not say which database that was,
//! whether the statement succeeded, and whether it had parameters. For calls of `telemark::sqlx`, it comes while the call is marked
//! as current, and says nothing new.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use ::tracing::Event;
use ::tracing::field::{Field, Visit};
use telemark_db::sql::MAX_ANALYZED_BYTES;
use telemark_db::{Call, CurrentCall, Database, End, System};
use telemark_sdk::config::Env;
use telemark_sdk::diag;

/// The target of the events.
pub(crate) const TARGET: &str = "sqlx::query";

const SYSTEM: &str = "OTEL_RUST_DB_CLIENT_SYSTEM";

/// The start of the name that sqlx gives to the threads of SQLite.
const SQLITE_THREAD: &str = "sqlx-sqlite-worker";

/// Records the statement of an event, unless it belongs to a call that is observed already. The database is that of the environment
/// if it is `None`.
pub(crate) fn record(event: &Event<'_>, database: Option<&Database>) {
    if CurrentCall::exists() {
        return;
    }
    let mut statement = Statement::default();
    event.record(&mut statement);
    let client = super::instrumentation();
    let ended = client.now();
    let started = ended.checked_sub(statement.elapsed).unwrap_or(ended);
    // The event does not tell whether the values are parameters, so none of them may stay in the text.
    let call = Call::statement(statement.sql(), false).with_start(started);
    let database = executing(match database {
        Some(given) => given,
        None => of_environment(),
    });
    if let Some(mut operation) = client.begin(database, call) {
        operation.add_rows(statement.rows_returned);
        operation.end_at(End::Completed, ended);
    }
}

/// Returns the database on which this thread executes statements: SQLite has threads of its own.
fn executing(database: &Database) -> &Database {
    static SQLITE: OnceLock<Database> = OnceLock::new();
    let is_of_sqlite = || thread::current().name().is_some_and(|name| name.starts_with(SQLITE_THREAD));
    if database.system() != System::Sqlite && is_of_sqlite() {
        return SQLITE.get_or_init(|| Database::new(System::Sqlite));
    }
    database
}

fn of_environment() -> &'static Database {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    DATABASE.get_or_init(|| Database::new(system(&Env::process())))
}

/// Reads `OTEL_RUST_DB_CLIENT_SYSTEM`.
fn system(env: &Env) -> System {
    let systems = [System::PostgreSql, System::MySql, System::MariaDb, System::Sqlite, System::OtherSql];
    let Some(name) = env.string(SYSTEM) else { return System::OtherSql };
    let named = systems.into_iter().find(|system| system.name() == name.trim());
    named.unwrap_or_else(|| {
        let accepted = "`postgresql`, `mysql`, `mariadb`, `sqlite` or `other_sql`";
        diag::log(diag::Level::Warn, "db.config", format_args!("{SYSTEM}: ignored {name:?}, expected {accepted}"));
        System::OtherSql
    })
}

/// The number of bytes of a statement that are copied: those that are read, and some more to tell that the statement is longer.
const MAX_COPIED_BYTES: usize = MAX_ANALYZED_BYTES + 4;

/// The fields of an event. Both texts are cut at [`MAX_COPIED_BYTES`].
#[derive(Debug, Default)]
struct Statement {
    /// The first words, followed by an ellipsis if there are more.
    summary: String,
    /// Empty if the summary is all of it.
    text: String,
    rows_returned: u64,
    elapsed: Duration,
}

impl Statement {
    fn sql(&self) -> &str {
        if self.text.is_empty() { &self.summary } else { &self.text }
    }
}

/// Returns the beginning of a text. A character that the end splits is not read either.
fn beginning(text: &str) -> String {
    let bytes = text.as_bytes();
    String::from_utf8_lossy(bytes.get(..MAX_COPIED_BYTES).unwrap_or(bytes)).into_owned()
}

/// Takes a statement out of the line breaks around it.
fn unframed(text: &str) -> &str {
    text.strip_prefix("\n\n").map_or(text, |text| text.strip_suffix('\n').unwrap_or(text))
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "db.statement" => self.text = beginning(unframed(value)),
            "summary" => self.summary = beginning(value),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows_returned = value;
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking and start threads")]

    use super::*;

    #[test]
    fn the_text_is_taken_out_of_its_line_breaks() {
        let check = |summary: &str, text: &str, expected: &str| {
            let text = unframed(text).to_owned();
            let statement = Statement { summary: summary.into(), text, ..Statement::default() };
            assert_eq!(statement.sql(), expected);
        };
        check("COMMIT", "", "COMMIT");
        check("SELECT a FROM b \u{2026}", "\n\nSELECT a FROM b WHERE c = 1\n", "SELECT a FROM b WHERE c = 1");
        check("SELECT a \u{2026}", "\n\n\nSELECT a\n\n", "\nSELECT a\n");
        check("SELECT 1", "SELECT 1 -- of another version", "SELECT 1 -- of another version");
    }

    #[test]
    fn a_statement_is_copied_as_far_as_it_is_read() {
        for character in ["x", "\u{e9}", "\u{2026}", "\u{1f980}"] {
            let sql = format!("SELECT {}", character.repeat(MAX_ANALYZED_BYTES));
            let copy = beginning(&sql);
            assert!((MAX_ANALYZED_BYTES + 1..=MAX_COPIED_BYTES + 3).contains(&copy.len()), "{}", copy.len());
            assert_eq!(copy.as_bytes()[..MAX_ANALYZED_BYTES], sql.as_bytes()[..MAX_ANALYZED_BYTES]);
            let statement = |sql: &str| telemark_db::sql::Statement::sanitized(sql, telemark_db::sql::Dialect::Sqlite);
            assert_eq!(format!("{:?}", statement(&copy)), format!("{:?}", statement(&sql)));
        }
        assert_eq!(beginning("SELECT 1"), "SELECT 1");
    }

    #[test]
    fn the_environment_names_the_system() {
        let check = |value: &'static str, expected: System| {
            assert_eq!(system(&Env::from_pairs([(SYSTEM, value)])), expected, "{value}");
        };
        check("", System::OtherSql);
        check("postgresql", System::PostgreSql);
        check(" mariadb ", System::MariaDb);
        check("oracle", System::OtherSql);
    }

    #[test]
    fn a_thread_of_sqlite_tells_the_database() {
        let given = Database::new(System::PostgreSql).with_namespace("shop");
        assert_eq!(executing(&given).attributes(), given.attributes());
        let of_sqlite = |given: Database| {
            let thread = thread::Builder::new().name("sqlx-sqlite-worker-7".to_owned());
            thread.spawn(move || executing(&given).pool_name()).unwrap().join().unwrap()
        };
        assert_eq!(of_sqlite(given), "sqlite");
        assert_eq!(of_sqlite(Database::new(System::Sqlite).with_namespace("shop.db")), "shop.db");
    }
}
