//! Pieces of grammar shared by options and fields.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Expr, Ident, Result, Token};

use crate::foreign;

/// Parses an expression. Refuses a bare `crate` or `super`, which syn accepts although they are modules.
pub(crate) fn expression(input: ParseStream<'_>) -> Result<Expr> {
    let expr: Expr = input.parse()?;
    match &expr {
        Expr::Path(path) if path.path.is_ident("crate") || path.path.is_ident("super") => {
            Err(Error::new_spanned(path, "expected an expression, found a module"))
        }
        _ => Ok(expr),
    }
}

/// Parses the `=` between an option and its value.
pub(crate) fn equals(input: ParseStream<'_>, option: &Ident) -> Result<()> {
    let missing = |_| Error::new(option.span(), format!("`{option}` needs a value: `{option} = ...`"));
    input.parse::<Token![=]>().map(|_| ()).map_err(missing)
}

/// Parses `= expression`.
pub(crate) fn value(input: ParseStream<'_>, option: &Ident) -> Result<Expr> {
    equals(input, option)?;
    expression(input)
}

/// Accepts an option without a value, and returns its location.
pub(crate) fn flag(input: ParseStream<'_>, option: &Ident) -> Result<Span> {
    foreign::flag(input, option)?;
    Ok(option.span())
}

/// Parses `= off`, and returns the location of the option.
pub(crate) fn off(input: ParseStream<'_>, option: &Ident) -> Result<Span> {
    input.parse::<Token![=]>().map_err(|_| Error::new(option.span(), format!("expected `{option} = off`")))?;
    match input.fork().call(Ident::parse_any) {
        Ok(word) if word == "off" => input.call(Ident::parse_any).map(|_| option.span()),
        _ => Err(foreign::only_off(input, option)),
    }
}

/// Stores the value of an option. Refuses a second one.
pub(crate) fn once<T>(slot: &mut Option<T>, option: &Ident, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(option.span(), format!("`{option}` is given twice"))),
    }
}
