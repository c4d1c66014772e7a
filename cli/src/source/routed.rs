//! Expressions that lead to a router, as values of their own: which handlers they have, and which layers come after them.

use std::collections::HashMap;

use syn::{Block, Expr, ExprCall, ExprMethodCall, Lit, Pat, Stmt};

use super::facts::{Handler, Protocol};
use crate::zero::rewrite::syntax::{bytes, names};

/// A value that may contain a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Routed {
    /// No router, or one that is not known.
    Unknown,
    /// A new router.
    New,
    /// The handler with this index.
    Handler(usize),
    /// Several values, of which the first one has the type of the whole.
    All(Vec<Routed>),
    /// A value behind a layer that these paths lead to.
    Layered(Box<Routed>, Vec<Vec<String>>),
    Variable(String),
    /// A call of this path.
    Call(Vec<String>, Vec<Routed>),
    /// A block, whose value is that of its last step.
    Block(Vec<Step>),
}

/// A step of a block. It has a name if it binds or assigns a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) variable: Option<String>,
    pub(crate) value: Routed,
}

/// The functions and methods that make a handler a route.
const METHODS: [&str; 13] =
    ["get", "post", "put", "delete", "patch", "head", "options", "trace", "connect", "any", "on", "fallback", "query"];

/// Translates expressions of one file.
pub(super) struct Translator<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) file: usize,
    pub(super) imports: &'a HashMap<String, Vec<String>>,
    pub(super) handlers: &'a mut Vec<Handler>,
    /// The line of an offset in the tree.
    pub(super) line: &'a dyn Fn(usize) -> usize,
}

impl Translator<'_> {
    pub(super) fn block(&mut self, block: &Block) -> Vec<Step> {
        let mut steps = Vec::new();
        for statement in &block.stmts {
            match statement {
                Stmt::Local(local) => {
                    let Some(init) = &local.init else { continue };
                    let value = self.expression(&init.expr);
                    steps.push(Step { variable: variable(&local.pat), value });
                }
                Stmt::Expr(Expr::Assign(assign), _) => {
                    let value = self.expression(&assign.right);
                    let variable = match &*assign.left {
                        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
                        _ => None,
                    };
                    steps.push(Step { variable, value });
                }
                Stmt::Expr(expression, _) => steps.push(Step { variable: None, value: self.expression(expression) }),
                Stmt::Item(_) | Stmt::Macro(_) => {}
            }
        }
        steps
    }

    pub(super) fn expression(&mut self, expression: &Expr) -> Routed {
        match expression {
            Expr::MethodCall(call) => self.method(call),
            Expr::Call(call) => self.call(call),
            Expr::Path(path) => match path.path.get_ident() {
                Some(ident) => Routed::Variable(ident.to_string()),
                None => Routed::Unknown,
            },
            Expr::Await(of) => self.expression(&of.base),
            Expr::Try(of) => self.expression(&of.expr),
            Expr::Paren(of) => self.expression(&of.expr),
            Expr::Group(of) => self.expression(&of.expr),
            Expr::Reference(of) => self.expression(&of.expr),
            Expr::Cast(of) => self.expression(&of.expr),
            Expr::Return(of) => of.expr.as_ref().map_or(Routed::Unknown, |value| self.expression(value)),
            Expr::Break(of) => of.expr.as_ref().map_or(Routed::Unknown, |value| self.expression(value)),
            Expr::Closure(of) => self.expression(&of.body),
            Expr::Block(of) => Routed::Block(self.block(&of.block)),
            Expr::Async(of) => Routed::Block(self.block(&of.block)),
            Expr::Unsafe(of) => Routed::Block(self.block(&of.block)),
            Expr::Loop(of) => Routed::Block(self.block(&of.body)),
            Expr::While(of) => Routed::Block(self.block(&of.body)),
            Expr::ForLoop(of) => Routed::Block(self.block(&of.body)),
            Expr::If(of) => {
                let mut branches = vec![Routed::Block(self.block(&of.then_branch))];
                branches.extend(of.else_branch.as_ref().map(|(_, other)| self.expression(other)));
                branches.push(self.expression(&of.cond));
                Routed::All(branches)
            }
            Expr::Let(of) => self.expression(&of.expr),
            Expr::Match(of) => {
                let mut branches: Vec<_> = of.arms.iter().map(|arm| self.expression(&arm.body)).collect();
                branches.push(self.expression(&of.expr));
                Routed::All(branches)
            }
            Expr::Tuple(of) => self.all(of.elems.iter()),
            Expr::Array(of) => self.all(of.elems.iter()),
            Expr::Struct(of) => self.all(of.fields.iter().map(|field| &field.expr)),
            Expr::Assign(of) => self.expression(&of.right),
            _ => Routed::Unknown,
        }
    }

    fn all<'e>(&mut self, expressions: impl Iterator<Item = &'e Expr>) -> Routed {
        Routed::All(expressions.map(|expression| self.expression(expression)).collect())
    }

    fn method(&mut self, call: &ExprMethodCall) -> Routed {
        let name = call.method.to_string();
        let arguments: Vec<_> = call.args.iter().collect();
        match (&*name, &*arguments) {
            ("route", [route, handlers]) => {
                let base = self.expression(&call.receiver);
                let route = literal(route);
                let handlers = self.methods(handlers, route.as_deref());
                Routed::All(vec![base, handlers])
            }
            ("fallback", [handler]) => {
                let base = self.expression(&call.receiver);
                let handler = self.handler(handler, None);
                Routed::All(vec![base, handler])
            }
            ("layer" | "route_layer", [layer]) => {
                let base = self.expression(&call.receiver);
                Routed::Layered(Box::new(base), self.paths(layer))
            }
            // The result is no router.
            _ if ["into_", "as_", "to_"].iter().any(|start| name.starts_with(start)) => {
                let base = self.expression(&call.receiver);
                Routed::Call(vec![name], vec![base])
            }
            _ => {
                let is_self = matches!(&*call.receiver, Expr::Path(path) if path.path.is_ident("self"));
                let (base, paths) = self.server(call);
                let mut values =
                    vec![if is_self { Routed::Call(vec!["Self".to_owned(), name], Vec::new()) } else { base }];
                values.extend(arguments.into_iter().map(|argument| self.expression(argument)));
                match paths.is_empty() {
                    true => Routed::All(values),
                    // The layer of a gRPC server comes first, and is around every service.
                    false => Routed::Layered(Box::new(Routed::All(values)), paths),
                }
            }
        }
    }

    /// Returns the receiver of a call, and the paths of layers before it if they are a server's.
    fn server(&mut self, call: &ExprMethodCall) -> (Routed, Vec<Vec<String>>) {
        let mut paths = Vec::new();
        let mut receiver = &*call.receiver;
        while let Expr::MethodCall(inner) = receiver {
            if inner.method == "layer" {
                paths.extend(inner.args.first().map(|layer| self.paths(layer)).unwrap_or_default());
            }
            receiver = &inner.receiver;
        }
        let root = match receiver {
            Expr::Call(root) => self.full(root),
            _ => Vec::new(),
        };
        let is_server =
            matches!(root.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), [.., "Server", "builder"]);
        let base = self.expression(&call.receiver);
        (base, if is_server { paths } else { Vec::new() })
    }

    fn call(&mut self, call: &ExprCall) -> Routed {
        let full = self.full(call);
        if let [.., owner, "new" | "default"] = full.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            if *owner == "Router" {
                return Routed::New;
            }
        }
        let arguments = call.args.iter().map(|argument| self.expression(argument)).collect();
        Routed::Call(full, arguments)
    }

    fn full(&self, call: &ExprCall) -> Vec<String> {
        match &*call.func {
            Expr::Path(path) => resolved(&path.path, self.imports),
            _ => Vec::new(),
        }
    }

    /// Translates what a route leads to: `get(list).post(create)`.
    fn methods(&mut self, of: &Expr, route: Option<&str>) -> Routed {
        match of {
            Expr::MethodCall(call) if call.method == "layer" || call.method == "route_layer" => {
                let base = self.methods(&call.receiver, route);
                let paths = call.args.first().map(|layer| self.paths(layer)).unwrap_or_default();
                Routed::Layered(Box::new(base), paths)
            }
            Expr::MethodCall(call) => {
                let base = self.methods(&call.receiver, route);
                let is_method = METHODS.iter().any(|method| call.method == *method);
                let handler = call.args.last().filter(|_| is_method);
                let handler = handler.map(|handler| self.handler(handler, route));
                Routed::All(std::iter::once(base).chain(handler).collect())
            }
            Expr::Call(call) => {
                let full = self.full(call);
                let is_method = full.last().is_some_and(|last| METHODS.contains(&&**last));
                match call.args.last() {
                    Some(handler) if is_method => self.handler(handler, route),
                    _ if full.last().is_some_and(|last| last == "new") => Routed::Unknown,
                    _ => self.call(call),
                }
            }
            _ => self.expression(of),
        }
    }

    fn handler(&mut self, of: &Expr, route: Option<&str>) -> Routed {
        let (text, range) = (&self.text[self.start..], bytes(of));
        let name = match of {
            Expr::Path(path) => resolved(&path.path, self.imports).join("::"),
            Expr::Closure(_) => "a closure".to_owned(),
            _ => text[range.clone()].lines().next().unwrap_or_default().to_owned(),
        };
        self.handlers.push(Handler {
            file: self.file,
            line: (self.line)(range.start),
            name,
            route: route.map(str::to_owned),
            kind: Protocol::Http,
        });
        let handler = Routed::Handler(self.handlers.len() - 1);
        match of {
            // What a closure or a service contains may be a router of its own.
            Expr::Closure(_) | Expr::Path(_) => handler,
            _ => Routed::All(vec![handler, self.expression(of)]),
        }
    }

    /// Returns the paths in the expression of a layer, as full paths.
    fn paths(&self, layer: &Expr) -> Vec<Vec<String>> {
        struct Paths<'a>(&'a HashMap<String, Vec<String>>, Vec<Vec<String>>);
        impl<'ast> syn::visit::Visit<'ast> for Paths<'_> {
            fn visit_path(&mut self, path: &'ast syn::Path) {
                self.1.push(resolved(path, self.0));
                syn::visit::visit_path(self, path);
            }
        }
        let mut paths = Paths(self.imports, Vec::new());
        syn::visit::Visit::visit_expr(&mut paths, layer);
        paths.1
    }
}

/// Returns the full path of a name that may be imported.
pub(crate) fn resolved(path: &syn::Path, imports: &HashMap<String, Vec<String>>) -> Vec<String> {
    let names = names(path);
    match names.first().and_then(|first| imports.get(first)) {
        Some(full) if path.leading_colon.is_none() => [full, &names[1..]].concat(),
        _ => names,
    }
}

/// Returns the name that a pattern binds.
pub(crate) fn variable(pattern: &Pat) -> Option<String> {
    match pattern {
        Pat::Ident(ident) => Some(ident.ident.to_string()),
        Pat::Type(typed) => variable(&typed.pat),
        Pat::TupleStruct(tuple) => tuple.elems.first().filter(|_| tuple.elems.len() == 1).and_then(variable),
        _ => None,
    }
}

fn literal(of: &Expr) -> Option<String> {
    match of {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}
