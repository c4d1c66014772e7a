//! Source files as syntax trees: offsets in bytes, and the attributes that matter.

use std::ops::Range;

use proc_macro2::extra::invalidate_current_thread_spans;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, File, Item, Meta, PathSegment, ReturnType, Stmt, Type};

/// Parses a source file. Returns the offset of the parsed text, which follows a byte order mark and a `#!` line.
///
/// Offsets in the tree, and in trees parsed before on this thread, are valid until the next call.
pub(crate) fn parse(text: &str) -> Result<(usize, File), String> {
    invalidate_current_thread_spans();
    let start = start(text);
    match syn::parse_str::<File>(&text[start..]) {
        Ok(file) => Ok((start, file)),
        Err(error) => Err(format!("line {}: {error}", error.span().start().line)),
    }
}

/// Returns the offset behind the byte order mark and the `#!` line, which are no tokens.
fn start(text: &str) -> usize {
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let rest = &text[mark..];
    let is_script = rest.starts_with("#!") && !rest[2..].trim_start().starts_with('[');
    mark + if is_script { rest.find('\n').unwrap_or(rest.len()) } else { 0 }
}

/// Returns the names of a path, as in `tokio::main`.
pub(crate) fn names(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// Returns the last name of an attribute: `main` for `#[tokio::main]`.
pub(crate) fn last_name(attribute: &Attribute) -> String {
    attribute.path().segments.last().map(|last| last.ident.to_string()).unwrap_or_default()
}

/// Returns true for an item that only tests compile.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string().replace(' ', "");
            condition == "test"
                || condition.starts_with("all(") && condition.split(['(', ',', ')']).any(|word| word == "test")
        }
        _ => false,
    })
}

/// Returns the number of statements in a body, with those of blocks inside, without those of functions inside.
pub(crate) fn statements(body: &Block) -> usize {
    struct Count(usize);
    impl<'ast> Visit<'ast> for Count {
        fn visit_stmt(&mut self, statement: &'ast Stmt) {
            self.0 += 1;
            visit::visit_stmt(self, statement);
        }

        fn visit_item(&mut self, _: &'ast Item) {}
    }
    let mut count = Count(0);
    count.visit_block(body);
    count.0
}

/// Returns the last name of the type that a function returns.
pub(crate) fn returned(output: &ReturnType) -> Option<String> {
    let ReturnType::Type(_, returned) = output else { return None };
    match &**returned {
        Type::Path(path) => path.path.segments.last().map(|PathSegment { ident, .. }| ident.to_string()),
        _ => None,
    }
}

/// Returns the bytes of a node.
pub(crate) fn bytes(node: &impl syn::spanned::Spanned) -> Range<usize> {
    let span = node.span();
    // The span of a node whose tokens are of one file covers all of them.
    span.byte_range()
}
