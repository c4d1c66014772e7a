//! The grammar of `#[traced(...)]`. `check` later validates the options against the item.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, LitStr, Path, Result, Token, parenthesized};

use crate::fields::Field;
use crate::foreign;
use crate::parse::{equals, flag, off, once, value};

/// The options of one `#[traced(...)]`.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Expr>,
    pub(crate) kind: Option<Ident>,
    /// The variant of `Level`.
    pub(crate) level: Option<Ident>,
    pub(crate) target: Option<Expr>,
    pub(crate) fields: Option<Vec<Field>>,
    pub(crate) err: Option<Record>,
    pub(crate) err_if: Option<Expr>,
    pub(crate) ret: Option<Record>,
    /// The type in the names of a method, for a method outside of a traced block.
    pub(crate) owner: Option<LitStr>,
    pub(crate) root: Option<Span>,
    /// True if the span needs a current span to be its parent.
    pub(crate) below: Option<bool>,
    pub(crate) parent: Option<Expr>,
    pub(crate) links: Option<Expr>,
    pub(crate) code_off: Option<Span>,
    pub(crate) metrics: Option<bool>,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) skip: Option<Span>,
    pub(crate) krate: Option<Path>,
}

/// How to record an error or a return value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    Off,
    /// The default: `Display` for errors that implement it, a typed attribute for values.
    Plain,
    Display,
    Debug,
}

/// An explicit choice of the value that determines the end of the span, overriding the return type.
#[derive(Clone)]
pub(crate) struct Lifetime {
    /// The option as written.
    pub(crate) option: Ident,
    pub(crate) of: Lives,
}

/// The value that determines the end of the span.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lives {
    /// The call, regardless of its return type: `future = off`.
    Call,
    Future,
    Stream,
    Iterator,
}

const ACCEPTED: &str = "`name`, `kind`, `level`, `target`, `fields`, `ret`, `err`, `err_if`, `root`, `parent`, `below`, `links`, \
                        `owner`, `metrics`, `future`, `stream`, `iterator`, `code`, `crate` or `skip`";
const KINDS: [(&str, &str); 5] = [
    ("server", "Server"),
    ("client", "Client"),
    ("producer", "Producer"),
    ("consumer", "Consumer"),
    ("internal", "Internal"),
];

const LEVELS: [(&str, &str); 5] =
    [("error", "Error"), ("warn", "Warn"), ("info", "Info"), ("debug", "Debug"), ("trace", "Trace")];

impl Options {
    /// Fills in missing options from those of the surrounding block.
    pub(crate) fn or(self, outer: &Options) -> Options {
        // A `parent` on the item overrides a `root` or a `below` on the block, and vice versa.
        let decides_origin = self.root.is_some() || self.parent.is_some() || self.below.is_some();
        let outer_origin = (!decides_origin).then_some(outer);
        Options {
            name: self.name,
            kind: self.kind.or_else(|| outer.kind.clone()),
            level: self.level.or_else(|| outer.level.clone()),
            target: self.target.or_else(|| outer.target.clone()),
            fields: self.fields.or_else(|| outer.fields.clone()),
            err: self.err.or(outer.err),
            err_if: self.err_if,
            ret: self.ret.or(outer.ret),
            owner: self.owner,
            root: self.root.or_else(|| outer_origin?.root),
            parent: self.parent.or_else(|| outer_origin?.parent.clone()),
            below: self.below.or_else(|| outer_origin?.below),
            links: self.links.or_else(|| outer.links.clone()),
            code_off: self.code_off.or(outer.code_off),
            metrics: self.metrics.or(outer.metrics),
            lifetime: self.lifetime.or_else(|| outer.lifetime.clone()),
            skip: self.skip,
            krate: self.krate.or_else(|| outer.krate.clone()),
        }
    }

    /// Returns the variant of `SpanKind`, or `None` for the default.
    pub(crate) fn kind_variant(&self) -> Option<Ident> {
        let kind = self.kind.as_ref()?;
        let (_, variant) = KINDS.iter().find(|(name, _)| kind == name)?;
        Some(Ident::new(variant, kind.span()))
    }

    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        if let Ok(literal) = input.fork().parse::<LitStr>() {
            let message = format!("write `name = {:?}` to name the span", literal.value());
            return Err(Error::new(literal.span(), message));
        }
        let option = input.call(Ident::parse_any)?;
        match option.to_string().as_str() {
            "name" => once(&mut self.name, &option, value(input, &option)?),
            "kind" => once(&mut self.kind, &option, kind(input, &option)?),
            "level" => once(&mut self.level, &option, level(input, &option)?),
            "target" => once(&mut self.target, &option, value(input, &option)?),
            "fields" => once(&mut self.fields, &option, fields(input, &option)?),
            "err" => once(&mut self.err, &option, record(input, &option)?),
            "ret" => once(&mut self.ret, &option, record(input, &option)?),
            "err_if" => once(&mut self.err_if, &option, value(input, &option)?),
            "root" => once(&mut self.root, &option, flag(input, &option)?),
            "parent" => once(&mut self.parent, &option, value(input, &option)?),
            "links" => once(&mut self.links, &option, value(input, &option)?),
            "owner" => once(&mut self.owner, &option, owner(input, &option)?),
            "below" => once(&mut self.below, &option, on_or_off(input, &option)?),
            "metrics" => once(&mut self.metrics, &option, on_or_off(input, &option)?),
            "code" => once(&mut self.code_off, &option, off(input, &option)?),
            "future" | "stream" | "iterator" => self.lives_as_long_as(input, option),
            "skip" => once(&mut self.skip, &option, flag(input, &option)?),
            "crate" => {
                equals(input, &option)?;
                once(&mut self.krate, &option, input.call(Path::parse_mod_style)?)
            }
            _ => Err(foreign::option(&option).unwrap_or_else(|| {
                Error::new(option.span(), format!("unknown option `{option}`; expected {ACCEPTED}"))
            })),
        }
    }

    fn lives_as_long_as(&mut self, input: ParseStream<'_>, option: Ident) -> Result<()> {
        if let Some(before) = self.lifetime.as_ref().filter(|before| before.option != option) {
            let message = format!("a span lasts as long as one value: give `{}` or `{option}`", before.option);
            return Err(Error::new(option.span(), message));
        }
        let of = match option.to_string().as_str() {
            "future" if input.peek(Token![=]) => off(input, &option).map(|_| Lives::Call)?,
            "future" => Lives::Future,
            "stream" => Lives::Stream,
            _ => Lives::Iterator,
        };
        if of != Lives::Call {
            flag(input, &option)?;
        }
        once(&mut self.lifetime, &option.clone(), Lifetime { option, of })
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

fn kind(input: ParseStream<'_>, option: &Ident) -> Result<Ident> {
    equals(input, option)?;
    let expected = "expected `kind = server`, `client`, `producer`, `consumer` or `internal`";
    if let Ok(literal) = input.fork().parse::<syn::LitStr>() {
        let message = format!("{expected}; a kind is a word without quotes");
        return Err(Error::new(literal.span(), message));
    }
    let kind: Ident = input.parse().map_err(|error| Error::new(error.span(), expected))?;
    match KINDS.iter().any(|(name, _)| kind == name) {
        true => Ok(kind),
        false => Err(Error::new(kind.span(), expected)),
    }
}

/// Parses `= "debug"`, and returns the variant of `Level`.
fn level(input: ParseStream<'_>, option: &Ident) -> Result<Ident> {
    equals(input, option)?;
    let expected = "expected `level = \"error\"`, `\"warn\"`, `\"info\"`, `\"debug\"` or `\"trace\"`";
    let word: LitStr = input.parse().map_err(|error| Error::new(error.span(), expected))?;
    match LEVELS.iter().find(|(name, _)| *name == word.value()) {
        Some((_, variant)) => Ok(Ident::new(variant, Span::call_site())),
        None => Err(Error::new(word.span(), expected)),
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

/// Parses `= "Type"`.
fn owner(input: ParseStream<'_>, option: &Ident) -> Result<LitStr> {
    equals(input, option)?;
    let expected = "expected `owner = \"Type\"`, the name of the type to which the method belongs";
    let owner: LitStr = input.parse().map_err(|error| Error::new(error.span(), expected))?;
    match owner.value().trim().is_empty() {
        false => Ok(owner),
        true => Err(Error::new(owner.span(), expected)),
    }
}

/// Parses the rest of `metrics` or `below`: nothing, or `= off`, which excludes a single function of a block.
fn on_or_off(input: ParseStream<'_>, option: &Ident) -> Result<bool> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(true);
    }
    let expected =
        |_| Error::new(option.span(), format!("expected `{option}` or `{option} = off`; it has no further options"));
    off(input, option).map(|_| false).map_err(expected)
}

/// Parses nothing, `= off`, `(Debug)` or `(Display)`.
fn record(input: ParseStream<'_>, option: &Ident) -> Result<Record> {
    if input.peek(Token![=]) {
        return off(input, option).map(|_| Record::Off);
    }
    if !input.peek(syn::token::Paren) {
        return Ok(Record::Plain);
    }
    let content;
    parenthesized!(content in input);
    let expected = || match content.fork().call(Ident::parse_any) {
        Ok(level) if level == "level" => {
            format!(
                "expected `{option}(Debug)` or `{option}(Display)`; the level is that of the span: write `level` beside `{option}`"
            )
        }
        _ => format!("expected `{option}(Debug)` or `{option}(Display)`"),
    };
    let words = content.fork();
    let record = match words.parse::<Ident>().map_err(|error| Error::new(error.span(), expected()))? {
        format if format == "Debug" => Record::Debug,
        format if format == "Display" => Record::Display,
        format => return Err(Error::new(format.span(), expected())),
    };
    content.parse::<Ident>()?;
    if content.is_empty() {
        return Ok(record);
    }
    // In `err(Debug, level = "warn")`, the error points after the comma.
    content.parse::<Option<Token![,]>>()?;
    Err(Error::new(content.span(), expected()))
}
