//! Whether the options make sense on the function: every misuse gets one error, at the place that is wrong.

use std::collections::HashSet;

use syn::visit::{self, Visit};
use syn::{Error, FnArg, Ident, PatIdent, Result, Signature};

use crate::fields::Field;
use crate::options::{Options, Record};
use crate::shape::Shape;

/// Checks options against the function that they are on.
pub(crate) fn function(options: &Options, signature: &Signature, shape: &Shape) -> Result<()> {
    if let Some(constness) = &signature.constness {
        let message = "a `const fn` cannot be traced: it may run at compile time, where there is no span";
        return Err(Error::new(constness.span, message));
    }
    if let Some(span) = options.skip {
        return Err(Error::new(
            span,
            "`skip` leaves a function out of a traced `impl`, `trait` or `mod`; here, remove `#[traced]`",
        ));
    }
    origin(options)?;
    if shape.returns_never() && (returns_something(options.ret) || returns_something(options.err)) {
        return Err(Error::new(signature.ident.span(), "a function that never returns has no `ret` and no `err`"));
    }
    fields(options.fields.as_deref().unwrap_or_default(), Some(signature))
}

/// Checks the options of a whole block.
pub(crate) fn block(options: &Options) -> Result<()> {
    if let Some(name) = &options.name {
        let message = "`name` belongs on one function: here it would give every span the same name";
        return Err(Error::new_spanned(name, message));
    }
    if let Some(span) = options.skip {
        return Err(Error::new(span, "nothing here is traced; remove the outer `#[traced]` or this `skip`"));
    }
    origin(options)?;
    fields(options.fields.as_deref().unwrap_or_default(), None)
}

fn returns_something(record: Option<Record>) -> bool {
    record.is_some_and(|record| record != Record::Off)
}

fn origin(options: &Options) -> Result<()> {
    match (options.root, &options.parent) {
        (Some(root), Some(_)) => Err(Error::new(root, "a `root` span has no `parent`: give one of them")),
        _ => Ok(()),
    }
}

fn fields(fields: &[Field], signature: Option<&Signature>) -> Result<()> {
    let mut keys = HashSet::new();
    for field in fields {
        if !keys.insert(field.key.value()) {
            return Err(Error::new(field.key.span(), format!("the field `{}` is given twice", field.key.value())));
        }
    }
    let Some(signature) = signature else { return Ok(()) };
    let arguments = arguments(signature);
    match fields.iter().filter_map(Field::argument).find(|argument| !arguments.contains(argument)) {
        Some(unknown) => {
            let message = format!("`{unknown}` is not an argument of `{0}`; write `{unknown} = ...`", signature.ident);
            Err(Error::new(unknown.span(), message))
        }
        None => Ok(()),
    }
}

/// The names that the arguments bind.
fn arguments(signature: &Signature) -> HashSet<&Ident> {
    #[derive(Default)]
    struct Bindings<'a>(HashSet<&'a Ident>);
    impl<'a> Visit<'a> for Bindings<'a> {
        fn visit_pat_ident(&mut self, binding: &'a PatIdent) {
            self.0.insert(&binding.ident);
            visit::visit_pat_ident(self, binding);
        }
    }
    let mut bindings = Bindings::default();
    for argument in &signature.inputs {
        if let FnArg::Typed(argument) = argument {
            bindings.visit_pat(&argument.pat);
        }
    }
    bindings.0
}
