//! Paths that lead elsewhere. The root of a crate gets a module that has the names of the replaced crates, with others in the places of
//! some of them; paths that reach such a name begin with this module.

use std::collections::BTreeMap;

use syn::{Expr, ExprMethodCall, UseTree};

use super::syntax::bytes;
use super::{Edges, Source};
use crate::zero::rules::Rules;
use crate::zero::rules::edges::{Act, Edge, Replaced};

/// The module of a root.
pub(super) const MODULE: &str = "__telemark";
/// The beginning of a path that is replaced.
pub(super) const PREFIX: &str = "crate::__telemark::";
const START: &str = " #[allow(unused_imports, unreachable_pub)] mod __telemark { ";

/// Returns true for the text of the module.
pub(super) fn is_module(text: &str) -> bool {
    text.starts_with(START)
}

/// The paths that are replaced in a crate.
pub(super) struct Paths<'a> {
    /// The replaced paths, each with the index of its edge.
    paths: Vec<(usize, &'a Replaced)>,
    edges: &'a Edges<'a>,
}

impl<'a> Paths<'a> {
    pub(super) fn new(source: &Source<'a>, rules: &Rules) -> Paths<'a> {
        let active = source.edges.active.iter();
        let active: Vec<&(usize, &Edge)> = active.filter(|(_, edge)| rules.is_for_crate(edge, source.krate)).collect();
        // A rule about a crate comes in place of Telemark's own: types of both would not fit.
        let is_taken = |krate| active.iter().any(|(_, other)| other.line.is_some() && other.replaced() == Some(krate));
        let mut paths = Vec::new();
        for (index, edge) in &active {
            if let Act::Paths(replaced) = &edge.act {
                if edge.line.is_some() || !edge.replaced().is_some_and(is_taken) {
                    paths.extend(replaced.iter().map(|replaced| (*index, replaced)));
                }
            }
        }
        Paths { paths, edges: source.edges }
    }

    /// Returns the edge that a path reaches: it is a replaced name, leads into it, or on to it.
    pub(super) fn reached(&self, path: &[String]) -> Option<usize> {
        let reaches = |replaced: &Replaced| replaced.path.starts_with(path) || path.starts_with(&replaced.path);
        self.paths.iter().find(|(_, replaced)| reaches(replaced)).map(|(index, _)| *index)
    }

    /// Returns the edge that an import reaches.
    pub(super) fn imported(&self, tree: &UseTree, prefix: &[String]) -> Option<usize> {
        let named = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.imported(&path.tree, &named(&path.ident)),
            UseTree::Name(name) if name.ident == "self" => self.reached(prefix),
            UseTree::Name(name) => self.reached(&named(&name.ident)),
            UseTree::Rename(rename) if rename.ident == "self" => self.reached(prefix),
            UseTree::Rename(rename) => self.reached(&named(&rename.ident)),
            UseTree::Group(group) => group.items.iter().find_map(|tree| self.imported(tree, prefix)),
            UseTree::Glob(_) if prefix.is_empty() => None,
            UseTree::Glob(_) => self.reached(prefix),
        }
    }

    /// Returns the module of the root.
    pub(super) fn module(&self) -> Option<String> {
        let mut crates = Names::default();
        for (_, replaced) in &self.paths {
            crates.add(&replaced.path, &replaced.with);
        }
        if crates.modules.is_empty() {
            return None;
        }
        let mut text = START.to_owned();
        for (name, names) in &crates.modules {
            if let Some(condition) = self.edges.conditions.get(*name) {
                text.push_str(&format!("#[cfg({condition})] "));
            }
            names.write(&format!("::{name}"), name, &mut text);
        }
        text.push('}');
        Some(text)
    }

    /// Returns the edge and the offset of the pool in `migrator.run(&pool)`, if the migrator is made in the same expression: it takes
    /// sqlx's own pool, to which Telemark's dereferences.
    pub(super) fn migrated_pool(&self, call: &ExprMethodCall) -> Option<(usize, usize)> {
        let is_migrator = match &*call.receiver {
            Expr::Macro(of) => of.mac.path.segments.last().is_some_and(|last| last.ident == "migrate"),
            _ => false,
        };
        if !is_migrator || call.method != "run" {
            return None;
        }
        let is_pool = |replaced: &Replaced| replaced.with == "::telemark::sqlx::Pool";
        let (edge, _) = self.paths.iter().find(|(_, replaced)| is_pool(replaced))?;
        match call.args.first()? {
            Expr::Reference(reference) if reference.mutability.is_none() => match &*reference.expr {
                // With the star, it is rewritten already.
                pool @ (Expr::Path(_) | Expr::Field(_)) => Some((*edge, bytes(pool).start)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The names in a module that lead elsewhere.
#[derive(Default)]
struct Names<'a> {
    here: BTreeMap<&'a str, &'a str>,
    modules: BTreeMap<&'a str, Names<'a>>,
}

impl<'a> Names<'a> {
    /// Adds a path, unless there is one for this name.
    fn add(&mut self, path: &'a [String], with: &'a str) {
        match path {
            [] => {}
            [name] => _ = self.here.entry(name).or_insert(with),
            [module, rest @ ..] => self.modules.entry(module).or_default().add(rest, with),
        }
    }

    /// Writes the module with these names, in which all others are those of the original.
    fn write(&self, original: &str, name: &str, text: &mut String) {
        text.push_str(&format!("pub mod {name} {{ pub use {original}::*; "));
        for (name, with) in &self.here {
            let last = with.rsplit("::").next().unwrap_or_default();
            let renamed = if last == *name { String::new() } else { format!(" as {name}") };
            text.push_str(&format!("pub use {with}{renamed}; "));
        }
        for (name, names) in &self.modules {
            names.write(&format!("{original}::{name}"), name, text);
        }
        text.push_str("} ");
    }
}
