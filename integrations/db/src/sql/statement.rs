//! A statement as its span and its metrics record it.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::StringValue;
use telemark_kit::{Interner, MAX_TEXT_BYTES};

use super::dialect::Dialect;
use super::keywords::Keyword;
use super::lexer::{Kind, Lexer};
use super::sanitize::Sanitizer;
use super::summary::{MAX_SUMMARY_CHARACTERS, Summarizer};

/// The part of a statement that is read, in bytes. A bulk insert can have megabytes, which must not delay the host.
pub const MAX_ANALYZED_BYTES: usize = 16 * 1024;

/// Summaries that live as long as the program, so that span names are not copied. Most programs have fewer.
static SUMMARIES: Interner<()> = Interner::new(1024, 128);

/// The summary and the text of a statement.
#[derive(Clone, Debug)]
pub struct Statement {
    pub(crate) summary: Option<Cow<'static, str>>,
    pub(crate) text: StringValue,
    pub(crate) is_cut: bool,
    /// True if the statement asks for rows, so that their number is meaningful even if it is zero.
    pub(crate) is_query: bool,
}

impl Statement {
    /// Reads a statement whose values are all parameters. Its text is recorded as it is.
    pub fn parameterized(sql: &str, dialect: Dialect) -> Self {
        Statement::new(sql, dialect, true)
    }

    /// Reads a statement that may contain values. They are replaced by `?` in its text.
    pub fn sanitized(sql: &str, dialect: Dialect) -> Self {
        Statement::new(sql, dialect, false)
    }

    pub(super) fn new(sql: &str, dialect: Dialect, is_parameterized: bool) -> Self {
        let read = beginning(sql);
        let (summary, is_query, clean) = analyze(read, dialect, !is_parameterized);
        let whole = clean.as_deref().unwrap_or(if is_parameterized { sql } else { read });
        let text = up_to(whole, MAX_TEXT_BYTES);
        let is_cut = text.len() < whole.len() || read.len() < sql.len();
        Statement { summary: kept(&summary), text: Arc::<str>::from(text).into(), is_cut, is_query }
    }

    /// Describes a batch: by its only summary and text if all statements have the same.
    ///
    /// spec: db/database-spans.md, db.query.summary and db.query.text of batches
    pub(crate) fn of_batch(statements: &[Arc<Statement>]) -> Self {
        let Some((first, rest)) = statements.split_first() else {
            return Statement { summary: Some("BATCH".into()), text: "".into(), is_cut: false, is_query: false };
        };
        let has_one_summary = rest.iter().all(|other| other.summary == first.summary);
        let summary = match first.summary().filter(|_| has_one_summary) {
            Some(summary) => {
                let whole = format!("BATCH {summary}");
                // The limit of the summary of one statement leaves no room for the word in front of it.
                if whole.chars().count() > MAX_SUMMARY_CHARACTERS { "BATCH".to_owned() } else { whole }
            }
            None => "BATCH".to_owned(),
        };
        let is_cut = statements.iter().any(|statement| statement.is_cut);
        if rest.iter().all(|other| other.text() == first.text()) {
            return Statement { summary: kept(&summary), text: first.text.clone(), is_cut, is_query: false };
        }
        let mut joined = String::new();
        for statement in statements {
            if !joined.is_empty() {
                joined.push_str("; ");
            }
            joined.push_str(statement.text());
            if joined.len() > MAX_TEXT_BYTES {
                break;
            }
        }
        let text = up_to(&joined, MAX_TEXT_BYTES);
        let is_cut = is_cut || text.len() < joined.len();
        Statement { summary: kept(&summary), text: Arc::<str>::from(text).into(), is_cut, is_query: false }
    }

    /// Returns the operations and their targets in the order of the text, such as `SELECT orders customers`. `None` if the
    /// statement has no known operation.
    pub fn summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    /// Returns the text, up to [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES).
    pub fn text(&self) -> &str {
        self.text.as_str()
    }
}

/// Returns the summary of a statement, with at most [`MAX_SUMMARY_CHARACTERS`]; empty without a known operation.
///
/// ```
/// use telemark_db::sql::{Dialect, summary};
///
/// let sql = "SELECT * FROM orders o JOIN customers c ON o.customer = c.id WHERE c.name = 'Ada'";
/// assert_eq!(summary(sql, Dialect::PostgreSql), "SELECT orders customers");
/// ```
pub fn summary(sql: &str, dialect: Dialect) -> String {
    analyze(beginning(sql), dialect, false).0
}

/// Replaces the literals of a statement by `?`, shortens the lists of `IN`, and removes comments. The result is never longer
/// than the statement, and sanitizing it again changes nothing.
///
/// ```
/// use telemark_db::sql::{Dialect, sanitize};
///
/// let sql = "SELECT * FROM orders WHERE customer = 'Ada' AND state IN (1, 2) -- for Ada";
/// assert_eq!(sanitize(sql, Dialect::PostgreSql), "SELECT * FROM orders WHERE customer = ? AND state IN (?) ");
/// ```
pub fn sanitize(sql: &str, dialect: Dialect) -> String {
    let read = beginning(sql);
    analyze(read, dialect, true).2.unwrap_or_else(|| read.to_owned())
}

/// Counts the tokens of a statement, for the benchmark of the lexer.
#[doc(hidden)]
pub fn count_tokens(sql: &str, dialect: Dialect) -> usize {
    let mut lexer = Lexer::new(sql, dialect);
    std::iter::from_fn(|| lexer.next(false)).count()
}

/// Returns the part of a statement that is read.
fn beginning(sql: &str) -> &str {
    up_to(sql, MAX_ANALYZED_BYTES)
}

/// Returns the beginning of a text, up to a number of bytes and a whole character.
fn up_to(text: &str, max_bytes: usize) -> &str {
    if text.len() <= max_bytes {
        return text;
    }
    let end = (0..=max_bytes).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Returns the summary, whether the statement asks for rows, and the text without literals if it differs.
fn analyze(sql: &str, dialect: Dialect, sanitizes: bool) -> (String, bool, Option<String>) {
    let mut lexer = Lexer::new(sql, dialect);
    let mut summarizer = Summarizer::new(sql, dialect);
    let mut sanitizer = sanitizes.then(|| Sanitizer::new(sql, dialect));
    while let Some(token) = lexer.next(summarizer.wants_name()) {
        // The only branch on the kind of a token, which no processor can predict.
        match token.kind {
            Kind::Word => {
                let word = sql.as_bytes().get(token.start..token.end).unwrap_or_default();
                let keyword = Keyword::find(token.tail, word);
                if let Some(sanitizer) = &mut sanitizer {
                    sanitizer.word(&token, keyword);
                }
                summarizer.word(&token, keyword, || lexer.peek());
            }
            Kind::Symbol(symbol) => {
                if let Some(sanitizer) = &mut sanitizer {
                    sanitizer.symbol(&token, symbol);
                }
                summarizer.symbol(&token, symbol);
            }
            Kind::Comment => {
                if let Some(sanitizer) = &mut sanitizer {
                    sanitizer.remove(&token);
                }
            }
            Kind::Quoted | Kind::Literal | Kind::Placeholder => {
                if let Some(sanitizer) = &mut sanitizer {
                    sanitizer.operand(&token);
                }
                summarizer.operand(&token);
            }
        }
    }
    let (summary, is_query) = summarizer.finish();
    (summary, is_query, sanitizer.and_then(Sanitizer::finish))
}

fn kept(summary: &str) -> Option<Cow<'static, str>> {
    if summary.is_empty() {
        return None;
    }
    Some(match SUMMARIES.get(summary, |_| ()) {
        Some((summary, ())) => Cow::Borrowed(summary),
        None => Cow::Owned(summary.to_owned()),
    })
}

const _: () = assert!(MAX_SUMMARY_CHARACTERS < MAX_TEXT_BYTES);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIALECTS: [Dialect; 4] = [Dialect::Generic, Dialect::PostgreSql, Dialect::MySql, Dialect::Sqlite];

    /// Every way to write a value, with `%` for a number and `§` for a text as the marker.
    fn literals(dialect: Dialect) -> Vec<&'static str> {
        let mut literals = vec![
            "'§'",
            "'a''§'",
            // Several of these would close each other.
            "'%",
            "'\n%\n'",
            "7%",
            "-7%",
            "+.7%",
            "7.%e-7",
            "0x%",
            "X'%'",
            "DATE '§'",
            "date'§'",
            "INTERVAL '§' DAY",
            "INTERVAL 7% DAY",
            "TIMESTAMP '§'",
            "CAST('§' AS t)",
            "('§')",
            "ARRAY['§', 7%]",
            "a+7%",
            "{d '§'}",
            "{ts '§'}",
            "f(7%,'§')",
        ];
        let strings = ["N'§'", "B'%'", "b'%'"];
        match dialect {
            Dialect::Generic => literals.extend(["E'§'", "$$§$$", "$t$§$t$"].iter().chain(&strings)),
            Dialect::PostgreSql => literals.extend(
                ["E'a\\'§'", "e'§'", "U&'§'", "$$§$$", "$t$ $$ § $t$", "'§'::text", "'a'\n'§'", "a[7%:7%]", "a->>'§'"]
                    .iter()
                    .chain(&strings),
            ),
            Dialect::MySql => literals.extend(
                ["\"§\"", "\"a\\\"§\"", "'a\\'§'", "_utf8mb4'§'", "_binary X'%'", "0b%", "5--7%"]
                    .iter()
                    .chain(&strings),
            ),
            // In the place of a column, a string is told from a name by its shape.
            Dialect::Sqlite => literals.extend(["x'%'", "\"§@example.com\"", "\"7%\"", "\"a §\""]),
        }
        literals
    }

    const PLACES: [&str; 14] = [
        "SELECT * FROM t WHERE a = %",
        "SELECT % FROM t",
        "SELECT a, % AS b FROM t, u WHERE x IN (1, %, 'b')",
        "INSERT INTO t (a, b) VALUES (1, %), (%, 'x')",
        "UPDATE t SET a = %, b = % WHERE c < %",
        "DELETE FROM t WHERE a = % OR b LIKE %",
        "SELECT extract(year FROM %), trim(both % from %), substring(a, %)",
        "WITH c AS (SELECT % FROM t) SELECT * FROM c LIMIT %",
        "SELECT a FROM t UNION SELECT % FROM u",
        "CREATE TABLE t (a int DEFAULT %)",
        "CALL p(%, %)",
        "SET a = %",
        "BEGIN; SELECT %; COMMIT",
        "/* c */ SELECT a /* % */ FROM t -- %\n WHERE b BETWEEN % AND %",
    ];

    #[test]
    fn no_value_reaches_the_summary_or_the_text() {
        const NUMBER: &str = "31415926535897";
        // Outside of a string, this is a name, which stays.
        const TEXT: &str = "q31415926535897";
        let mut checked = 0;
        for dialect in DIALECTS {
            for literal in literals(dialect) {
                let literal = literal.replace('%', NUMBER).replace('§', TEXT);
                for place in PLACES {
                    let sql = place.replace('%', &literal);
                    for text in [summary(&sql, dialect), sanitize(&sql, dialect)] {
                        assert!(!text.contains(NUMBER), "{dialect:?} {sql}: {text}");
                        checked += 1;
                    }
                }
            }
        }
        assert!(checked > 3000, "{checked}");
    }

    #[test]
    fn long_statements_are_read_in_part() {
        let sql = format!("INSERT INTO t VALUES {}", "(1, 'é'), ".repeat(100_000));
        let statement = Statement::sanitized(&sql, Dialect::MySql);
        assert_eq!((statement.summary(), statement.is_cut), (Some("INSERT t"), true));
        assert!(statement.text().len() <= MAX_TEXT_BYTES && !statement.text().contains('é'));
        // The end of the part lies within a character.
        let sql = format!("SELECT \"{}", "é".repeat(MAX_ANALYZED_BYTES));
        assert!(sanitize(&sql, Dialect::Sqlite).len() <= MAX_ANALYZED_BYTES);
    }

    fn sql() -> impl Strategy<Value = String> {
        const PARTS: [&str; 64] = [
            "SELECT",
            "FROM",
            "t",
            "JOIN",
            "INSERT INTO",
            "VALUES",
            "(",
            ")",
            ",",
            ";",
            "'",
            "\"",
            "`",
            "[",
            "]",
            "$",
            "$$",
            "$a$",
            "--",
            "\n",
            " ",
            " ",
            " ",
            "/*",
            "*/",
            "#",
            "-",
            "+",
            "1",
            ".5",
            "e",
            "E'",
            "x'",
            "u&'",
            "?",
            ":",
            "::",
            "@",
            "\\",
            "''",
            "'a'",
            "1e-5",
            "0x1f",
            "IN",
            "IN (",
            "UNION",
            "UPDATE",
            "SET",
            "CREATE",
            "TABLE",
            "DROP",
            "a.b",
            ".",
            "WITH",
            "é",
            "=",
            "true",
            "ON",
            "CALL",
            "NULL",
            "\"a@b\"",
            "\"c\"",
            "AS",
            "EXCEPT",
        ];
        let part = (0..PARTS.len()).prop_map(|part| PARTS[part].to_owned());
        let any = proptest::collection::vec(any::<char>(), 0..4).prop_map(String::from_iter);
        proptest::collection::vec(prop_oneof![9 => part, 1 => any], 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_text_has_a_clean_one_that_stays(sql in sql()) {
            for dialect in DIALECTS {
                let clean = sanitize(&sql, dialect);
                prop_assert!(clean.len() <= sql.len(), "{:?} {:?} {:?}", dialect, sql, clean);
                prop_assert_eq!(&sanitize(&clean, dialect), &clean, "{:?} {:?}", dialect, sql);
                prop_assert!(summary(&sql, dialect).chars().count() <= MAX_SUMMARY_CHARACTERS);
            }
        }
    }
}
