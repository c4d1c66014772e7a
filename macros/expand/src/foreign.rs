//! Advice for users of options and syntax from other crates' attributes.

use syn::parse::ParseStream;
use syn::{Error, Expr, Ident, Lit, Result, Token};

/// Options of other attributes, with their equivalents in `#[traced]`.
const FOREIGN: [(&str, &str); 15] = [
    ("skip_all", "arguments are captured only if `fields(...)` names them: leave `skip_all` out"),
    ("follows_from", "write `links = [...]` with one `SpanContext`, `&Context` or `Link` for each link"),
    ("link", "write `links = [...]` with one `SpanContext`, `&Context` or `Link` for each link"),
    (
        "short_name",
        "a span has the name of its function, without the path: leave `short_name` out, or write `name = \"...\"`",
    ),
    ("enter_on_poll", "one span covers the future, and is current in each poll: leave `enter_on_poll` out"),
    ("properties", "write `fields(key = value, ...)`; `%value` records with `Display`, `?value` with `Debug`"),
    ("attributes", "write `fields(key = value, ...)`; `%value` records with `Display`, `?value` with `Debug`"),
    ("field", "write `fields(key = value, ...)`"),
    ("span_kind", "write `kind = server`, `client`, `producer`, `consumer` or `internal`"),
    ("new_root", "write `root`"),
    ("error", "write `err`, `err(Debug)` or `err(Display)`"),
    ("errors", "write `err`, `err(Debug)` or `err(Display)`"),
    ("err_unless", "write `err_if = |error| ...` with the condition under which an `Err` is an error"),
    ("iter", "write `iterator`"),
    ("async", "write `future` if the function returns a future; an `async fn` needs nothing"),
];

/// Returns an error with advice for an option that other attributes have.
pub(crate) fn option(option: &Ident) -> Option<Error> {
    let (_, advice) = FOREIGN.iter().find(|(name, _)| option == name)?;
    Some(Error::new(option.span(), format!("`#[traced]` has no option `{option}`: {advice}")))
}

/// Refuses a value after an option that takes none: `skip(argument)`, `root = true`.
pub(crate) fn flag(input: ParseStream<'_>, option: &Ident) -> Result<()> {
    if input.peek(syn::token::Paren) {
        return Err(Error::new(
            option.span(),
            match option == "skip" {
                true => {
                    "`skip` takes no arguments: those of the function are captured only if `fields(...)` names them; \
                         leave `skip(...)` out"
                        .to_owned()
                }
                false => format!("`{option}` takes no arguments"),
            },
        ));
    }
    if input.peek(Token![=]) {
        return Err(Error::new(option.span(), format!("`{option}` takes no value: write `{option}`, or leave it out")));
    }
    Ok(())
}

/// Returns the error for a value other than `off`, such as `= true`.
pub(crate) fn only_off(input: ParseStream<'_>, option: &Ident) -> Error {
    let expected = match input.parse::<Expr>() {
        Ok(Expr::Lit(literal)) => match literal.lit {
            Lit::Bool(given) if given.value && option != "code" => {
                format!("`{option}` takes no `true`: write `{option}` alone")
            }
            _ => format!("expected `{option} = off`"),
        },
        _ => format!("expected `{option} = off`"),
    };
    Error::new(option.span(), expected)
}
