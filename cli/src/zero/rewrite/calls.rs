//! Calls that get something around them, or around one of their arguments.

use std::ops::Range;

use syn::{Expr, ExprCall, ExprMethodCall};

use super::syntax::bytes;
use super::visitor::Visitor;
use super::{Insertion, Source, What, Why};
use crate::zero::rules::Rules;
use crate::zero::rules::edges::{Act, Around, Edge};

/// The edges for the calls in a file, each with its index.
pub(super) struct Calls<'a>(Vec<(usize, &'a Edge)>);

impl<'a> Calls<'a> {
    pub(super) fn new(source: &Source<'a>, rules: &Rules) -> Calls<'a> {
        let is_meant = |edge: &Edge| {
            matches!(edge.act, Act::Call(..))
                && rules.is_for_crate(edge, source.krate)
                && rules.is_for_file(edge, source.file)
        };
        Calls(source.edges.active.iter().filter(|(_, edge)| is_meant(edge)).copied().collect())
    }

    /// Returns the first edge for a call with this path.
    fn matching(&self, path: &str, arguments: usize, hands_on: bool) -> Option<(usize, &'a Around)> {
        self.0.iter().find_map(|(index, edge)| match &edge.act {
            Act::Call(patterns, around)
                if around.argument.is_none_or(|(_, count)| count == arguments)
                    && (hands_on || !around.needs_span)
                    && patterns.iter().any(|pattern| pattern.matches(path)) =>
            {
                Some((*index, around))
            }
            _ => None,
        })
    }
}

impl Visitor<'_> {
    /// Puts the text of the first edge that matches around a call.
    pub(super) fn call(&mut self, call: &ExprCall) {
        let Expr::Path(function) = &*call.func else { return };
        if function.qself.is_some() || !call.attrs.is_empty() || self.in_test {
            return;
        }
        let path = self.full_path(&function.path);
        if path.first().is_some_and(|first| first == "telemark") {
            return;
        }
        let path = path.join("::");
        let hands_on = self.in_span && !self.in_accept_loop;
        let Some((edge, around)) = self.calls.matching(&path, call.args.len(), hands_on) else { return };
        let range = match around.argument.map(|(index, _)| call.args.iter().nth(index)) {
            None => bytes(call),
            Some(None) => return,
            Some(Some(argument)) => bytes(inner(argument, around.outside)),
        };
        let text = &self.source.text[self.start..];
        let (before, after) = (around.before.as_str(), around.after.as_str());
        let inside = &text[range.clone()];
        let is_around = inside.starts_with(before) && inside.ends_with(after);
        if is_around || text[..range.start].ends_with(before) && text[range.end..].starts_with(after) {
            return;
        }
        // A path within the call may be a change of its own, which begins where the call does.
        let at = call.paren_token.span.open().byte_range().start;
        if self.change(What::Call(edge), at, call) {
            self.surround(range, before, after);
        } else {
            self.leave(path, at, Why::NotAround);
        }
    }

    fn surround(&mut self, range: Range<usize>, before: &str, after: &str) {
        self.insert(range.start, before.to_owned(), false);
        // The end of an inner expression comes before that of an outer one, which is visited first.
        let at = self.start + range.end;
        let first = self.rewritten.insertions.iter().position(|other| other.is_end && other.offset == at);
        let insertion = Insertion { offset: at, text: after.to_owned(), is_end: true };
        let position = first.unwrap_or(self.rewritten.insertions.len());
        self.rewritten.insertions.insert(position, insertion);
    }
}

/// Returns an expression without the calls of methods at its end whose names begin in this way.
fn inner<'e>(expression: &'e Expr, outside: Option<&str>) -> &'e Expr {
    match (expression, outside) {
        (Expr::MethodCall(ExprMethodCall { receiver, method, .. }), Some(start))
            if method.to_string().starts_with(start) =>
        {
            inner(receiver, outside)
        }
        _ => expression,
    }
}
