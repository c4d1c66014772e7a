//! Checks that the options fit the function. Each misuse produces one error at its location.

use std::collections::HashSet;

use syn::visit::{self, Visit};
use syn::{Error, FnArg, Ident, PatIdent, Result, ReturnType, Signature};

use crate::fields::Field;
use crate::options::{Lives, Options, Record};
use crate::shape::{Lazy, Shape, Work};

/// Checks options against their function.
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
    lifetime(options, signature, shape)?;
    errors(options)?;
    fields(options.fields.as_deref().unwrap_or_default(), Some(signature))
}

/// Checks that the function returns the value that determines when the span ends.
fn lifetime(options: &Options, signature: &Signature, shape: &Shape) -> Result<()> {
    let refuse = |option: &Ident, message: String| Err(Error::new(option.span(), message));
    if let Some(given) = options.lifetime.as_ref().filter(|given| given.of != Lives::Call) {
        let option = &given.option;
        if signature.asyncness.is_some() && given.of == Lives::Future {
            return refuse(
                option,
                "the span of an `async fn` covers its future already: leave `future` out".to_owned(),
            );
        }
        if signature.asyncness.is_some() || matches!(signature.output, ReturnType::Default) {
            return refuse(option, format!("`{option}` is for a `fn` that returns one"));
        }
    }
    let is_sequence = matches!(shape.work, Work::Value { of: Lazy::Stream | Lazy::Iterator, .. });
    if is_sequence && returns_something(options.ret) {
        let message = "a stream or an iterator has no `ret`: the number of its items is recorded";
        return Err(Error::new(signature.ident.span(), message));
    }
    Ok(())
}

fn errors(options: &Options) -> Result<()> {
    match (&options.err_if, options.err) {
        (Some(err_if), Some(Record::Off)) => {
            Err(Error::new_spanned(err_if, "`err = off` and `err_if` contradict each other: give one of them"))
        }
        _ => Ok(()),
    }
}

/// Checks the options of a whole block.
pub(crate) fn block(options: &Options) -> Result<()> {
    if let Some(name) = &options.name {
        let message = "`name` belongs on one function: in a block, every span would have the same name";
        return Err(Error::new_spanned(name, message));
    }
    if let Some(owner) = &options.owner {
        let message = "`owner` belongs on one method: a block knows its type";
        return Err(Error::new(owner.span(), message));
    }
    if let Some(err_if) = &options.err_if {
        let message = "`err_if` belongs on one function: it takes the type of error that the function returns";
        return Err(Error::new_spanned(err_if, message));
    }
    if let Some(given) = options.lifetime.as_ref().filter(|given| given.of != Lives::Call) {
        let message = format!("`{}` belongs on one function: those of a block may return something else", given.option);
        return Err(Error::new(given.option.span(), message));
    }
    if let Some(span) = options.skip {
        return Err(Error::new(span, "`skip` excludes everything here: remove it, or the `#[traced]`"));
    }
    origin(options)?;
    fields(options.fields.as_deref().unwrap_or_default(), None)
}

fn returns_something(record: Option<Record>) -> bool {
    record.is_some_and(|record| record != Record::Off)
}

fn origin(options: &Options) -> Result<()> {
    let is_below = options.below == Some(true);
    match (options.root, &options.parent) {
        (Some(root), Some(_)) => Err(Error::new(root, "a `root` span has no `parent`: give one of them")),
        (Some(root), None) if is_below => {
            Err(Error::new(root, "a `root` span is below no other: give `root` or `below`"))
        }
        (None, Some(parent)) if is_below => {
            let message = "`below` looks for the parent in the current context: give `parent` or `below`";
            Err(Error::new_spanned(parent, message))
        }
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

/// Returns the names that the arguments bind.
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
