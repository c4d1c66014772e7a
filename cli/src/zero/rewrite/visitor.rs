//! Walks through a syntax tree and collects what to insert.

use std::ops::Range;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    AttrStyle, Attribute, Block, ExprCall, ExprForLoop, ExprLoop, ExprMethodCall, ExprWhile, File, ImplItemFn,
    ImplItemMacro, Item, ItemFn, ItemImpl, ItemMacro, ItemMod, ItemTrait, ItemUse, Macro, Path, Token, TraitItemFn,
    TraitItemMacro, UseTree,
};

use super::calls::Calls;
use super::excluded::{self, Place};
use super::replaced::{self, PREFIX, Paths};
use super::surroundings::{Names, accepts, accepts_in, is_public, owner};
use super::syntax::{Lines, arguments, bytes, is_test, names, returned, statements};
use super::{Change, Insertion, Left, Rewritten, Role, Source, What, Why};
use crate::zero::rules::{Decision, Function, Rules};

/// Macros in place of items that define no functions.
const WITHOUT_FUNCTIONS: [&str; 2] = ["compile_error", "thread_local"];
/// The depth of types that traced futures in futures need.
const RECURSION_LIMIT: &str = "#![recursion_limit = \"256\"] ";

pub(super) struct Visitor<'a> {
    pub(super) source: &'a Source<'a>,
    rules: &'a Rules,
    /// The offset of the text that was parsed.
    pub(super) start: usize,
    lines: Lines,
    pub(super) rewritten: Rewritten,
    /// The modules around the current item, within the file.
    modules: Vec<String>,
    /// The type or the trait around the current method.
    owner: Option<String>,
    /// True within the trait implementation or the block of another macro that excludes its methods.
    excluded: Option<&'static str>,
    pub(super) in_test: bool,
    /// The number of functions around the current item.
    depth: usize,
    /// True within a function that has a span.
    pub(super) in_span: bool,
    pub(super) in_accept_loop: bool,
    names: Names,
    paths: Paths<'a>,
    pub(super) calls: Calls<'a>,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(source: &'a Source<'a>, rules: &'a Rules, start: usize) -> Self {
        Visitor {
            source,
            rules,
            start,
            lines: Lines::new(source.text),
            rewritten: Rewritten::default(),
            modules: Vec::new(),
            owner: None,
            excluded: None,
            in_test: source.role == Role::Test,
            depth: 0,
            in_span: false,
            in_accept_loop: false,
            names: Names::default(),
            paths: Paths::new(source, rules),
            calls: Calls::new(source, rules),
        }
    }

    pub(super) fn file(&mut self, file: &File) {
        self.names.add(&file.items);
        file.items.iter().for_each(|item| self.visit_item(item));
        if self.source.module.is_empty() {
            self.root(file);
        }
    }

    /// Adds what a whole crate needs to its root.
    fn root(&mut self, file: &File) {
        let has_module = |item: &Item| matches!(item, Item::Mod(module) if module.ident == replaced::MODULE);
        if let (Some(module), Some(last), false) =
            (self.paths.module(), file.items.last(), file.items.iter().any(has_module))
        {
            let at = bytes(last).end;
            if self.change(What::Module, at, last) {
                self.insert(at, module, true);
            }
        }
        let has_limit = file.attrs.iter().any(|attribute| attribute.path().is_ident("recursion_limit"));
        let first = file.attrs.first().map(bytes).or_else(|| file.items.first().map(bytes));
        let has_spans = self.rewritten.changes.iter().any(|change| matches!(change.what, What::Span(..)));
        if let (Some(first), true, false) = (first, has_spans, has_limit) {
            // Before the attribute of the first item.
            let insertion =
                Insertion { offset: self.start + first.start, text: RECURSION_LIMIT.to_owned(), is_end: false };
            self.rewritten.insertions.insert(0, insertion);
        }
    }

    /// Inserts a text at an offset of the tree.
    pub(super) fn insert(&mut self, at: usize, text: String, is_end: bool) {
        self.rewritten.insertions.push(Insertion { offset: self.start + at, text, is_end });
    }

    /// Notes a change, unless it is known not to compile. Returns true if it is to be made.
    pub(super) fn change(&mut self, what: What, at: usize, node: &impl Spanned) -> bool {
        let offset = self.start + at;
        if self.source.left_out.contains(&offset) {
            return false;
        }
        let Range { start, end } = bytes(node);
        let lines = self.line(start)..=self.line(end);
        self.rewritten.changes.push(Change { what, lines, offset });
        true
    }

    /// Returns the line of an offset of the tree.
    fn line(&self, at: usize) -> usize {
        self.lines.number(self.start + at)
    }

    /// Decides about a function, and inserts its attribute. Returns true if it has a span.
    fn function(&mut self, place: &Place<'_>, node: &impl Spanned, is_public: bool) -> bool {
        let Place { signature, body, .. } = *place;
        let name = signature.ident.unraw().to_string();
        let path: Vec<_> = self.here().into_iter().chain(self.owner.clone()).chain([name]).collect();
        let function = Function {
            path: path.join("::"),
            krate: self.source.krate,
            file: self.source.file,
            is_public,
            is_async: signature.asyncness.is_some(),
            statements: statements(body),
            returns: returned(&signature.output),
        };
        let excluded = if self.in_test { Some("test") } else { self.excluded.or_else(|| excluded::why(place)) };
        let at = bytes(node).start;
        let why = match excluded {
            Some(reason) => Why::Never(reason),
            None => match self.rules.decide(&function) {
                Decision::Off(by) => Why::By(by),
                Decision::None => Why::NoRule,
                Decision::Span(span, by) => {
                    if self.change(What::Span(function.path.clone(), by), at, node) {
                        self.insert(at, span.attribute(self.owner.as_deref()), false);
                        return true;
                    }
                    Why::DoesNotCompile
                }
            },
        };
        self.leave(function.path, at, why);
        false
    }

    /// Counts a call of a macro in place of an item. Functions that a macro defines within a function would have no span anyway.
    fn unseen(&mut self, of: &Macro) {
        let name = of.path.segments.last().map(|last| last.ident.unraw().to_string()).unwrap_or_default();
        if self.depth == 0 && !self.in_test && !WITHOUT_FUNCTIONS.contains(&name.as_str()) {
            *self.rewritten.macros.entry(name).or_default() += 1;
        }
    }

    /// Inserts `telemark::auto()` at the start of a program.
    fn main(&mut self, function: &ItemFn) {
        let has_it = self.source.text.contains("::telemark::auto()");
        if !self.rules.defaults.main || has_it {
            return;
        }
        let inner = function.attrs.iter().filter(|attribute| matches!(attribute.style, AttrStyle::Inner(_)));
        let brace = function.block.brace_token.span.open();
        let at = inner.map(|attribute| bytes(attribute).end).max().unwrap_or(brace.byte_range().end);
        if self.change(What::Main, at, &brace) {
            self.insert(at, " let _telemark = ::telemark::auto();".to_owned(), false);
        } else {
            self.leave("main".to_owned(), at, Why::NotStarted);
        }
    }

    /// Notes what is left alone.
    pub(super) fn leave(&mut self, path: String, at: usize, why: Why) {
        let line = self.line(at);
        self.rewritten.left.push(Left { path, line, why });
    }

    /// Visits a body, with what surrounds it.
    fn inside(&mut self, has_span: bool, visit: impl FnOnce(&mut Self)) {
        let outer = (self.in_span, self.in_accept_loop, self.excluded);
        (self.in_span, self.in_accept_loop, self.excluded) = (has_span, false, None);
        self.depth += 1;
        visit(self);
        self.depth -= 1;
        (self.in_span, self.in_accept_loop, self.excluded) = outer;
    }

    /// Visits a loop. One that accepts connections does not hand its context on: all connections would be one trace.
    fn in_loop(&mut self, body: &Block, visit: impl FnOnce(&mut Self)) {
        let outer = self.in_accept_loop;
        self.in_accept_loop |= accepts(body);
        visit(self);
        self.in_accept_loop = outer;
    }

    /// Lets a path lead to the module of the root, if it begins with a replaced crate.
    fn replace(&mut self, first: &Ident, colons: Option<&Token![::]>, reached: Option<usize>) {
        let Some(edge) = reached.filter(|_| colons.is_some() || !self.names.hides(first)) else { return };
        let (at, prefix) = match colons {
            Some(colons) => (bytes(colons).start, PREFIX.trim_end_matches("::")),
            None => (bytes(first).start, PREFIX),
        };
        if self.change(What::Path(edge), at, first) {
            self.insert(at, prefix.to_owned(), false);
        }
    }

    /// Returns the path of the module around the current item.
    fn here(&self) -> Vec<String> {
        let outer = std::iter::once(self.source.krate).chain(self.source.module.iter().map(String::as_str));
        outer.map(str::to_owned).chain(self.modules.iter().cloned()).collect()
    }

    /// Returns the path of a function or a method from its crate on.
    pub(super) fn full_path(&self, path: &Path) -> Vec<String> {
        let names = names(path);
        if path.leading_colon.is_some() { names } else { self.names.full(names, &self.here(), self.owner.as_deref()) }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    /// Attributes belong to other macros, or to the compiler.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    /// Macros may do anything with their tokens, except those of the standard library that are known.
    fn visit_macro(&mut self, of: &'ast Macro) {
        arguments(of).iter().for_each(|argument| self.visit_expr(argument));
    }

    fn visit_item_macro(&mut self, of: &'ast ItemMacro) {
        // A definition has a name, and defines its functions where it is called.
        if of.ident.is_none() && !is_test(&of.attrs) {
            self.unseen(&of.mac);
        }
        visit::visit_item_macro(self, of);
    }

    fn visit_impl_item_macro(&mut self, of: &'ast ImplItemMacro) {
        self.unseen(&of.mac);
        visit::visit_impl_item_macro(self, of);
    }

    fn visit_trait_item_macro(&mut self, of: &'ast TraitItemMacro) {
        self.unseen(&of.mac);
        visit::visit_trait_item_macro(self, of);
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        self.names.import(&import.tree);
        let mut trees = vec![&import.tree];
        while let Some(tree) = trees.pop() {
            let first = match tree {
                UseTree::Path(path) => &path.ident,
                UseTree::Name(name) => &name.ident,
                UseTree::Rename(rename) => &rename.ident,
                UseTree::Group(group) => {
                    trees.extend(&group.items);
                    continue;
                }
                UseTree::Glob(_) => continue,
            };
            // In a group behind colons, there is no place for a prefix.
            let is_grouped = !std::ptr::eq(tree, &raw const import.tree);
            if import.leading_colon.is_none() || !is_grouped {
                let reached = self.paths.imported(tree, &[]);
                self.replace(first, import.leading_colon.as_ref(), reached);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if let (Some(first), 2..) = (path.segments.first(), path.segments.len()) {
            let reached = self.paths.reached(&names(path));
            self.replace(&first.ident, path.leading_colon.as_ref(), reached);
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if module.ident == replaced::MODULE {
            return;
        }
        self.names.add(module.content.iter().flat_map(|(_, items)| items));
        let outer = self.in_test;
        self.in_test |= is_test(&module.attrs);
        self.modules.push(module.ident.unraw().to_string());
        visit::visit_item_mod(self, module);
        self.modules.pop();
        self.in_test = outer;
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        let is_main = self.source.role == Role::Binary
            && function.sig.ident == "main"
            && (self.depth, self.modules.len(), self.in_test) == (0, 0, false);
        let place = Place { attributes: &function.attrs, signature: &function.sig, body: &function.block };
        let outer = (self.owner.take(), self.in_test);
        self.in_test |= is_test(&function.attrs);
        let has_span = match (is_main, self.depth) {
            (true, _) => {
                self.main(function);
                false
            }
            (false, 0) => self.function(&place, function, is_public(&function.vis)),
            // A function within a function is a detail of it.
            (false, _) => false,
        };
        self.inside(has_span, |visitor| visit::visit_item_fn(visitor, function));
        (self.owner, self.in_test) = outer;
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        let outer = (self.owner.take(), self.excluded, self.in_test);
        self.owner = owner(block);
        self.excluded = excluded::block(&block.attrs, block.trait_.as_ref().map(|(path, _)| path));
        self.in_test |= is_test(&block.attrs);
        visit::visit_item_impl(self, block);
        (self.owner, self.excluded, self.in_test) = outer;
    }

    fn visit_impl_item_fn(&mut self, method: &'ast ImplItemFn) {
        let place = Place { attributes: &method.attrs, signature: &method.sig, body: &method.block };
        // The methods of a trait are as public as the trait, which is not known here.
        let has_span = self.depth == 0 && self.function(&place, method, is_public(&method.vis));
        self.inside(has_span, |visitor| visit::visit_impl_item_fn(visitor, method));
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        let outer = (self.owner.take(), self.excluded, self.in_test);
        self.owner = Some(item.ident.unraw().to_string());
        self.excluded = excluded::block(&item.attrs, None);
        self.in_test |= is_test(&item.attrs);
        visit::visit_item_trait(self, item);
        (self.owner, self.excluded, self.in_test) = outer;
    }

    fn visit_trait_item_fn(&mut self, method: &'ast TraitItemFn) {
        let has_span = match &method.default {
            Some(body) if self.depth == 0 => {
                let place = Place { attributes: &method.attrs, signature: &method.sig, body };
                self.function(&place, method, true)
            }
            _ => false,
        };
        self.inside(has_span, |visitor| visit::visit_trait_item_fn(visitor, method));
    }

    fn visit_expr_loop(&mut self, of: &'ast ExprLoop) {
        self.in_loop(&of.body, |visitor| visit::visit_expr_loop(visitor, of));
    }

    fn visit_expr_while(&mut self, of: &'ast ExprWhile) {
        let outer = self.in_accept_loop;
        self.in_accept_loop |= accepts_in(&of.cond);
        self.in_loop(&of.body, |visitor| visit::visit_expr_while(visitor, of));
        self.in_accept_loop = outer;
    }

    fn visit_expr_for_loop(&mut self, of: &'ast ExprForLoop) {
        let outer = self.in_accept_loop;
        self.in_accept_loop |= accepts_in(&of.expr);
        self.in_loop(&of.body, |visitor| visit::visit_expr_for_loop(visitor, of));
        self.in_accept_loop = outer;
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        self.call(call);
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if let Some((edge, at)) = self.paths.migrated_pool(call) {
            if self.change(What::Path(edge), at, call) {
                self.insert(at, "*".to_owned(), false);
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}
