//! What surrounds an item: its owner, its imports, its visibility, and loops that accept connections.

use std::collections::HashMap;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprMethodCall, ItemImpl, Macro, Path, Type, UseTree, Visibility};

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
