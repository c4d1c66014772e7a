//! SQL statements as programs send them, in every dialect.

use telemark_db::sql::{Dialect, MAX_SUMMARY_CHARACTERS, Statement, sanitize, summary};

/// Every text must have a short summary, and a clean text that is not longer and stays when it is cleaned again. A string
/// that ends the statement must appear in neither.
pub(crate) fn statement(input: &[u8]) {
    const MARKER: &str = "27182818284590";
    let sql = String::from_utf8_lossy(input);
    for dialect in [Dialect::Generic, Dialect::PostgreSql, Dialect::MySql, Dialect::Sqlite] {
        assert!(summary(&sql, dialect).chars().count() <= MAX_SUMMARY_CHARACTERS);
        let clean = sanitize(&sql, dialect);
        assert!(clean.len() <= sql.len(), "{dialect:?}: {clean:?} is longer");
        assert_eq!(sanitize(&clean, dialect), clean, "{dialect:?}: the text changes again");
        let _ = Statement::parameterized(&sql, dialect);
        // A statement that is complete cannot swallow the quote of a following one. As a name, the marker may stay.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace();
        if sql.bytes().all(is_plain) && !sql.contains(MARKER) {
            let with_value = format!("{sql} = '{MARKER}'");
            assert!(!sanitize(&with_value, dialect).contains(MARKER), "{dialect:?}: the text contains a value");
            assert!(!summary(&with_value, dialect).contains(MARKER), "{dialect:?}: the summary contains a value");
        }
    }
}
