//! What surrounds an item: its owner, its imports, its visibility, and loops that accept connections.

use std::collections::{HashMap, HashSet};

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprMethodCall, Item, ItemImpl, Macro, Path, Type, UseTree, Visibility};

/// Returns true for anything but a private item.
pub(super) fn is_public(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

/// Returns true if a loop accepts connections.
pub(crate) fn accepts(body: &Block) -> bool {
    let mut accepts = Accepts(false);
    accepts.visit_block(body);
    accepts.0
}

/// Returns true if a condition accepts connections.
pub(crate) fn accepts_in(condition: &Expr) -> bool {
    let mut accepts = Accepts(false);
    accepts.visit_expr(condition);
    accepts.0
}

struct Accepts(bool);

impl<'ast> Visit<'ast> for Accepts {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.0 |= call.method == "accept" || call.method == "incoming";
        visit::visit_expr_method_call(self, call);
    }

    /// `select!` and similar macros hide their calls.
    fn visit_macro(&mut self, of: &'ast Macro) {
        self.0 |= of.tokens.to_string().contains("accept");
    }
}

/// Returns the type in the names of a block's methods, or its trait for a type without a name.
pub(crate) fn owner(block: &ItemImpl) -> Option<String> {
    let named = |path: &Path| path.segments.last().map(|last| last.ident.unraw().to_string());
    let mut of = &*block.self_ty;
    while let Type::Reference(reference) = of {
        of = &reference.elem;
    }
    let is_parameter = |name: &String| block.generics.type_params().any(|parameter| parameter.ident == name.as_str());
    let of_type = match of {
        Type::Path(path) => named(&path.path).filter(|name| !is_parameter(name)),
        _ => None,
    };
    of_type.or_else(|| named(&block.trait_.as_ref()?.0))
}

/// The names that a file imports and declares. Those of all its modules count everywhere.
#[derive(Default)]
pub(super) struct Names {
    /// The full paths of imported names.
    imports: HashMap<String, Vec<String>>,
    /// The modules that the file declares.
    modules: HashSet<String>,
}

impl Names {
    /// Adds what the items of a module import and declare.
    pub(super) fn add<'i>(&mut self, items: impl IntoIterator<Item = &'i Item>) {
        for item in items {
            match item {
                Item::Use(import) => self.import(&import.tree),
                Item::Mod(module) => _ = self.modules.insert(module.ident.to_string()),
                _ => {}
            }
        }
    }

    pub(super) fn import(&mut self, tree: &UseTree) {
        collect(tree, &[], &mut self.imports);
    }

    /// Returns true if a name that begins a path is not that of a crate.
    pub(super) fn hides(&self, first: &Ident) -> bool {
        let name = first.to_string();
        self.modules.contains(&name) || self.imports.get(&name).is_some_and(|full| *full != [name])
    }

    /// Returns a path from its crate on. `here` is the path of the module in which it is written, and `owner` the type around it.
    pub(super) fn full(&self, names: Vec<String>, here: &[String], owner: Option<&str>) -> Vec<String> {
        let Some(first) = names.first() else { return names };
        let names = match self.imports.get(first) {
            Some(full) => [full, &names[1..]].concat(),
            None => names,
        };
        let Some(first) = names.first().map(String::as_str) else { return names };
        let rest = &names[1..];
        match first {
            "crate" => [&here[..1], rest].concat(),
            "self" => [here, rest].concat(),
            "super" => {
                let above = names.iter().take_while(|name| *name == "super").count();
                let kept = here.len().saturating_sub(above).max(1);
                [&here[..kept], &names[above..]].concat()
            }
            "Self" => [here, &owner.map(str::to_owned).into_iter().collect::<Vec<_>>(), rest].concat(),
            // Crates and modules begin in lower case.
            _ if rest.is_empty() || self.modules.contains(first) || first.starts_with(char::is_uppercase) => {
                [here, &names].concat()
            }
            _ => names,
        }
    }
}

/// Collects the full paths of imported names.
pub(crate) fn collect(tree: &UseTree, prefix: &[String], imports: &mut HashMap<String, Vec<String>>) {
    let full = |name: &Ident| [prefix, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => collect(&path.tree, &full(&path.ident), imports),
        UseTree::Name(name) if name.ident == "self" => {
            if let Some(last) = prefix.last() {
                imports.insert(last.clone(), prefix.to_vec());
            }
        }
        UseTree::Name(name) => {
            imports.insert(name.ident.to_string(), full(&name.ident));
        }
        UseTree::Rename(rename) => {
            imports.insert(rename.rename.to_string(), full(&rename.ident));
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, prefix, imports)),
        UseTree::Glob(_) => {}
    }
}
