//! The new body of a function. Names nothing but `telemark::__private`; what it declares is invisible to the user's code.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Block, Expr, Ident, Item, Path, Result, Signature, Stmt, Type, parse_quote};

use crate::check;
use crate::options::Options;
use crate::shape::{Lazy, Shape, Work, async_block};

/// A function to trace, apart from its body.
#[derive(Clone, Copy)]
pub(crate) struct Function<'a> {
    /// The type or trait whose method it is, if that is known.
    pub(crate) owner: Option<&'a str>,
    pub(crate) attributes: &'a [Attribute],
    pub(crate) signature: &'a Signature,
}

/// Puts the work of a function into a span.
pub(crate) fn function(options: &Options, function: Function<'_>, block: &mut Block) -> Result<()> {
    let Function { owner, attributes, signature } = function;
    let shape = Shape::of(signature, block, options.lifetime.as_ref().map(|lifetime| lifetime.of));
    check::function(options, signature, &shape)?;
    let tracks_caller = attributes.iter().any(|attribute| attribute.path().is_ident("track_caller"));
    let expansion = Expansion { private: private(options), options, owner, signature, shape, tracks_caller };
    match expansion.shape.work {
        Work::Call => expansion.call(block),
        Work::AsyncFn => expansion.async_work(block),
        Work::AsyncBlock => {
            if let Some(inner) = async_block(block) {
                expansion.async_work(inner);
            }
        }
        Work::Value { of, boxed } => expansion.value(block, of, boxed),
    }
    if signature.ident == "main" && owner.is_none() {
        refuse_main(&expansion, block);
    }
    Ok(())
}

/// Refuses the `main` of a program, which only its path tells from other functions of that name: its span would start
/// before a tracer is installed, and end after it has been flushed.
fn refuse_main(expansion: &Expansion<'_>, block: &mut Block) {
    let private = &expansion.private;
    let refused = quote_spanned! {located(&expansion.signature.ident)=>
        const _: () = #private::refuse_main(#private::module_path!());
    };
    block.stmts.insert(0, Stmt::Item(Item::Verbatim(refused)));
}

fn private(options: &Options) -> Path {
    match &options.krate {
        None => parse_quote!(::telemark::__private),
        Some(krate) => parse_quote!(#krate::__private),
    }
}

/// An identifier that the user's code can neither see nor shadow.
pub(crate) fn hidden(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

pub(crate) struct Expansion<'a> {
    pub(crate) private: Path,
    pub(crate) options: &'a Options,
    owner: Option<&'a str>,
    pub(crate) signature: &'a Signature,
    pub(crate) shape: Shape,
    /// In a closure, `Location::caller` would tell a place in the function.
    pub(crate) tracks_caller: bool,
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
                    return #output;
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
        // A `return` of what never returns would be unreachable.
        let new = if self.shape.returns_never() { new } else { quote!(return #new;) };
        replace(block, new);
    }

    /// The call runs in the span too, because that is where the arguments are; what it returns then carries the span on.
    fn value(&self, block: &mut Block, of: Lazy, boxed: bool) {
        let private = &self.private;
        let (setup, attributes) = (self.setup(), self.attributes());
        let record = self.record().unwrap_or_else(|| quote!(#private::ignore));
        let (active, value) = (hidden("active"), hidden("value"));
        let body = &block.stmts;
        let returned: TokenStream = match (&self.signature.output, boxed) {
            (syn::ReturnType::Type(_, returned), true) => quote!(-> #returned),
            _ => quote!(),
        };
        let start = self.either("start", "start_here");
        let start = quote!(#private::#start(#setup, #attributes));
        let call = quote!(move || #returned { #(#body)* });
        let (plain, measured) = match of {
            Lazy::Future => ("traced", "traced_timed"),
            Lazy::Stream => ("traced_stream", "traced_stream_timed"),
            Lazy::Iterator => ("traced_iterator", "traced_iterator_timed"),
        };
        let (plain, measured) = (format_ident!("{plain}"), format_ident!("{measured}"));
        let (call, traced) = match self.durations() {
            None if of == Lazy::Future => (
                quote!(let (#active, #value) = #private::call_in(#start, #call);),
                quote!(#private::#plain(#active, #value, #record)),
            ),
            None => {
                let outcome = self.outcome();
                (
                    quote!(let (#active, #value) = #private::call_in(#start, #call);),
                    quote!(#private::#plain(#active, #value, #record, #outcome)),
                )
            }
            Some(durations) => {
                let (timer, outcome) = (hidden("timer"), self.outcome());
                (
                    quote!(let (#active, #timer, #value) = #private::call_in_measured(#start, #durations, #call);),
                    quote!(#private::#measured(#active, #timer, #value, #record, #outcome)),
                )
            }
        };
        let result = match (boxed, of) {
            (false, _) => traced,
            (true, Lazy::Future | Lazy::Stream) => quote!(#private::Box::pin(#traced)),
            (true, Lazy::Iterator) => quote!(#private::Box::new(#traced)),
        };
        let new = quote!(#call return #result;);
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
        let name = match (&self.options.name, self.owner) {
            (None, None) => quote!(#function),
            (None, Some(owner)) => {
                let name = format!("{owner}::{function}");
                quote!(#name)
            }
            (Some(name), _) => quote_spanned!(located(name)=> #private::name(const { #name })),
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

    /// A call whose errors are shown at the function's return type, which is what does not fit.
    pub(crate) fn at_output(&self, function: TokenStream, arguments: &dyn ToTokens) -> TokenStream {
        let span = match &self.shape.output {
            Some(Type::Infer(_)) => located(&self.signature.output),
            Some(output) => located(output),
            None => located(&self.signature.ident),
        };
        let (function, arguments) = (respanned(function, span), respanned(arguments.to_token_stream(), span));
        quote_spanned!(span=> #function(#arguments))
    }

    /// A statement without effect that tells the compiler the type of an async block, which cannot be written.
    fn typed(&self) -> TokenStream {
        if self.shape.returns_never() {
            return TokenStream::new();
        }
        let returned = self.shape.output_to_infer();
        if matches!(returned, Type::Infer(_)) {
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

/// Makes `statements` the body. They end with a `return`, for those who deny `clippy::implicit_return`: clippy knows that a
/// `return` of ours is not the user's to leave out.
fn replace(block: &mut Block, statements: TokenStream) {
    block.stmts = vec![Stmt::Expr(Expr::Verbatim(statements), None)];
}
