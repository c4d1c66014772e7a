//! `cargo telemark explain` on a command-line tool, which has none of the edges that Telemark knows.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

const MANIFEST: &str = "[package]\nname = \"tally\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
const SOURCE: &str = "fn main() {\n    count();\n}\n\nfn count() {\n    let words = 1;\n    drop(words);\n}\n";

/// Checks what follows the list of functions in the report about the tool with these rules.
#[track_caller]
fn check(name: &str, rules: &str, expected: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain").join(name);
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), MANIFEST).unwrap();
    fs::write(folder.join("src/main.rs"), SOURCE).unwrap();
    fs::write(folder.join("telemark.toml"), rules).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-telemark"));
    let output = command.args(["telemark", "explain", "--offline"]).current_dir(&folder).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let notes = report.split_once("\n\n").map(|(_, notes)| notes);
    assert_eq!(notes, Some(expected), "{output:?}");
}

const NO_TRACES: &str =
    "nothing starts a trace: name a function that main calls in a rule of telemark.toml with span = \"root\"\n";

#[test]
fn a_tool_in_which_nothing_starts_a_trace_is_told_what_to_do() {
    check("plain", "", NO_TRACES);
    check("below", "[[rule]]\npath = \"tally::count\"\n", NO_TRACES);
    check("root", "[[rule]]\npath = \"tally::count\"\nspan = \"root\"\n", "");
    check("always", "[[rule]]\npath = \"tally::count\"\nspan = \"always\"\n", "");
}

#[test]
fn a_rule_after_one_that_decides_is_reported_as_one_that_decides_nothing() {
    let rules = "[[rule]]\npath = \"tally::*\"\nspan = \"root\"\n[[rule]]\npath = \"tally::count\"\nspan = \"off\"\n";
    let expected = "telemark.toml: the rule in line 4 decides nothing: it matches nothing, earlier rules decide first, or \
                    what it chooses does not compile\n";
    check("shadowed", rules, expected);
}
