//! Options of other crates' attributes, and ways to write options elsewhere: each gets the way to write it here.

use syn::parse::ParseStream;
use syn::{Error, Expr, Ident, Lit, Result, Token};

/// Options that `#[traced]` does not have, and the advice for whoever knows them from another attribute.
const FOREIGN: [(&str, &str); 17] = [
    ("skip_all", "arguments are not captured unless `fields(...)` names them: leave `skip_all` out"),
    ("level", "there are no levels: every `#[traced]` function has a span, and the sampler decides: leave `level` out"),
    ("target", "there are no targets: the scope of a span is its crate: leave `target` out"),
    ("follows_from", "write `links = [...]` with one `SpanContext`, `&Context` or `Link` for each link"),
    ("link", "write `links = [...]` with one `SpanContext`, `&Context` or `Link` for each link"),
    (
        "short_name",
        "a function's span has its name without the path already: leave `short_name` out, or write `name = \"...\"`",
    ),
    ("enter_on_poll", "one span covers the future and is current in each poll: leave `enter_on_poll` out"),
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

/// The advice for an option that is none here but well known elsewhere.
pub(crate) fn option(option: &Ident) -> Option<Error> {
    let (_, advice) = FOREIGN.iter().find(|(name, _)| option == name)?;
    Some(Error::new(option.span(), format!("`#[traced]` has no option `{option}`: {advice}")))
}

/// Refuses what follows an option that has no value: `skip(argument)`, `root = true`.
pub(crate) fn flag(input: ParseStream<'_>, option: &Ident) -> Result<()> {
    if input.peek(syn::token::Paren) {
        return Err(Error::new(
            option.span(),
            match option == "skip" {
                true => {
                    "`skip` has no arguments: those of the function are not captured unless `fields(...)` names them; \
                         leave `skip(...)` out"
                        .to_owned()
                }
                false => format!("`{option}` stands alone: it has no arguments"),
            },
        ));
    }
    if input.peek(Token![=]) {
        return Err(Error::new(option.span(), format!("`{option}` stands alone: write `{option}`, or leave it out")));
    }
    Ok(())
}

/// Refuses `= true`, `= false` and the like where the only value is `off`.
pub(crate) fn only_off(input: ParseStream<'_>, option: &Ident) -> Error {
    let expected = match input.parse::<Expr>() {
        Ok(Expr::Lit(literal)) => match literal.lit {
            Lit::Bool(given) if given.value && option != "code" => {
                format!("`{option}` stands alone when it is wanted: write `{option}`")
            }
            _ => format!("expected `{option} = off`"),
        },
        _ => format!("expected `{option} = off`"),
    };
    Error::new(option.span(), expected)
}
