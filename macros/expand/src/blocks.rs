//! The functions that a block leaves out unless they have a `#[traced]`: constructors, and methods that run behind the scenes.

use syn::ext::IdentExt;
use syn::{ImplItemFn, ItemImpl, Path, ReturnType, Signature, Type};

/// Traits whose methods are called everywhere, above all `Drop`. Their spans would obscure all others.
const PLUMBING: [&str; 29] = [
    "Drop",
    "Debug",
    "Display",
    "Binary",
    "LowerExp",
    "LowerHex",
    "Octal",
    "Pointer",
    "UpperExp",
    "UpperHex",
    "Clone",
    "Default",
    "From",
    "Into",
    "PartialEq",
    "Eq",
    "PartialOrd",
    "Ord",
    "Hash",
    "Deref",
    "DerefMut",
    "AsRef",
    "AsMut",
    "Borrow",
    "BorrowMut",
    "Index",
    "IndexMut",
    "ToOwned",
    "Error",
];

/// Returns true for an `impl` that a traced `mod` leaves out.
pub(crate) fn is_plumbing(block: &ItemImpl) -> bool {
    let last = block.trait_.as_ref().and_then(|(path, _)| path.segments.last());
    last.is_some_and(|last| PLUMBING.iter().any(|name| last.ident == *name))
}

/// Returns true for a method that a traced block for the type `owner` leaves out: a constructor, or a `const fn`, which may
/// run at compile time. An `async fn` that returns `Self` is traced, because its waiting times are of interest.
pub(crate) fn is_left_out(method: &ImplItemFn, owner: Option<&str>) -> bool {
    method.sig.constness.is_some() || is_constructor(&method.sig, owner)
}

fn is_constructor(signature: &Signature, owner: Option<&str>) -> bool {
    let makes = match &signature.output {
        ReturnType::Type(_, returned) => match type_name(returned) {
            Some(name) => name == "Self" || Some(name.as_str()) == owner,
            None => false,
        },
        ReturnType::Default => false,
    };
    signature.receiver().is_none() && signature.asyncness.is_none() && (makes || signature.ident == "new")
}

/// Returns the prefix for the function names in an `impl`: the type's name, or the trait's name if the type is unnamed or is a
/// parameter.
pub(crate) fn owner(block: &ItemImpl) -> Option<String> {
    let is_parameter = |name: &String| block.generics.type_params().any(|parameter| parameter.ident == name.as_str());
    let of_trait = || last_name(&block.trait_.as_ref()?.0);
    referent(&block.self_ty).filter(|name| !is_parameter(name)).or_else(of_trait)
}

/// Returns `Cart` for `shop::Cart<'_, T>` and for `&Cart`.
fn referent(of: &Type) -> Option<String> {
    match of {
        Type::Reference(reference) => referent(&reference.elem),
        other => type_name(other),
    }
}

fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => last_name(&path.path),
        Type::Group(group) => type_name(&group.elem),
        Type::Paren(paren) => type_name(&paren.elem),
        _ => None,
    }
}

fn last_name(path: &Path) -> Option<String> {
    path.segments.last().map(|last| last.ident.unraw().to_string())
}
