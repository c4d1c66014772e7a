//! `fields(...)`: the attributes of the span.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, FnArg, Ident, Lit, LitStr, Pat, Path, Result, Signature, Token, Type, TypeReference};

use crate::parse::expression;

/// One attribute.
#[derive(Clone)]
pub(crate) struct Field {
    /// The key, with its location in the source.
    pub(crate) key: LitStr,
    value: Value,
    format: Format,
}

#[derive(Clone)]
enum Value {
    /// An argument, captured by its name.
    Argument(Ident),
    Expr(Expr),
}

#[derive(Clone, Copy)]
enum Format {
    Typed,
    Display,
    Debug,
}

impl Field {
    /// Returns the argument that the field captures by its name.
    pub(crate) fn argument(&self) -> Option<&Ident> {
        match &self.value {
            Value::Argument(argument) => Some(argument),
            Value::Expr(_) => None,
        }
    }

    /// Returns the statement that adds the attribute to `attributes`, for a function with this signature.
    pub(crate) fn expand(&self, private: &Path, attributes: &Ident, signature: &Signature) -> TokenStream {
        let (value, span): (&dyn ToTokens, _) = match &self.value {
            Value::Argument(argument) => (argument, argument.span()),
            Value::Expr(expr) => (expr, expr.span()),
        };
        // Errors point at the value; lints treat the code as a macro's.
        let at = span.resolved_at(Span::call_site());
        let key = &self.key;
        if matches!(self.format, Format::Typed) && (self.is_literal() || self.is_static(signature)) {
            return quote_spanned!(at=> #private::push_str(#attributes, #key, #value););
        }
        let push = match self.format {
            Format::Typed => "push",
            Format::Display => "push_display",
            Format::Debug => "push_debug",
        };
        let push = Ident::new(push, at);
        quote_spanned!(at=> #private::#push(#attributes, #key, &(#value));)
    }

    /// Returns true for a string literal, which needs no copy.
    fn is_literal(&self) -> bool {
        matches!(&self.value, Value::Expr(Expr::Lit(ExprLit { lit: Lit::Str(_), .. })))
    }

    /// Returns true for an argument of the type `&'static str`, which needs no copy either.
    fn is_static(&self, signature: &Signature) -> bool {
        let name = match &self.value {
            Value::Argument(argument) => argument,
            Value::Expr(Expr::Path(path)) => match path.path.get_ident() {
                Some(name) if path.attrs.is_empty() => name,
                _ => return false,
            },
            Value::Expr(_) => return false,
        };
        signature.inputs.iter().any(|input| match input {
            FnArg::Typed(argument) => is_binding_of(&argument.pat, name) && is_static_str(&argument.ty),
            FnArg::Receiver(_) => false,
        })
    }
}

fn is_binding_of(pattern: &Pat, name: &Ident) -> bool {
    matches!(pattern, Pat::Ident(binding) if binding.ident == *name && binding.by_ref.is_none())
}

fn is_static_str(ty: &Type) -> bool {
    let Type::Reference(TypeReference { lifetime: Some(lifetime), mutability: None, elem, .. }) = ty else {
        return false;
    };
    lifetime.ident == "static" && matches!(&**elem, Type::Path(path) if path.path.is_ident("str"))
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let shorthand_format = format(input)?;
        let (key, argument) = key(input)?;
        if !input.peek(Token![=]) {
            return match argument {
                Some(argument) => Ok(Field { key, value: Value::Argument(argument), format: shorthand_format }),
                None => Err(Error::new(key.span(), format!("`{0}` needs a value: `{0} = ...`", key.value()))),
            };
        }
        let equals = input.parse::<Token![=]>()?;
        if !matches!(shorthand_format, Format::Typed) {
            return Err(Error::new(key.span(), "write the `%` or `?` before the value: `key = %value`"));
        }
        let format = format(input)?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new(equals.span(), format!("`{}` needs a value after the `=`", key.value())));
        }
        let value = expression(input)?;
        // `tracing::field::Empty` declares a value that is set later.
        if matches!(&value, Expr::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Empty")) {
            let message = "there is no placeholder for a later value: leave the field out, and set it with \
                           `telemark::set_attribute` once the value is known";
            return Err(Error::new_spanned(value, message));
        }
        Ok(Field { key, value: Value::Expr(value), format })
    }
}

fn format(input: ParseStream<'_>) -> Result<Format> {
    if input.parse::<Option<Token![%]>>()?.is_some() {
        return Ok(Format::Display);
    }
    Ok(input.parse::<Option<Token![?]>>()?.map_or(Format::Typed, |_| Format::Debug))
}

/// Parses a key, and returns its identifier as well if the key is a single one.
fn key(input: ParseStream<'_>) -> Result<(LitStr, Option<Ident>)> {
    if input.peek(LitStr) {
        let key: LitStr = input.parse()?;
        return match key.value().is_empty() {
            true => Err(Error::new(key.span(), "the key of an attribute cannot be empty")),
            false => Ok((key, None)),
        };
    }
    let expected = |error: Error| Error::new(error.span(), "expected `key = value`, `\"key\" = value` or an argument");
    let first = input.call(Ident::parse_any).map_err(expected)?;
    let mut key = first.unraw().to_string();
    let mut single = Some(first.clone());
    while input.parse::<Option<Token![.]>>()?.is_some() {
        key.push('.');
        key.push_str(&input.call(Ident::parse_any).map_err(expected)?.unraw().to_string());
        single = None;
    }
    Ok((LitStr::new(&key, first.span()), single))
}
