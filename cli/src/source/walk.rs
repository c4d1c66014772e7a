//! Walks through the syntax tree of a file and collects its facts.

use std::collections::{BTreeSet, HashMap};

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, Expr, ExprAsync, ExprCall, ExprClosure, ExprForLoop, ExprLoop, ExprMethodCall, ExprWhile, File,
    FnArg, ImplItemFn, Item, ItemFn, ItemImpl, ItemMod, ItemTrait, ItemUse, Local, Macro, Pat, Path, ReturnType,
    Signature, Stmt, TraitItemFn,
};

use super::calls;
use super::facts::{Call, Drop, Facts, Function, Served, Spot};
use super::routed::{Translator, resolved, variable};
use crate::zero::rewrite::excluded::INSTRUMENTED;
use crate::zero::rewrite::surroundings::{accepts, accepts_in, collect, owner};
use crate::zero::rewrite::syntax::{Lines, arguments, bytes, is_test, last_name};

/// The crates whose mention says that telemetry is there.
const TELEMETRY: [&str; 12] = [
    "telemark",
    "telemark_axum",
    "telemark_tower",
    "telemark_hyper",
    "telemark_reqwest",
    "telemark_sqlx",
    "telemark_tonic",
    "telemark_tracing",
    "tower_http",
    "axum_tracing_opentelemetry",
    "tracing_opentelemetry",
    "tracing_subscriber",
];

/// The place of a file in its crate.
pub(super) struct Place<'a> {
    pub(super) file: usize,
    pub(super) text: &'a str,
    /// The offset of the text that was parsed.
    pub(super) start: usize,
    pub(super) module: &'a [String],
    pub(super) is_test: bool,
    /// True for the root of a program.
    pub(super) is_program: bool,
}

/// Collects the facts of a file.
pub(super) fn walk(tree: &File, place: &Place<'_>, facts: &mut Facts) {
    let mut walker = Walker {
        place,
        facts,
        lines: Lines::new(place.text),
        imports: HashMap::new(),
        modules: place.module.to_vec(),
        owner: None,
        of_trait: None,
        has_span: false,
        in_test: place.is_test,
        function: None,
        in_async: false,
        in_accept_loop: false,
    };
    tree.items.iter().for_each(|item| walker.import(item));
    walker.visit_file(tree);
}

struct Walker<'a> {
    place: &'a Place<'a>,
    facts: &'a mut Facts,
    lines: Lines,
    imports: HashMap<String, Vec<String>>,
    modules: Vec<String>,
    owner: Option<String>,
    of_trait: Option<String>,
    /// True within a block or a module whose functions have spans.
    has_span: bool,
    in_test: bool,
    /// The index of the function around the current expression.
    function: Option<usize>,
    in_async: bool,
    in_accept_loop: bool,
}

impl Walker<'_> {
    fn import(&mut self, item: &Item) {
        if let Item::Use(import) = item {
            collect(&import.tree, &[], &mut self.imports);
        }
    }

    fn line(&self, node: &impl Spanned) -> usize {
        self.lines.number(self.place.start + bytes(node).start)
    }

    fn text(&self, node: &impl Spanned) -> &str {
        self.place.text.get(self.place.start..).and_then(|text| text.get(bytes(node))).unwrap_or_default()
    }

    fn spot(&mut self, node: &impl Spanned, what: Call) {
        let Some(function) = self.function.filter(|_| !self.in_test) else { return };
        let line = self.line(node);
        let (file, in_accept_loop, in_async) = (self.place.file, self.in_accept_loop, self.in_async);
        self.facts.spots.push(Spot { file, line, function, what, in_accept_loop, in_async });
    }

    /// Notes a function and visits its body.
    fn function(
        &mut self,
        attributes: &[Attribute],
        signature: &Signature,
        body: &Block,
        visit: impl FnOnce(&mut Self),
    ) {
        let outer_imports = self.imports.clone();
        for statement in &body.stmts {
            if let Stmt::Item(item) = statement {
                self.import(item);
            }
        }
        let is_test = self.in_test || is_test(attributes) || attributes.iter().any(|of| last_name(of).contains("test"));
        let returns = match &signature.output {
            ReturnType::Type(_, returned) => self.text(returned).to_owned(),
            ReturnType::Default => String::new(),
        };
        let parameters = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some((variable(&typed.pat).unwrap_or_default(), self.text(&typed.ty).to_owned())),
            FnArg::Receiver(_) => None,
        });
        let name = signature.ident.unraw().to_string();
        let function = Function {
            file: self.place.file,
            line: self.line(&signature.ident),
            modules: self.modules.clone(),
            owner: self.owner.clone(),
            of_trait: self.of_trait.clone(),
            is_async: signature.asyncness.is_some(),
            is_main: self.place.is_program && name == "main" && self.function.is_none(),
            has_span: self.has_span || has_span(attributes),
            in_test: is_test,
            returns,
            parameters: parameters.collect(),
            mentions: BTreeSet::new(),
            body: Vec::new(),
            name,
        };
        let handler = function.grpc();
        self.facts.functions.push(function);
        let index = self.facts.functions.len() - 1;
        if !is_test {
            self.facts.handlers.extend(handler);
            self.facts.functions[index].body = self.translated(|translator| translator.block(body));
        }
        let outer = (self.function, self.in_async, self.in_accept_loop, self.in_test, self.has_span);
        self.function = Some(index);
        (self.in_async, self.in_accept_loop, self.in_test) = (signature.asyncness.is_some(), false, is_test);
        self.has_span = false;
        visit(self);
        (self.function, self.in_async, self.in_accept_loop, self.in_test, self.has_span) = outer;
        self.imports = outer_imports;
    }

    fn translated<T>(&mut self, translate: impl FnOnce(&mut Translator<'_>) -> T) -> T {
        let (start, lines) = (self.place.start, &self.lines);
        let line = |at: usize| lines.number(start + at);
        let mut translator = Translator {
            text: self.place.text,
            start,
            file: self.place.file,
            imports: &self.imports,
            handlers: &mut self.facts.handlers,
            line: &line,
        };
        translate(&mut translator)
    }

    /// Notes a router that is handed to a server.
    fn served(&mut self, router: &Expr) {
        let Some(function) = self.function.filter(|_| !self.in_test) else { return };
        let router = without_make_service(router);
        // The handlers within are known from the function's body.
        let known = self.facts.handlers.len();
        let value = self.translated(|translator| translator.expression(router));
        self.facts.handlers.truncate(known);
        let range = bytes(router);
        let served = Served {
            file: self.place.file,
            function,
            bytes: self.place.start + range.start..self.place.start + range.end,
            router: value,
            line: self.line(router),
        };
        self.facts.served.push(served);
    }

    fn in_loop(&mut self, accepts: bool, visit: impl FnOnce(&mut Self)) {
        let outer = self.in_accept_loop;
        self.in_accept_loop |= accepts;
        visit(self);
        self.in_accept_loop = outer;
    }

    fn dropped(&mut self, node: &impl Spanned, of: &Expr, how: Drop) {
        if let Some(callee) = calls::callee(of) {
            self.spot(node, Call::Dropped { callee, how });
        }
    }
}

/// Returns true if an attribute gives a function, or all functions of a block, a span.
fn has_span(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| INSTRUMENTED.contains(&&*last_name(attribute)))
}

/// Returns the router in `router.into_make_service()`.
fn without_make_service(mut router: &Expr) -> &Expr {
    while let Expr::MethodCall(ExprMethodCall { receiver, method, .. }) = router {
        if !method.to_string().starts_with("into_make_service") {
            break;
        }
        router = receiver;
    }
    router
}

impl<'ast> Visit<'ast> for Walker<'_> {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        collect(&import.tree, &[], &mut self.imports);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let outer = (self.in_test, self.has_span, self.imports.clone());
        self.in_test |= is_test(&module.attrs);
        self.has_span |= has_span(&module.attrs);
        self.modules.push(module.ident.unraw().to_string());
        for item in module.content.iter().flat_map(|(_, items)| items) {
            self.import(item);
        }
        visit::visit_item_mod(self, module);
        self.modules.pop();
        (self.in_test, self.has_span, self.imports) = outer;
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        let outer = (self.owner.take(), self.of_trait.take());
        self.function(&function.attrs, &function.sig, &function.block, |walker| visit::visit_item_fn(walker, function));
        (self.owner, self.of_trait) = outer;
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        let outer = (self.owner.take(), self.of_trait.take(), self.in_test, self.has_span);
        self.owner = owner(block);
        self.of_trait =
            block.trait_.as_ref().and_then(|of| of.0.segments.last()).map(|last| last.ident.unraw().to_string());
        self.in_test |= is_test(&block.attrs);
        self.has_span = self.has_span || has_span(&block.attrs);
        visit::visit_item_impl(self, block);
        (self.owner, self.of_trait, self.in_test, self.has_span) = outer;
    }

    fn visit_impl_item_fn(&mut self, method: &'ast ImplItemFn) {
        self.function(&method.attrs, &method.sig, &method.block, |walker| visit::visit_impl_item_fn(walker, method));
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        let outer = (self.owner.take(), self.of_trait.take(), self.in_test);
        self.owner = Some(item.ident.unraw().to_string());
        self.in_test |= is_test(&item.attrs);
        visit::visit_item_trait(self, item);
        (self.owner, self.of_trait, self.in_test) = outer;
    }

    fn visit_trait_item_fn(&mut self, method: &'ast TraitItemFn) {
        if let Some(body) = &method.default {
            self.function(&method.attrs, &method.sig, body, |walker| visit::visit_trait_item_fn(walker, method));
        }
    }

    fn visit_expr_async(&mut self, block: &'ast ExprAsync) {
        let outer = self.in_async;
        self.in_async = true;
        visit::visit_expr_async(self, block);
        self.in_async = outer;
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        let outer = self.in_async;
        self.in_async |= closure.asyncness.is_some();
        visit::visit_expr_closure(self, closure);
        self.in_async = outer;
    }

    fn visit_expr_loop(&mut self, of: &'ast ExprLoop) {
        self.in_loop(accepts(&of.body), |walker| visit::visit_expr_loop(walker, of));
    }

    fn visit_expr_while(&mut self, of: &'ast ExprWhile) {
        self.in_loop(accepts(&of.body) || accepts_in(&of.cond), |walker| visit::visit_expr_while(walker, of));
    }

    fn visit_expr_for_loop(&mut self, of: &'ast ExprForLoop) {
        self.in_loop(accepts(&of.body) || accepts_in(&of.expr), |walker| visit::visit_expr_for_loop(walker, of));
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if let (Pat::Wild(_), Some(init)) = (&local.pat, &local.init) {
            self.dropped(local, &init.expr, Drop::Ignored);
        }
        visit::visit_local(self, local);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        match statement {
            Stmt::Expr(Expr::MethodCall(call), Some(_)) if call.method == "ok" && call.args.is_empty() => {
                self.dropped(call, &call.receiver, Drop::Ok);
            }
            Stmt::Expr(Expr::Assign(assign), _) if matches!(&*assign.left, Expr::Infer(_)) => {
                self.dropped(assign, &assign.right, Drop::Ignored);
            }
            _ => {}
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func {
            let full = resolved(&function.path, &self.imports);
            let path: Vec<_> = full.iter().map(String::as_str).collect();
            match path.as_slice() {
                ["axum", "serve"] => {
                    if let Some(router) = call.args.iter().nth(1) {
                        self.served(router);
                    }
                }
                ["tonic", "transport", .., "Server", "builder"] => {
                    let range = bytes(call);
                    let at = self.place.start + range.start..self.place.start + range.end;
                    self.spot(call, Call::GrpcServer(at));
                }
                _ => {
                    if let Some(what) = calls::of_path(&full, || self.text(call)) {
                        self.spot(call, what);
                    }
                }
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        // Servers other than axum's take the router as `serve(router.into_make_service())`.
        let made = call.args.first().filter(|argument| call.method == "serve" && is_make_service(argument));
        if let Some(router) = made {
            self.served(router);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let full = resolved(path, &self.imports);
        if let (Some(function), Some(first)) = (self.function, full.first()) {
            if TELEMETRY.contains(&first.as_str()) {
                self.facts.functions[function].mentions.insert(full.join("::"));
            }
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, of: &'ast Macro) {
        if let Some(what) = calls::of_macro(&resolved(&of.path, &self.imports)) {
            self.spot(of, what);
        }
        arguments(of).iter().for_each(|argument| self.visit_expr(argument));
    }
}

fn is_make_service(of: &Expr) -> bool {
    matches!(of, Expr::MethodCall(call) if call.method.to_string().starts_with("into_make_service"))
}
