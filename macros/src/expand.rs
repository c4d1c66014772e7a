//! The new body of a function. Names nothing but `telemark::__private`; what it declares is invisible to the user's code.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Block, Expr, Ident, Path, Result, Signature, Stmt, parse_quote};

use crate::check;
use crate::options::{Options, Record};
use crate::shape::{Shape, Work, async_block};

/// Puts the work of a function into a span. `owner` is the type whose method it is, if that is known.
pub(crate) fn function(options: &Options, owner: Option<&str>, signature: &Signature, block: &mut Block) -> Result<()> {
    let shape = Shape::of(signature, block);
    check::function(options, signature, &shape)?;
    let expansion = Expansion { private: private(options), options, owner, signature, shape };
    match expansion.shape.work {
        Work::Call => expansion.call(block),
        Work::AsyncFn => expansion.async_work(block),
        Work::AsyncBlock => {
            if let Some(inner) = async_block(block) {
                expansion.async_work(inner);
            }
        }
        Work::Future { boxed } => expansion.future(block, boxed),
    }
    Ok(())
}

fn private(options: &Options) -> Path {
    match &options.krate {
        None => parse_quote!(::telemark::__private),
        Some(krate) => parse_quote!(#krate::__private),
    }
}

/// An identifier that the user's code can neither see nor shadow.
fn hidden(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

struct Expansion<'a> {
    private: Path,
    options: &'a Options,
    owner: Option<&'a str>,
    signature: &'a Signature,
    shape: Shape,
}

impl Expansion<'_> {
    /// A guard for the time of the call. The body moves into a closure only when its outcome is looked at, because
    /// `return` and `?` would go past us otherwise.
    fn call(&self, block: &mut Block) {
        let (private, entered, output) = (&self.private, hidden("entered"), hidden("output"));
        let (setup, attributes) = (self.setup(), self.attributes());
        let enter = self.either("enter", "enter_here");
        let body = &block.stmts;
        let new = match self.record() {
            None => {
                let entered = hidden("_entered");
                // Declared after the span, so it ends before it.
                let time = self.durations().map(|durations| {
                    let timer = hidden("_timer");
                    quote!(let #timer = #private::time(#durations, &#entered);)
                });
                quote!(let #entered = #private::#enter(#setup, #attributes); #time #(#body)*)
            }
            Some(record) => {
                let returned = self.shape.output_to_infer();
                let timer = hidden("timer");
                let measure = self.durations().map(|durations| {
                    let outcome = self.outcome();
                    let start = quote!(let #timer = #private::time(#durations, &#entered););
                    (start, quote!(#private::returned(#timer, &#output, #outcome);))
                });
                let (start, end) = measure.unzip();
                quote! {
                    let #entered = #private::#enter(#setup, #attributes);
                    #start
                    let #output = #private::call(move || -> #returned { #(#body)* });
                    #end
                    #private::finish(&#entered, &#output, #record);
                    #output
                }
            }
        };
        replace(block, new);
    }

    /// The body becomes a future within the future: only so the span can be current during each poll.
    fn async_work(&self, block: &mut Block) {
        let private = &self.private;
        let (setup, attributes) = (self.setup(), self.attributes());
        let record = self.record().unwrap_or_else(|| quote!(#private::ignore));
        let body = &block.stmts;
        let typed = self.typed();
        let start = self.either("start", "start_here");
        let start = quote!(#private::#start(#setup, #attributes));
        let work = quote!(async move { #typed #(#body)* });
        let new = match self.durations() {
            None => quote!(#private::traced(#start, #work, #record).await),
            Some(durations) => {
                let outcome = self.outcome();
                quote!(#private::traced_measured(#start, #durations, #work, #record, #outcome).await)
            }
        };
        replace(block, new);
    }

    /// The call runs in the span too, because that is where the arguments are; then the future goes on with it.
    fn future(&self, block: &mut Block, boxed: bool) {
        let private = &self.private;
        let (setup, attributes) = (self.setup(), self.attributes());
        let record = self.record().unwrap_or_else(|| quote!(#private::ignore));
        let (active, future) = (hidden("active"), hidden("future"));
        let body = &block.stmts;
        let returned: TokenStream = match (&self.signature.output, boxed) {
            (syn::ReturnType::Type(_, returned), true) => quote!(-> #returned),
            _ => quote!(),
        };
        let start = self.either("start", "start_here");
        let start = quote!(#private::#start(#setup, #attributes));
        let call = quote!(move || #returned { #(#body)* });
        let (call, traced) = match self.durations() {
            None => (
                quote!(let (#active, #future) = #private::call_in(#start, #call);),
                quote!(#private::traced(#active, #future, #record)),
            ),
            Some(durations) => {
                let (timer, outcome) = (hidden("timer"), self.outcome());
                (
                    quote!(let (#active, #timer, #future) = #private::call_in_measured(#start, #durations, #call);),
                    quote!(#private::traced_timed(#active, #timer, #future, #record, #outcome)),
                )
            }
        };
        let result = if boxed { quote!(#private::Box::pin(#traced)) } else { traced };
        let new = quote!(#call #result);
        replace(block, new);
    }

    /// The static that describes the function.
    fn call_site(&self) -> TokenStream {
        let private = &self.private;
        let function = self.signature.ident.unraw().to_string();
        let path = match self.owner {
            None => format!("::{function}"),
            Some(owner) => format!("::{owner}::{function}"),
        };
        // With the span of the function's name, `line!` tells that line and not the one of the attribute.
        let line = quote_spanned!(self.signature.ident.span()=> ::core::line!());
        quote! {
            static __TELEMARK_CALL_SITE: #private::CallSite = #private::CallSite::new(
                #private::env!("CARGO_PKG_NAME"),
                #private::env!("CARGO_PKG_VERSION"),
                #private::concat!(#private::module_path!(), #path),
                #private::file!(),
                #line,
            );
        }
    }

    /// The static that measures the function, if that is wanted. In a block of its own, so that the user's code does not see
    /// it.
    fn durations(&self) -> Option<TokenStream> {
        let (private, site) = (&self.private, self.call_site());
        self.options.metrics.unwrap_or(false).then(|| {
            quote! {{
                #site
                static __TELEMARK_DURATIONS: #private::Durations = #private::Durations::new(&__TELEMARK_CALL_SITE);
                &__TELEMARK_DURATIONS
            }}
        })
    }

    /// The function that starts a span anywhere, or the one for a span in the current context.
    fn either(&self, anywhere: &str, here: &str) -> Ident {
        let is_elsewhere = self.options.root.is_some() || self.options.parent.is_some();
        format_ident!("{}", if is_elsewhere { anywhere } else { here })
    }

    /// The closure that describes the span.
    fn setup(&self) -> TokenStream {
        let (private, site) = (&self.private, self.call_site());
        let function = self.signature.ident.unraw().to_string();
        let name = match &self.options.name {
            None => quote!(#function),
            Some(name) => quote_spanned!(located(name)=> #private::name(const { #name })),
        };
        let mut setup = quote!(#private::Setup::new(#name).with_call_site(&__TELEMARK_CALL_SITE));
        if let Some(kind) = self.options.kind_variant() {
            setup.extend(quote!(.with_kind(#private::SpanKind::#kind)));
        }
        if self.options.code_off.is_some() {
            setup.extend(quote!(.without_code_attributes()));
        }
        if self.options.root.is_some() {
            setup.extend(quote!(.with_new_root()));
        }
        if let Some(parent) = &self.options.parent {
            setup.extend(quote_spanned!(located(parent)=> .with_parent(#parent)));
        }
        if let Some(links) = &self.options.links {
            setup.extend(quote_spanned!(located(links)=> .with_links(#links)));
        }
        quote!(|| { #site #setup })
    }

    /// The closure that makes the attributes.
    fn attributes(&self) -> TokenStream {
        let fields = self.options.fields.as_deref().unwrap_or_default();
        if fields.is_empty() {
            return quote!(|_| {});
        }
        let attributes = hidden("attributes");
        let pushes = fields.iter().map(|field| field.expand(&self.private, &attributes, self.signature));
        quote!(|#attributes| { #(#pushes)* })
    }

    fn err(&self) -> Record {
        let default = if self.shape.returns_result() { Record::Plain } else { Record::Off };
        self.options.err.unwrap_or(default)
    }

    /// What names the type of the error in the output, for the metric.
    fn outcome(&self) -> TokenStream {
        let private = &self.private;
        if self.err() == Record::Off || self.shape.returns_never() {
            return quote!(#private::success);
        }
        let (output, error) = (hidden("output"), hidden("error"));
        let found = self.at_output(quote!(#private::Fallible::error), &output);
        let parameter = self.output_parameter(&output);
        quote!(|#parameter| #found.map(|#error| #private::Described::new(#error).error_type()))
    }

    /// The closure that looks at the output, if that is wanted.
    fn record(&self) -> Option<TokenStream> {
        let err = self.err();
        let ret = self.options.ret.unwrap_or(Record::Off);
        if self.shape.returns_never() || (err, ret) == (Record::Off, Record::Off) {
            return None;
        }
        let private = &self.private;
        let (live, output) = (hidden("live"), hidden("output"));
        let err_code = self.record_err(err, &live, &output);
        let fallible = err != Record::Off || self.shape.returns_result();
        let ret_code = self.record_ret(ret, fallible, &live, &output);
        let parameter = self.output_parameter(&output);
        Some(quote!(|#live, #parameter| #private::guarded(|| { #err_code #ret_code })))
    }

    /// The parameter for the output. Of a future that the body makes, the type is known only behind the code that looks at
    /// the output, unless it is written there.
    fn output_parameter(&self, output: &Ident) -> TokenStream {
        match (&self.shape.work, self.shape.output_to_infer()) {
            (Work::Future { .. }, returned) if self.shape.output.is_some() => quote!(#output: &#returned),
            _ => quote!(#output),
        }
    }

    fn record_err(&self, err: Record, live: &Ident, output: &Ident) -> TokenStream {
        let (private, error) = (&self.private, hidden("error"));
        let description = match err {
            Record::Off => return TokenStream::new(),
            Record::Plain => quote!(#private::Described::new(#error).description()),
            Record::Display => self.at_output(quote!(#private::display), &error),
            Record::Debug => self.at_output(quote!(#private::debug), &error),
        };
        let found = self.at_output(quote!(#private::Fallible::error), output);
        quote! {
            if let ::core::option::Option::Some(#error) = #found {
                #live.fail(#description, #private::Described::new(#error).error_type());
            }
        }
    }

    fn record_ret(&self, ret: Record, fallible: bool, live: &Ident, output: &Ident) -> TokenStream {
        let (private, value) = (&self.private, hidden("value"));
        let given = if fallible { &value } else { output };
        let set = match ret {
            Record::Off => return TokenStream::new(),
            Record::Plain => self.at_output(quote!(#private::set_return), &quote!(#live, #given)),
            Record::Display => {
                let text = self.at_output(quote!(#private::display), given);
                quote!(#private::set_return(#live, &#text))
            }
            Record::Debug => {
                let text = self.at_output(quote!(#private::debug), given);
                quote!(#private::set_return(#live, &#text))
            }
        };
        if !fallible {
            return quote!(#set;);
        }
        let found = self.at_output(quote!(#private::Fallible::value), output);
        quote! {
            if let ::core::option::Option::Some(#value) = #found {
                #set;
            }
        }
    }

    /// A call whose errors are shown at the function's return type, which is what does not fit.
    fn at_output(&self, function: TokenStream, arguments: &dyn ToTokens) -> TokenStream {
        let span = self.shape.output.as_ref().map_or_else(|| located(&self.signature.ident), located);
        let (function, arguments) = (respanned(function, span), respanned(arguments.to_token_stream(), span));
        quote_spanned!(span=> #function(#arguments))
    }

    /// A statement without effect that tells the compiler the type of an async block, which cannot be written.
    fn typed(&self) -> TokenStream {
        if self.shape.returns_never() {
            return TokenStream::new();
        }
        let returned = self.shape.output_to_infer();
        if matches!(returned, syn::Type::Infer(_)) {
            return TokenStream::new();
        }
        let span = self.shape.output.as_ref().map_or_else(Span::call_site, located);
        let private = &self.private;
        // Without an `allow` for anything: that would clash with a `forbid` of the user's.
        quote_spanned!(span=> if false { return #private::never::<#returned>(); })
    }
}

/// Errors point at `tokens`, lints know that the code is not the user's.
fn located(tokens: &impl Spanned) -> Span {
    tokens.span().resolved_at(Span::call_site())
}

/// `tokens` shown at `span`, with the names that they had.
fn respanned(tokens: TokenStream, span: Span) -> TokenStream {
    let at = |mut token: proc_macro2::TokenTree| {
        token.set_span(span.resolved_at(token.span()));
        token
    };
    tokens.into_iter().map(at).collect()
}

fn replace(block: &mut Block, statements: TokenStream) {
    block.stmts = vec![Stmt::Expr(Expr::Verbatim(statements), None)];
}
