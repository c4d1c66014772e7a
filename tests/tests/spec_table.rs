//! Checks that the conformance table names existing tests for its claims and has every row of the official matrix.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The number of rows in each section of the official matrix.
const ROWS: &[(&str, usize)] = &[
    ("Traces", 64),
    ("Baggage", 2),
    ("Metrics", 88),
    ("Logs", 18),
    ("Resource", 7),
    ("Context Propagation", 19),
    ("Environment Variables", 30),
    ("Declarative configuration", 13),
    ("Exporters", 45),
    ("SDK Self-Observability", 17),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[derive(Debug)]
struct Row {
    section: String,
    name: String,
    state: String,
    shown_by: String,
}

fn rows(page: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut section = String::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        }
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let (true, [name, state, shown_by]) = (line.starts_with('|'), &cells[..]) {
            if *name != "Row" {
                let [name, state, shown_by] = [name, state, shown_by].map(|cell| (*cell).to_owned());
                rows.push(Row { section: section.clone(), name, state, shown_by });
            }
        }
    }
    rows
}

/// Returns the test names in backquotes, in the form `path::name`.
fn tests(shown_by: &str) -> impl Iterator<Item = (&str, &str)> {
    shown_by.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::"))
}

/// Returns true if the file defines a test with this name: a function with a `test` attribute, or an entry in a macro
/// that generates tests.
fn has_test(text: &str, name: &str) -> bool {
    let starts = [format!("fn {name}("), format!("fn {name}<")];
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| starts.iter().any(|start| line.contains(start))) else { return false };
    let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("///"));
    let is_listed = lines.iter().any(|line| line.strip_suffix(',') == Some(name));
    attributes.into_iter().any(|line| line.contains("test]") || line.contains("::test("))
        || (text.contains("on_every_provider!(") && is_listed)
}

fn violations(rows: &[Row]) -> Vec<String> {
    let mut violations = Vec::new();
    for row in rows {
        let Row { name, state, shown_by, .. } = row;
        let count = tests(shown_by).count();
        match state.as_str() {
            "yes" if count == 0 => violations.push(format!("{name}: claimed, but no test is named")),
            "yes" => {}
            "API" | "not yet" | "n/a" if count > 0 => violations.push(format!("{name}: {state}, but a test is named")),
            "API" | "not yet" | "n/a" => {}
            other => violations.push(format!("{name}: the state {other:?} is not known")),
        }
        for (file, test) in tests(shown_by) {
            let path = format!("{file}.rs");
            match fs::read_to_string(root().join(&path)) {
                Ok(text) if has_test(&text, test) => {}
                Ok(_) => violations.push(format!("{name}: there is no test {test} in {path}")),
                Err(_) => violations.push(format!("{name}: there is no file {path}")),
            }
        }
    }
    violations
}

#[test]
fn every_claim_names_a_test_that_exists() {
    let rows = rows(&fs::read_to_string(root().join("docs/SPEC.md")).unwrap());
    assert_eq!(violations(&rows), [""; 0]);
}

/// The invariants in the architecture document must also name existing tests.
#[test]
fn the_architecture_names_tests_that_exist() {
    let shown_by = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap().replace("```", "");
    assert!(tests(&shown_by).count() > 15, "the tests were found");
    let [section, name, state] = ["", "an invariant", "yes"].map(str::to_owned);
    assert_eq!(violations(&[Row { section, name, state, shown_by }]), [""; 0]);
}

#[test]
fn no_row_of_the_matrix_is_left_out() {
    let mut counts = BTreeMap::new();
    for row in rows(&fs::read_to_string(root().join("docs/SPEC.md")).unwrap()) {
        *counts.entry(row.section).or_insert(0) += 1;
    }
    assert_eq!(counts, ROWS.iter().map(|(section, rows)| ((*section).to_owned(), *rows)).collect());
}

/// The summary must match the tables.
#[test]
fn the_summary_counts_the_rows() {
    let page = fs::read_to_string(root().join("docs/SPEC.md")).unwrap();
    let rows = rows(&page);
    let count = |state: &str| rows.iter().filter(|row| row.state == state).count();
    let summary = format!(
        "{} rows: {} yes, {} API, {} not yet, {} n/a.",
        rows.len(),
        count("yes"),
        count("API"),
        count("not yet"),
        count("n/a")
    );
    assert!(page.contains(&summary), "docs/SPEC.md should say: {summary}");
}

#[test]
fn a_false_claim_is_noticed() {
    let check = |line: &str, expected: &str| assert_eq!(violations(&rows(line)).join("\n"), expected, "{line}");
    check("| a | yes | `tests/tests/spec_table.rs::a_false_claim_is_noticed` |", "");
    check("| a | yes | `integrations/tower/tests/conventions.rs::statuses` |", "");
    check("| a | yes | |", "a: claimed, but no test is named");
    check("| a | yes | `tests/tests/spec_table.rs::gone` |", "a: there is no test gone in tests/tests/spec_table.rs");
    check(
        "| a | yes | `tests/tests/spec_table.rs::has_test` |",
        "a: there is no test has_test in tests/tests/spec_table.rs",
    );
    check("| a | yes | `gone.rs::x` |", "a: there is no file gone.rs");
    check("| a | perhaps | |", "a: the state \"perhaps\" is not known");
}
