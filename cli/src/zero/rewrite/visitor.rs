//! Walks through a syntax tree and collects what to insert.

use std::collections::HashMap;
use std::ops::Range;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    AttrStyle, Attribute, Block, Expr, ExprCall, ExprForLoop, ExprLoop, ExprMethodCall, ExprWhile, File, ImplItemFn,
    Item, ItemFn, ItemImpl, ItemMod, ItemTrait, ItemUse, Macro, Path, TraitItemFn, UseTree,
};

use super::excluded::{self, Place};
use super::replaced;
use super::surroundings::{accepts, accepts_in, collect, is_public, owner};
use super::syntax::{Lines, bytes, is_test, names, returned, statements};
use super::{Change, Insertion, Left, Rewritten, Role, Source, What, Why};
use crate::zero::rules::{Decision, Function, Rules};

/// The attribute and the prefix of what the visitor inserts.
const PROPAGATE: &str = "::telemark::propagate(";
/// The depth of types that traced futures in futures need.
const RECURSION_LIMIT: &str = "#![recursion_limit = \"256\"] ";

pub(super) struct Visitor<'a> {
    source: &'a Source<'a>,
    rules: &'a Rules,
    /// The offset of the text that was parsed.
    start: usize,
    lines: Lines,
    pub(super) rewritten: Rewritten,
    /// The modules around the current item, within the file.
    modules: Vec<String>,
    /// The type or the trait around the current method.
    owner: Option<String>,
    /// True within the trait implementation or the block of another macro that excludes its methods.
    excluded: Option<&'static str>,
    in_test: bool,
    /// The number of functions around the current item.
    depth: usize,
    /// True within a function that has a span.
    in_span: bool,
    in_accept_loop: bool,
    /// The full paths of imported names.
    imports: HashMap<String, Vec<String>>,
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
            imports: HashMap::new(),
        }
    }

    pub(super) fn file(&mut self, file: &File) {
        for item in &file.items {
            if let Item::Use(import) = item {
                collect(&import.tree, &[], &mut self.imports);
            }
        }
        file.items.iter().for_each(|item| self.visit_item(item));
        if self.source.module.is_empty() {
            self.root(file);
        }
    }

    /// Adds what a whole crate needs to its root.
    fn root(&mut self, file: &File) {
        let has_module = |item: &Item| matches!(item, Item::Mod(module) if module.ident == replaced::MODULE);
        if let (Some(module), Some(last), false) =
            (replaced::sqlx(self.source.edges, self.rules), file.items.last(), file.items.iter().any(has_module))
        {
            self.insert(bytes(last).end, module, true);
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
    fn insert(&mut self, at: usize, text: String, is_end: bool) {
        self.rewritten.insertions.push(Insertion { offset: self.start + at, text, is_end });
    }

    /// Notes a change, unless it is known not to compile. Returns true if it is to be made.
    fn change(&mut self, what: What, at: usize, node: &impl Spanned) -> bool {
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
        let segments = [self.source.krate].into_iter().chain(self.source.module.iter().map(String::as_str));
        let inner = self.modules.iter().map(String::as_str).chain(self.owner.as_deref()).chain([name.as_str()]);
        let function = Function {
            path: segments.chain(inner).collect::<Vec<_>>().join("::"),
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
        let line = self.line(at);
        self.rewritten.left.push(Left { path: function.path, line, why });
        false
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
        }
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

    /// Wraps an expression.
    fn wrap(&mut self, node: &impl Spanned, before: &str, after: &str) {
        let range = bytes(node);
        self.insert(range.start, before.to_owned(), false);
        // The end of an inner expression comes before that of an outer one, which is visited first.
        let at = self.start + range.end;
        let first = self.rewritten.insertions.iter().position(|other| other.is_end && other.offset == at);
        let insertion = Insertion { offset: at, text: after.to_owned(), is_end: true };
        let position = first.unwrap_or(self.rewritten.insertions.len());
        self.rewritten.insertions.insert(position, insertion);
    }

    fn serve(&mut self, call: &ExprCall) {
        let Some(mut router) = call.args.iter().nth(1) else { return };
        while let Expr::MethodCall(ExprMethodCall { receiver, method, .. }) = router {
            if !method.to_string().starts_with("into_make_service") {
                break;
            }
            router = receiver;
        }
        let text = &self.source.text[self.start..][bytes(router)];
        if text.contains("::telemark::axum::layer()") {
            return;
        }
        if self.change(What::Axum, bytes(call).start, call) {
            self.wrap(router, "(", ").layer(::telemark::axum::layer())");
        }
    }

    fn spawn(&mut self, call: &ExprCall) {
        let Some(task) = call.args.first().filter(|_| call.args.len() == 1) else { return };
        let text = &self.source.text[self.start..][bytes(task)];
        if text.starts_with(PROPAGATE) || text.contains("telemark::propagate") {
            return;
        }
        if self.change(What::Spawn, bytes(call).start, call) {
            self.wrap(task, PROPAGATE, ")");
        }
    }

    /// Lets a path that begins with this name lead to Telemark's crate.
    fn replace(&mut self, first: &Ident) {
        let Some((krate, prefix)) = replaced::prefix(first, self.source.edges, self.rules) else { return };
        let at = bytes(first).start;
        if self.change(What::Path(krate), at, first) {
            self.insert(at, prefix, false);
        }
    }

    fn full_path(&self, path: &Path) -> Vec<String> {
        let names = names(path);
        match names.first().and_then(|first| self.imports.get(first)) {
            Some(full) if path.leading_colon.is_none() => [full, &names[1..]].concat(),
            _ => names,
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    /// Attributes belong to other macros, or to the compiler.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    /// Macros may do anything with their tokens.
    fn visit_macro(&mut self, _: &'ast Macro) {}

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        collect(&import.tree, &[], &mut self.imports);
        if import.leading_colon.is_some() {
            return;
        }
        let mut trees = vec![&import.tree];
        while let Some(tree) = trees.pop() {
            match tree {
                UseTree::Path(path) => self.replace(&path.ident),
                UseTree::Name(name) => self.replace(&name.ident),
                UseTree::Rename(rename) => self.replace(&rename.ident),
                UseTree::Group(group) => trees.extend(&group.items),
                UseTree::Glob(_) => {}
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if let (None, Some(first), 2..) = (&path.leading_colon, path.segments.first(), path.segments.len()) {
            self.replace(&first.ident);
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if module.ident == replaced::MODULE {
            return;
        }
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
        if let (Expr::Path(function), false) = (&*call.func, self.in_test) {
            let full = self.full_path(&function.path);
            let full: Vec<_> = full.iter().map(String::as_str).collect();
            match full.as_slice() {
                ["axum", "serve"] if self.source.edges.axum && self.rules.defaults.axum && call.args.len() == 2 => {
                    self.serve(call);
                }
                ["tokio", "spawn"] | ["tokio", "task", "spawn"]
                    if self.rules.defaults.spawn && self.in_span && !self.in_accept_loop =>
                {
                    self.spawn(call);
                }
                _ => {}
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        // `sqlx::migrate!().run(&pool)` takes sqlx's own pool.
        if let Some(at) = replaced::migrated_pool(call, self.source.edges, self.rules) {
            if self.change(What::Path("sqlx"), at, call) {
                self.insert(at, "*".to_owned(), false);
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}
