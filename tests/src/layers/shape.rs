//! The shape of files and folders: the first line and the length of a file, the number of files in a folder, and language
//! features that the oldest supported compiler does not support.

use std::collections::BTreeMap;

use super::code::{without_comments_and_texts, without_tests};
use super::workspace::SourceFile;

/// The maximum number of lines of a production file, excluding tests.
const MAX_LINES: usize = 420;
/// The maximum number of lines of code in a `mod.rs` or `lib.rs`, which should hold only documentation and re-exports.
const MAX_ROOT_LINES: usize = 120;
/// The maximum number of production files in a folder, excluding `mod.rs`, `lib.rs` and `main.rs`.
const MAX_FILES: usize = 12;

/// Returns every file and folder that violates the style.
pub fn shape_violations(files: &[SourceFile]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    // trybuild inputs are exempt, because the expected messages contain their first lines.
    for file in files.iter().filter(|file| !file.path.contains("/ui/")) {
        let path = &file.path;
        // A crate's documentation may be its README, and attributes may precede it.
        let first = file.text.lines().find(|line| !line.starts_with("#![") || line.starts_with("#![doc"));
        if !first.is_some_and(|line| line.starts_with("//!") || line.starts_with("#![doc")) {
            violations.push(format!("{path}: the first line should say with `//!` what the file owns"));
        }
        let is_test = path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "examples" | "benches"));
        if is_test && !path.starts_with("tests/src/") && !path.starts_with("benches/src/") {
            continue;
        }
        if let Some((folder, name)) = path.rsplit_once('/')
            && !matches!(name, "mod.rs" | "lib.rs" | "main.rs")
            && !is_test_file(name)
        {
            *folders.entry(folder).or_default() += 1;
        }
        let code = without_tests(&without_comments_and_texts(&file.text));
        // Comments are blanked but still counted; the tests at the end are not.
        let lines = code.trim_end().lines().count();
        if lines > MAX_LINES {
            violations.push(format!("{path}: {lines} lines without tests, more than {MAX_LINES}; make it two"));
        }
        let is_root = path.ends_with("/mod.rs") || path.ends_with("/lib.rs");
        let of_code = code.lines().filter(|line| !line.trim().is_empty()).count();
        if is_root && of_code > MAX_ROOT_LINES {
            violations.push(format!(
                "{path}: {of_code} lines of code, more than {MAX_ROOT_LINES}; it is for documentation and re-exports"
            ));
        }
        // Rust 1.85, the oldest supported compiler, rejects let chains, and no lint detects them.
        if let Some(line) = code.lines().position(|line| line.contains("&& let ")) {
            violations.push(format!("{path}:{}: `&& let` needs Rust 1.88, and crates promise 1.85", line + 1));
        }
    }
    for (folder, files) in folders.into_iter().filter(|(_, files)| *files > MAX_FILES) {
        violations.push(format!("{folder}: {files} files, more than {MAX_FILES}; make it two folders"));
    }
    violations
}

/// Returns true for a file that holds the tests of a neighbouring file.
fn is_test_file(name: &str) -> bool {
    name.ends_with("_tests.rs") || name.ends_with("_suite.rs")
}
