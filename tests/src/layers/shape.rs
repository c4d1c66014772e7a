//! How a file begins, how long it may be, and what of the language it may not use yet.

use super::code::{without_comments_and_texts, without_tests};
use super::workspace::SourceFile;

/// Lines of a production file, its tests aside.
const LONGEST_FILE: usize = 420;
/// Lines of code in a `mod.rs` or `lib.rs`, which is documentation and re-exports.
const LONGEST_MODULE_ROOT: usize = 120;

/// Every file that breaks the style.
pub fn shape_violations(files: &[SourceFile]) -> Vec<String> {
    let mut violations = Vec::new();
    // What trybuild compiles is input, whose first lines show up in the expected messages.
    for file in files.iter().filter(|file| !file.path.contains("/ui/")) {
        let path = &file.path;
        // A crate's page may be its README, and its attributes may stand above.
        let first = file.text.lines().find(|line| !line.starts_with("#![") || line.starts_with("#![doc"));
        if !first.is_some_and(|line| line.starts_with("//!") || line.starts_with("#![doc")) {
            violations.push(format!("{path}: the first line is to say with `//!` what the file owns"));
        }
        let is_test = path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "examples" | "benches"));
        if is_test && !path.starts_with("tests/src/") && !path.starts_with("benches/src/") {
            continue;
        }
        let code = without_tests(&without_comments_and_texts(&file.text));
        // Comments count, being blank lines here; what follows the tests or stands above them does not.
        let lines = code.trim_end().lines().count();
        if lines > LONGEST_FILE {
            violations.push(format!("{path}: {lines} lines without tests, more than {LONGEST_FILE}; make it two"));
        }
        let is_root = path.ends_with("/mod.rs") || path.ends_with("/lib.rs");
        let of_code = code.lines().filter(|line| !line.trim().is_empty()).count();
        if is_root && of_code > LONGEST_MODULE_ROOT {
            violations.push(format!(
                "{path}: {of_code} lines of code, more than {LONGEST_MODULE_ROOT}; it is for documentation and re-exports"
            ));
        }
        // The oldest compiler that crates promise to work with, 1.85, does not know these; no lint tells.
        if let Some(line) = code.lines().position(|line| line.contains("&& let ")) {
            violations.push(format!("{path}:{}: `&& let` needs Rust 1.88, and crates promise 1.85", line + 1));
        }
    }
    violations
}
