//! The shape of a function: where its work happens, and the type of its output.

use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Expr, GenericArgument, PathArguments, PathSegment, ReturnType, Signature, Stmt, Type, TypeInfer,
    TypeParamBound,
};

use crate::options::Lives;

/// The place where a function's work happens.
pub(crate) enum Work {
    /// In the call.
    Call,
    /// In the body of an `async fn`.
    AsyncFn,
    /// In the boxed async block that `async_trait` generates from an `async fn`.
    AsyncBlock,
    /// In a future, a stream or an iterator returned by the body.
    Value { of: Lazy, boxed: bool },
}

/// A value that does a function's work after the function has returned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lazy {
    Future,
    Stream,
    Iterator,
}

/// Types that are never an alias of `Result`. For these types, the body is not moved into a closure to inspect its output,
/// which would cost compile time.
const NO_RESULTS: [&str; 27] = [
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
    "f32", "f64", "String", "Vec", "Option", "Box", "Rc", "Arc", "Cow", "PathBuf", "HashMap", "Duration",
];

/// The shape of a function.
pub(crate) struct Shape {
    pub(crate) work: Work,
    /// The output type as written, or `None` for `()`.
    pub(crate) output: Option<Type>,
}

impl Shape {
    /// Determines the shape from the signature, the body and the option `lives`.
    pub(crate) fn new(signature: &Signature, block: &mut Block, lives: Option<Lives>) -> Shape {
        let returned = match &signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, returned) => Some(&**returned),
        };
        if signature.asyncness.is_some() {
            return Shape { work: Work::AsyncFn, output: returned.cloned() };
        }
        let lazy = match lives {
            Some(Lives::Call) => return Shape { work: Work::Call, output: returned.cloned() },
            Some(Lives::Stream) => Some(Lazy::Stream),
            Some(Lives::Iterator) => Some(Lazy::Iterator),
            // A return type that names its output is more specific than the option.
            Some(Lives::Future) if returned.and_then(future).is_none() => Some(Lazy::Future),
            Some(Lives::Future) | None => None,
        };
        if let (Some(of), Some(returned)) = (lazy, returned) {
            let boxed = !matches!(ungrouped(returned), Type::ImplTrait(_));
            let item = if of == Lazy::Future { None } else { item(returned) };
            return Shape { work: Work::Value { of, boxed }, output: Some(item.unwrap_or_else(infer)) };
        }
        match returned.and_then(future) {
            None => Shape { work: Work::Call, output: returned.cloned() },
            Some((true, output)) if is_async_trait(signature) && async_block(block).is_some() => {
                Shape { work: Work::AsyncBlock, output }
            }
            Some((boxed, output)) => Shape { work: Work::Value { of: Lazy::Future, boxed }, output },
        }
    }

    /// Returns true unless the written type cannot be a `Result`. Because of aliases, the name is not conclusive.
    pub(crate) fn may_return_result(&self, signature: &Signature) -> bool {
        let path = match self.output.as_ref().map(ungrouped) {
            Some(Type::Path(path)) => &path.path,
            Some(Type::Infer(_) | Type::Macro(_)) => return true,
            _ => return false,
        };
        let is_parameter = path
            .get_ident()
            .is_some_and(|name| signature.generics.type_params().any(|parameter| parameter.ident == *name));
        let is_none = path.segments.last().is_some_and(|last| NO_RESULTS.iter().any(|name| last.ident == *name));
        !is_parameter && !is_none
    }

    /// Returns true if the output is called `Result`: `Result<T, E>`, `io::Result<T>`, `anyhow::Result<T>`.
    pub(crate) fn is_called_result(&self) -> bool {
        let Some(Type::Path(path)) = self.output.as_ref().map(ungrouped) else { return false };
        path.path.segments.last().is_some_and(|last| last.ident == "Result")
    }

    /// Returns the output type with `_` in place of `impl Trait`, for places that do not allow it.
    pub(crate) fn output_to_infer(&self) -> Type {
        struct Infer;
        impl VisitMut for Infer {
            fn visit_type_mut(&mut self, node: &mut Type) {
                match node {
                    Type::ImplTrait(_) => *node = infer(),
                    _ => visit_mut::visit_type_mut(self, node),
                }
            }
        }
        let mut output = self.output.clone().unwrap_or_else(|| syn::parse_quote!(()));
        Infer.visit_type_mut(&mut output);
        output
    }

    pub(crate) fn returns_never(&self) -> bool {
        matches!(self.output.as_ref().map(ungrouped), Some(Type::Never(_)))
    }
}

/// Returns the type `_`.
fn infer() -> Type {
    Type::Infer(TypeInfer { attrs: Vec::new(), underscore_token: Default::default() })
}

/// Returns true for a function rewritten by `async_trait`. The lifetime that it adds covers every argument, so the
/// future may evaluate the fields; other functions that return a future do not guarantee this.
pub(crate) fn is_async_trait(signature: &Signature) -> bool {
    signature.generics.lifetimes().any(|parameter| parameter.lifetime.ident == "async_trait")
}

/// Returns the inner block of a body that consists only of `Box::pin(async move { .. })`.
pub(crate) fn async_block(block: &mut Block) -> Option<&mut Block> {
    let [Stmt::Expr(Expr::Call(call), None)] = block.stmts.as_mut_slice() else { return None };
    if !is_box_pin(&call.func) || call.args.len() != 1 {
        return None;
    }
    match call.args.first_mut()? {
        Expr::Async(work) if work.capture.is_some() => Some(&mut work.block),
        _ => None,
    }
}

fn is_box_pin(function: &Expr) -> bool {
    let Expr::Path(path) = function else { return false };
    let mut names = path.path.segments.iter().rev().map(|segment| &segment.ident);
    names.next().is_some_and(|name| name == "pin") && names.next().is_some_and(|name| name == "Box")
}

/// Recognizes a future by the name of its type. Returns true if it is boxed, and its output type if the code states it.
fn future(returned: &Type) -> Option<(bool, Option<Type>)> {
    match ungrouped(returned) {
        Type::ImplTrait(opaque) => Some((false, output_of_bounds(&opaque.bounds)?)),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            match last.ident.to_string().as_str() {
                "Pin" => boxed_future(first_type(last)?),
                "BoxFuture" | "LocalBoxFuture" => Some((true, first_type(last).cloned())),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Recognizes the `Box<dyn Future<Output = T> + ..>` inside a `Pin`.
fn boxed_future(boxed: &Type) -> Option<(bool, Option<Type>)> {
    let Type::Path(path) = ungrouped(boxed) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Box")?;
    let Type::TraitObject(object) = ungrouped(first_type(last)?) else { return None };
    Some((true, output_of_bounds(&object.bounds)?))
}

/// Returns the item type of a stream or iterator, boxed or not, if the return type spells it out.
fn item(returned: &Type) -> Option<Type> {
    match ungrouped(returned) {
        Type::ImplTrait(opaque) => item_of_bounds(&opaque.bounds),
        Type::TraitObject(object) => item_of_bounds(&object.bounds),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            match last.ident.to_string().as_str() {
                "Pin" | "Box" => item(first_type(last)?),
                "BoxStream" | "LocalBoxStream" => first_type(last).cloned(),
                _ => None,
            }
        }
        _ => None,
    }
}

fn item_of_bounds<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<Type> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        assigned(bound.path.segments.last()?, "Item")
    })
}

/// Returns the `T` in `Trait<name = T>`.
fn assigned(segment: &PathSegment, name: &str) -> Option<Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(assigned) if assigned.ident == name => Some(assigned.ty.clone()),
        _ => None,
    })
}

fn first_type(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(found) => Some(found),
        _ => None,
    })
}

/// Returns the `T` in `Future<Output = T>` among `bounds`, or `None` if no bound is a future.
#[allow(clippy::option_option, reason = "a future, and its output, may each be missing")]
fn output_of_bounds<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<Option<Type>> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
        Some(assigned(last, "Output"))
    })
}

/// Removes the parentheses, including invisible ones, that macros leave around types.
fn ungrouped(mut inner: &Type) -> &Type {
    loop {
        inner = match inner {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            other => return other,
        };
    }
}
