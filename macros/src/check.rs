//! Checks that the options make sense on the function: every misuse gets one error, at the place that is wrong.

use std::collections::HashSet;

use syn::visit::{self, Visit};
use syn::{Error, FnArg, Ident, PatIdent, Result, ReturnType, Signature};

use crate::fields::Field;
use crate::options::{Lives, Options, Record};
use crate::shape::{Lazy, Shape, Work};

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
    lifetime(options, signature, shape)?;
    errors(options)?;
    fields(options.fields.as_deref().unwrap_or_default(), Some(signature))
}

/// Checks that there is a value for the span to live as long as.
fn lifetime(options: &Options, signature: &Signature, shape: &Shape) -> Result<()> {
    let refuse = |option: &Ident, message: String| Err(Error::new(option.span(), message));
    if let Some(given) = options.lifetime.as_ref().filter(|given| given.of != Lives::Call) {
        let option = &given.option;
        if signature.asyncness.is_some() && given.of == Lives::Future {
            return refuse(option, "an `async fn` has a span for as long as it runs: leave `future` out".to_owned());
        }
        if signature.asyncness.is_some() || matches!(signature.output, ReturnType::Default) {
            return refuse(option, format!("`{option}` goes on a `fn` that returns one"));
        }
    }
    let is_sequence = matches!(shape.work, Work::Value { of: Lazy::Stream | Lazy::Iterator, .. });
    if is_sequence && returns_something(options.ret) {
        let message = "what has many items has no `ret`: their number is recorded";
        return Err(Error::new(signature.ident.span(), message));
    }
    Ok(())
}

fn errors(options: &Options) -> Result<()> {
    match (&options.err_if, options.err) {
        (Some(err_if), Some(Record::Off)) => {
            Err(Error::new_spanned(err_if, "`err = off` leaves no errors for `err_if`: give one of them"))
        }
        _ => Ok(()),
    }
}

/// Checks the options of a whole block.
pub(crate) fn block(options: &Options) -> Result<()> {
    if let Some(name) = &options.name {
        let message = "`name` belongs on one function: here it would give every span the same name";
        return Err(Error::new_spanned(name, message));
    }
    if let Some(err_if) = &options.err_if {
        let message = "`err_if` belongs on one function: it looks at the type of error that this function returns";
        return Err(Error::new_spanned(err_if, message));
    }
    if let Some(given) = options.lifetime.as_ref().filter(|given| given.of != Lives::Call) {
        let message = format!("`{}` belongs on one function: not all of a block return one", given.option);
        return Err(Error::new(given.option.span(), message));
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
