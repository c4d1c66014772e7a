//! Source files as syntax trees: offsets in bytes, and the attributes that matter.

use std::ops::Range;

use proc_macro2::extra::invalidate_current_thread_spans;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Expr, File, Item, Macro, Meta, PathSegment, ReturnType, Stmt, Token, Type};

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
            list.parse_args().is_ok_and(|condition| !Outcomes::without_tests(&condition).can_hold)
        }
        _ => false,
    })
}

/// The possible results of a condition of `cfg`. Nothing is known about its parts except `test`.
#[derive(Clone, Copy)]
struct Outcomes {
    can_hold: bool,
    can_fail: bool,
}

impl Outcomes {
    const ANY: Outcomes = Outcomes { can_hold: true, can_fail: true };

    /// Evaluates a condition for a build without tests.
    fn without_tests(condition: &Meta) -> Outcomes {
        let Meta::List(list) = condition else {
            return Outcomes { can_hold: !condition.path().is_ident("test"), ..Outcomes::ANY };
        };
        let Ok(parts) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else {
            return Outcomes::ANY;
        };
        let parts: Vec<_> = parts.iter().map(Outcomes::without_tests).collect();
        let (every, some) = (
            |holds: fn(&Outcomes) -> bool| parts.iter().all(holds),
            |holds: fn(&Outcomes) -> bool| parts.iter().any(holds),
        );
        match list.path.get_ident().map(ToString::to_string).as_deref() {
            Some("all") => Outcomes { can_hold: every(|part| part.can_hold), can_fail: some(|part| part.can_fail) },
            Some("any") => Outcomes { can_hold: some(|part| part.can_hold), can_fail: every(|part| part.can_fail) },
            Some("not") => Outcomes { can_hold: every(|part| part.can_fail), can_fail: every(|part| part.can_hold) },
            _ => Outcomes::ANY,
        }
    }
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

/// Macros that evaluate their arguments, and do not show their text, as `assert!` does.
const EVALUATING: [&str; 16] = [
    "assert_eq",
    "assert_ne",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "join",
    "panic",
    "print",
    "println",
    "try_join",
    "unimplemented",
    "unreachable",
    "vec",
    "write",
    "writeln",
];

/// Returns the arguments of a macro that evaluates them, and none of any other.
pub(crate) fn arguments(of: &Macro) -> Vec<Expr> {
    let is_evaluating = of.path.segments.last().is_some_and(|last| EVALUATING.iter().any(|name| last.ident == name));
    if !is_evaluating {
        return Vec::new();
    }
    let arguments = of.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
    arguments.map(|arguments| arguments.into_iter().collect()).unwrap_or_default()
}

/// The lines of a text, by the offsets at which they end: finding one does not read the text again.
#[derive(Debug)]
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn new(text: &str) -> Lines {
        Lines(text.match_indices('\n').map(|(offset, _)| offset).collect())
    }

    /// Returns the number of the line with this offset, counted from 1.
    pub(crate) fn number(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

/// Returns the bytes of a node.
pub(crate) fn bytes(node: &impl syn::spanned::Spanned) -> Range<usize> {
    let span = node.span();
    // The span of a node whose tokens are of one file covers all of them.
    span.byte_range()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_tests_belongs_to_them() {
        let is_test = |condition: &str| {
            let item: syn::ItemStruct = syn::parse_str(&format!("#[cfg({condition})] struct A;")).unwrap();
            is_test(&item.attrs)
        };
        for condition in [
            "test",
            "all(test, unix)",
            "all(unix, any(test, test))",
            "not(not(test))",
            "not(any(not(test), unix))",
            "any(all(test, feature = \"a\"), all(test, unix))",
        ] {
            assert!(is_test(condition), "{condition}");
        }
        for condition in [
            "unix",
            "not(test)",
            "all(not(test), unix)",
            "any(test, unix)",
            "not(all(test, unix))",
            "all(any(test, feature = \"test\"), unix)",
            "feature = \"test\"",
            "all()",
        ] {
            assert!(!is_test(condition), "{condition}");
        }
    }

    #[test]
    fn lines_are_counted_from_one() {
        let lines = Lines::new("a\nb\n\nc");
        assert_eq!([0, 1, 2, 4, 5].map(|offset| lines.number(offset)), [1, 1, 2, 3, 4]);
    }
}
