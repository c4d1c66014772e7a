//! The paths that the expansion of `#[traced]` may name: within this workspace, only `::telemark::__private`.

use super::code::{tokens, without_comments_and_texts, without_tests};
use super::workspace::SourceFile;

/// Returns every path in the generated code that leads elsewhere.
pub fn macro_violations(files: &[SourceFile]) -> Vec<String> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with("macros/expand/src/")) {
        let code = without_tests(&without_comments_and_texts(&file.text));
        let tokens: Vec<_> = tokens(&code).collect();
        for (at, token) in tokens.iter().enumerate() {
            let follows = |expected: &[&str]| tokens[at + 1..].starts_with(expected);
            let is_path = follows(&["::"]);
            let is_private = *token == "telemark" && follows(&["::", "__private"]);
            if is_path && !is_private && (token.starts_with("telemark") || token.starts_with("opentelemetry")) {
                let next = tokens.get(at + 2).unwrap_or(&"");
                violations.push(format!(
                    "{} names {token}::{next}: an expansion names ::telemark::__private only",
                    file.path
                ));
            }
        }
    }
    violations
}
