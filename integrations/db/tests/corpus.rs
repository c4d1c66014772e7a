//! Statements in each dialect, with their summaries and their texts without literals.
//!
//! `data/statements.txt` holds blocks of three lines: the statement, its summary (`-` for none), and its text between `|`
//! (`=` if it equals the statement). `\n` is a line break.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use telemark_db::sql::{Dialect, Statement, sanitize, summary};

struct Case<'a> {
    dialect: Dialect,
    sql: String,
    summary: &'a str,
    text: String,
}

fn lines(text: &str) -> String {
    text.replace("\\n", "\n")
}

fn cases(data: &str) -> Vec<Case<'_>> {
    let mut dialect = Dialect::Generic;
    let mut cases = Vec::new();
    let mut rest = data.lines().filter(|line| !line.is_empty());
    while let Some(line) = rest.next() {
        dialect = match line {
            "[generic]" => Dialect::Generic,
            "[postgresql]" => Dialect::PostgreSql,
            "[mysql]" => Dialect::MySql,
            "[sqlite]" => Dialect::Sqlite,
            _ => {
                let summary = rest.next().unwrap().trim();
                let text = match rest.next().unwrap().trim() {
                    "=" => lines(line),
                    text => lines(text.strip_prefix('|').and_then(|text| text.strip_suffix('|')).unwrap()),
                };
                cases.push(Case { dialect, sql: lines(line), summary: summary.trim_start_matches('-'), text });
                continue;
            }
        }
    }
    cases
}

fn mistakes(data: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    for Case { dialect, sql, summary: expected, text } in cases(data) {
        let found = summary(&sql, dialect);
        if found != expected {
            mistakes.push(format!("{dialect:?} {sql}\n  is summarized as {found:?} instead of {expected:?}"));
        }
        let found = sanitize(&sql, dialect);
        if found != text {
            mistakes.push(format!("{dialect:?} {sql}\n  becomes {found:?} instead of {text:?}"));
        }
        let found = sanitize(&text, dialect);
        if found != text {
            mistakes.push(format!("{dialect:?} {text}\n  becomes {found:?} when it is sanitized again"));
        }
        for (statement, text) in
            [(Statement::sanitized(&sql, dialect), &text), (Statement::parameterized(&sql, dialect), &sql)]
        {
            let found = (statement.summary().unwrap_or_default(), statement.text());
            if found != (expected, &**text) {
                mistakes.push(format!("{dialect:?} {sql}\n  is stored as {found:?} instead of {:?}", (expected, text)));
            }
        }
    }
    mistakes
}

const DATA: &str = include_str!("data/statements.txt");

#[test]
fn every_statement_has_its_summary_and_its_text() {
    let cases = cases(DATA);
    assert!(cases.len() >= 300, "{}", cases.len());
    for dialect in [Dialect::PostgreSql, Dialect::MySql, Dialect::Sqlite] {
        assert!(cases.iter().filter(|case| case.dialect == dialect).count() >= 50, "{dialect:?}");
    }
    let mistakes = mistakes(DATA);
    assert!(mistakes.is_empty(), "\n{}\n", mistakes.join("\n"));
}

#[test]
fn planted_mistakes_are_noticed() {
    let check = |data: &str, expected: &[&str]| {
        let found = mistakes(data);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found.iter().zip(expected).all(|(found, expected)| found.contains(expected)), "{found:?}");
    };
    check(
        "SELECT 1\n    SELECT x\n    |SELECT ?|",
        &[
            "is summarized as \"SELECT\" instead of \"SELECT x\"",
            "is stored as (\"SELECT\", \"SELECT ?\") instead of (\"SELECT x\", \"SELECT ?\")",
            "is stored as (\"SELECT\", \"SELECT 1\") instead of (\"SELECT x\", \"SELECT 1\")",
        ],
    );
    check(
        "SELECT 1\n    SELECT\n    =",
        &[
            "becomes \"SELECT ?\" instead of \"SELECT 1\"",
            "becomes \"SELECT ?\" when it is sanitized again",
            "is stored as (\"SELECT\", \"SELECT ?\") instead of (\"SELECT\", \"SELECT 1\")",
        ],
    );
    assert!(mistakes("SELECT 1\n    SELECT\n    |SELECT ?|").is_empty());
}

#[test]
fn a_summary_ends_between_two_words() {
    let long = "x".repeat(250);
    assert_eq!(summary(&format!("SELECT * FROM {long}, b"), Dialect::Generic), "SELECT");
    let fits = "x".repeat(248);
    assert_eq!(summary(&format!("SELECT * FROM {fits}, b"), Dialect::Generic), format!("SELECT {fits}"));
    // The limit counts characters.
    let wide = "é".repeat(248);
    assert_eq!(summary(&format!("SELECT * FROM {wide}"), Dialect::Generic), format!("SELECT {wide}"));
}
