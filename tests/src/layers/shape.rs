//! The shape of files and folders: the first line and the length of a file, the number of files in a folder, and features of
//! the language that are too new.

use std::collections::BTreeMap;

use super::code::{without_comments_and_texts, without_tests};
use super::workspace::SourceFile;

/// Maximum number of lines of a production file, its tests aside.
const MAX_LINES: usize = 420;
/// Maximum number of lines of code in a `mod.rs` or `lib.rs`, which holds documentation and re-exports.
const MAX_ROOT_LINES: usize = 120;
/// Maximum number of production files in a folder, beside its `mod.rs`, `lib.rs` or `main.rs`.
const MAX_FILES: usize = 12;

/// Returns every file and folder that breaks the style.
pub fn shape_violations(files: &[SourceFile]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    // Files for trybuild are input, whose first lines show up in the expected messages.
    for file in files.iter().filter(|file| !file.path.contains("/ui/")) {
        let path = &file.path;
        // The page of a crate may be its README, and attributes may stand above it.
        let first = file.text.lines().find(|line| !line.starts_with("#![") || line.starts_with("#![doc"));
        if !first.is_some_and(|line| line.starts_with("//!") || line.starts_with("#![doc")) {
            violations.push(format!("{path}: the first line is to say with `//!` what the file owns"));
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
        // Comments count, as blank lines; the tests at the end do not.
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
        // The oldest supported compiler, 1.85, does not know these, and no lint tells.
        if let Some(line) = code.lines().position(|line| line.contains("&& let ")) {
            violations.push(format!("{path}:{}: `&& let` needs Rust 1.88, and crates promise 1.85", line + 1));
        }
    }
    for (folder, files) in folders.into_iter().filter(|(_, files)| *files > MAX_FILES) {
        violations.push(format!("{folder}: {files} files, more than {MAX_FILES}; make it two folders"));
    }
    violations
}

/// Returns true for tests in a file of their own beside the tested file.
fn is_test_file(name: &str) -> bool {
    name.ends_with("_tests.rs") || name.ends_with("_suite.rs")
}
