//! The line that starts telemetry at the beginning of `main`.

use std::collections::HashMap;

use syn::{AttrStyle, Expr, File, Item, ItemFn, ReturnType, Stmt};

use super::edits::{Edit, indent, line_break};
use crate::zero::rewrite::surroundings::collect;
use crate::zero::rewrite::syntax::bytes;

/// What the program logs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logs {
    /// Another library than `tracing`.
    Other,
    /// `tracing`, with no subscriber or with one that Telemark's lines replace.
    Tracing,
}

/// The error types to which `?` converts any error.
const ANY_ERROR: [&str; 6] = [
    "anyhow::Result",
    "eyre::Result",
    "color_eyre::Result",
    "color_eyre::eyre::Result",
    "anyhow::Error",
    "eyre::Report",
];
/// Subscribers that Telemark's lines replace, as tokens without white space.
const REPLACED: [&str; 2] = ["tracing_subscriber::fmt().init();", "tracing_subscriber::fmt::init();"];

/// Returns true if a subscriber is one that Telemark's lines replace.
pub(crate) fn is_replaced(path: &str) -> bool {
    matches!(path, "tracing_subscriber::fmt" | "tracing_subscriber::fmt::init")
}

/// Returns true if `main` has a subscriber that Telemark's lines replace.
pub(crate) fn has_subscriber(tree: &File, text: &str, start: usize) -> bool {
    let mut statements = main_of(tree).into_iter().flat_map(|main| &main.block.stmts);
    statements.any(|statement| is_subscriber(statement, &text[start..]))
}

fn main_of(tree: &File) -> Option<&ItemFn> {
    tree.items.iter().find_map(|item| match item {
        Item::Fn(function) if function.sig.ident == "main" => Some(function),
        _ => None,
    })
}

/// Returns the edit, if the file has a `main`.
pub(crate) fn edit(tree: &File, text: &str, start: usize, logs: Logs) -> Option<Edit> {
    let main = main_of(tree)?;
    let line = line(returns_any_error(tree, main, &text[start..]), logs);
    if logs == Logs::Tracing {
        let subscriber = main.block.stmts.iter().find(|statement| is_subscriber(statement, &text[start..]));
        if let Some(range) = subscriber.map(bytes) {
            return Some(Edit { range: start + range.start..start + range.end, text: line });
        }
    }
    let inner = main.attrs.iter().filter(|attribute| matches!(attribute.style, AttrStyle::Inner(_)));
    let brace = main.block.brace_token.span.open().byte_range().end;
    let at = start + inner.map(|attribute| bytes(attribute).end).max().unwrap_or(brace);
    let first = main.block.stmts.first().and_then(|statement| indent(text, start + bytes(statement).start));
    Some(Edit::insert(
        at,
        match (first, main.block.stmts.is_empty()) {
            (Some(indent), _) => format!("{}{indent}{line}", line_break(text)),
            (None, false) => format!(" {line}"),
            (None, true) => format!(" {line} "),
        },
    ))
}

fn line(returns_any_error: bool, logs: Logs) -> String {
    let started = match (returns_any_error, logs) {
        (true, Logs::Other) => "telemark::init()?",
        (false, Logs::Other) => "telemark::auto()",
        (true, Logs::Tracing) => "telemark::builder().with_instrumentation(telemark::tracing::install).init()?",
        (false, Logs::Tracing) => {
            "telemark::builder().with_instrumentation(telemark::tracing::install).init()\
             .map_err(|error| eprintln!(\"no telemetry: {error}\")).ok()"
        }
    };
    format!("let _telemetry = {started};")
}

fn is_subscriber(statement: &Stmt, text: &str) -> bool {
    let shown: String = text[bytes(statement)].chars().filter(|char| !char.is_whitespace()).collect();
    matches!(statement, Stmt::Expr(Expr::MethodCall(_) | Expr::Call(_), _)) && REPLACED.contains(&&*shown)
}

/// Returns true if `?` converts the error of `init` into that of `main`.
fn returns_any_error(tree: &File, main: &ItemFn, text: &str) -> bool {
    let ReturnType::Type(_, returned) = &main.sig.output else { return false };
    let shown: String = text[bytes(returned)].chars().filter(|char| !char.is_whitespace()).collect();
    let mut imports = HashMap::new();
    for item in &tree.items {
        if let Item::Use(import) = item {
            collect(&import.tree, &[], &mut imports);
        }
    }
    let first = shown.split(['<', ':']).next().unwrap_or_default();
    let full = imports.get(first).map(|path| path.join("::")).unwrap_or_default();
    let full = format!("{full}{}", shown.strip_prefix(first).unwrap_or_default());
    let is_boxed = shown.contains("Box<dyn") && shown.contains("Error");
    let is_any = |shown: &str| {
        let of_result = |name: &str| shown.starts_with(name) && !shown[name.len()..].contains(',');
        ANY_ERROR.iter().any(|name| match name.ends_with("Result") {
            true => of_result(name),
            false => shown.contains(&format!(",{name}>")),
        })
    };
    is_boxed || is_any(&shown) || is_any(&full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::add::edits::apply;
    use crate::zero::rewrite::syntax::parse;

    #[track_caller]
    fn check(text: &str, logs: Logs, expected: &str) {
        let (start, tree) = parse(text).unwrap();
        let edit = edit(&tree, text, start, logs).unwrap();
        assert_eq!(apply(text, vec![edit]), expected);
    }

    #[test]
    fn the_line_fits_to_what_main_returns() {
        let source = |returns: &str, line: &str| {
            let line = if line.is_empty() { String::new() } else { format!("\n    let _telemetry = {line};") };
            format!("use anyhow::Result;\n#[tokio::main]\nasync fn main(){returns} {{{line}\n    run().await\n}}\n")
        };
        for returns in [
            " -> Result<()>",
            " -> anyhow::Result<ExitCode>",
            " -> std::result::Result<(), Box<dyn std::error::Error>>",
            " -> std::result::Result<(), anyhow::Error>",
        ] {
            check(&source(returns, ""), Logs::Other, &source(returns, "telemark::init()?"));
        }
        for returns in ["", " -> std::io::Result<()>", " -> Result<(), io::Error>", " -> ExitCode"] {
            check(&source(returns, ""), Logs::Other, &source(returns, "telemark::auto()"));
        }
    }

    #[test]
    fn lines_of_tracing_replace_a_subscriber() {
        let install = "telemark::builder().with_instrumentation(telemark::tracing::install).init()";
        check(
            "fn main() -> anyhow::Result<()> {\n    a();\n    tracing_subscriber::fmt()\n        .init();\n    b()\n}",
            Logs::Tracing,
            &format!("fn main() -> anyhow::Result<()> {{\n    a();\n    let _telemetry = {install}?;\n    b()\n}}"),
        );
        check(
            "fn main() {\r\n\t#![allow(x)]\r\n\ta();\r\n}",
            Logs::Tracing,
            &format!(
                "fn main() {{\r\n\t#![allow(x)]\r\n\tlet _telemetry = {install}.map_err(|error| eprintln!(\"no telemetry: {{error}}\")).ok();\r\n\ta();\r\n}}"
            ),
        );
    }

    #[test]
    fn a_body_on_one_line_stays_on_it() {
        check("fn main() { a() }", Logs::Other, "fn main() { let _telemetry = telemark::auto(); a() }");
        check("fn main() {}", Logs::Other, "fn main() { let _telemetry = telemark::auto(); }");
    }
}
