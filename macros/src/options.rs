//! The grammar of `#[traced(...)]`: what was written, not yet whether it makes sense on the item.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, Path, Result, Token, parenthesized};

use crate::fields::Field;

/// The options of one `#[traced(...)]`.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Expr>,
    pub(crate) kind: Option<Ident>,
    pub(crate) fields: Option<Vec<Field>>,
    pub(crate) err: Option<Record>,
    pub(crate) ret: Option<Record>,
    pub(crate) root: Option<Span>,
    pub(crate) parent: Option<Expr>,
    pub(crate) links: Option<Expr>,
    pub(crate) code_off: Option<Span>,
    pub(crate) metrics: Option<bool>,
    pub(crate) skip: Option<Span>,
    pub(crate) krate: Option<Path>,
}

/// How an error or a return value is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    Off,
    /// As `#[traced]` sees fit: `Display` for errors that have it, the type for values.
    Plain,
    Display,
    Debug,
}

const ACCEPTED: &str = "`name`, `kind`, `fields`, `ret`, `err`, `root`, `parent`, `links`, `metrics`, `code`, `crate` or \
                        `skip`";
const KINDS: [(&str, &str); 5] = [
    ("server", "Server"),
    ("client", "Client"),
    ("producer", "Producer"),
    ("consumer", "Consumer"),
    ("internal", "Internal"),
];

impl Options {
    /// These options, and those of the surrounding block where these say nothing.
    pub(crate) fn or(self, outer: &Options) -> Options {
        // A parent given here replaces a `root` given there, and the other way around.
        let decides_origin = self.root.is_some() || self.parent.is_some();
        let outer_origin = (!decides_origin).then_some(outer);
        Options {
            name: self.name,
            kind: self.kind.or_else(|| outer.kind.clone()),
            fields: self.fields.or_else(|| outer.fields.clone()),
            err: self.err.or(outer.err),
            ret: self.ret.or(outer.ret),
            root: self.root.or_else(|| outer_origin?.root),
            parent: self.parent.or_else(|| outer_origin?.parent.clone()),
            links: self.links.or_else(|| outer.links.clone()),
            code_off: self.code_off.or(outer.code_off),
            metrics: self.metrics.or(outer.metrics),
            skip: self.skip,
            krate: self.krate.or_else(|| outer.krate.clone()),
        }
    }

    /// The variant of `SpanKind`; `None` for the default.
    pub(crate) fn kind_variant(&self) -> Option<Ident> {
        let kind = self.kind.as_ref()?;
        let (_, variant) = KINDS.iter().find(|(name, _)| kind == name)?;
        Some(Ident::new(variant, kind.span()))
    }

    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        if let Ok(literal) = input.fork().parse::<syn::LitStr>() {
            let message = format!("write `name = {:?}` to name the span", literal.value());
            return Err(Error::new(literal.span(), message));
        }
        let option = input.call(Ident::parse_any)?;
        match option.to_string().as_str() {
            "name" => once(&mut self.name, &option, value(input, &option)?),
            "kind" => once(&mut self.kind, &option, kind(input, &option)?),
            "fields" => once(&mut self.fields, &option, fields(input, &option)?),
            "err" => once(&mut self.err, &option, record(input, &option)?),
            "ret" => once(&mut self.ret, &option, record(input, &option)?),
            "root" => once(&mut self.root, &option, option.span()),
            "parent" => once(&mut self.parent, &option, value(input, &option)?),
            "links" => once(&mut self.links, &option, value(input, &option)?),
            "metrics" => once(&mut self.metrics, &option, metrics(input, &option)?),
            "code" => once(&mut self.code_off, &option, off(input, &option)?),
            "skip" => once(&mut self.skip, &option, option.span()),
            "crate" => {
                input.parse::<Token![=]>().map_err(|_| needs_value(&option))?;
                once(&mut self.krate, &option, input.call(Path::parse_mod_style)?)
            }
            _ => Err(Error::new(option.span(), format!("unknown option `{option}`; expected {ACCEPTED}"))),
        }
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Options::default();
        while !input.is_empty() {
            options.parse_one(input)?;
            if input.is_empty() {
                break;
            }
            input.parse::<Token![,]>().map_err(|error| Error::new(error.span(), "expected `,` between options"))?;
        }
        Ok(options)
    }
}

fn once<T>(slot: &mut Option<T>, option: &Ident, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(option.span(), format!("`{option}` is given twice"))),
    }
}

fn needs_value(option: &Ident) -> Error {
    Error::new(option.span(), format!("`{option}` needs a value: `{option} = ...`"))
}

fn value(input: ParseStream<'_>, option: &Ident) -> Result<Expr> {
    input.parse::<Token![=]>().map_err(|_| needs_value(option))?;
    expression(input)
}

/// An expression. `crate` and `super` alone pass for one in syn's eyes, but are modules.
pub(crate) fn expression(input: ParseStream<'_>) -> Result<Expr> {
    let expr: Expr = input.parse()?;
    match &expr {
        Expr::Path(path) if path.path.is_ident("crate") || path.path.is_ident("super") => {
            Err(Error::new_spanned(path, "expected an expression, found a module"))
        }
        _ => Ok(expr),
    }
}

fn kind(input: ParseStream<'_>, option: &Ident) -> Result<Ident> {
    input.parse::<Token![=]>().map_err(|_| needs_value(option))?;
    let expected = "expected `kind = server`, `client`, `producer`, `consumer` or `internal`";
    let kind: Ident = input.parse().map_err(|error| Error::new(error.span(), expected))?;
    match KINDS.iter().any(|(name, _)| kind == name) {
        true => Ok(kind),
        false => Err(Error::new(kind.span(), expected)),
    }
}

fn fields(input: ParseStream<'_>, option: &Ident) -> Result<Vec<Field>> {
    if !input.peek(syn::token::Paren) {
        return Err(Error::new(option.span(), "expected `fields(key = value, argument, ...)`"));
    }
    let content;
    parenthesized!(content in input);
    let fields = content.parse_terminated(Field::parse, Token![,])?;
    Ok(fields.into_iter().collect())
}

/// Nothing, or `= off` for one function of a block.
fn metrics(input: ParseStream<'_>, option: &Ident) -> Result<bool> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(true);
    }
    let expected = |_| Error::new(option.span(), "expected `metrics` or `metrics = off`; it has no further options");
    off(input, option).map(|_| false).map_err(expected)
}

/// Nothing, `= off`, `(Debug)` or `(Display)`.
fn record(input: ParseStream<'_>, option: &Ident) -> Result<Record> {
    if input.peek(Token![=]) {
        return off(input, option).map(|_| Record::Off);
    }
    if !input.peek(syn::token::Paren) {
        return Ok(Record::Plain);
    }
    let content;
    parenthesized!(content in input);
    let expected = || format!("expected `{option}(Debug)` or `{option}(Display)`");
    let format: Ident = content.parse().map_err(|error| Error::new(error.span(), expected()))?;
    if !content.is_empty() {
        return Err(Error::new(content.span(), expected()));
    }
    match format.to_string().as_str() {
        "Debug" => Ok(Record::Debug),
        "Display" => Ok(Record::Display),
        _ => Err(Error::new(format.span(), expected())),
    }
}

fn off(input: ParseStream<'_>, option: &Ident) -> Result<Span> {
    input.parse::<Token![=]>().map_err(|_| Error::new(option.span(), format!("expected `{option} = off`")))?;
    let word = input.call(Ident::parse_any)?;
    match word == "off" {
        true => Ok(option.span()),
        false => Err(Error::new(word.span(), format!("expected `{option} = off`"))),
    }
}
