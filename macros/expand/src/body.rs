//! Generates the new body of a function. The body refers only to `telemark::__private`, and user code cannot see its variables.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Block, Expr, Ident, Item, Path, Result, Signature, Stmt, Type, parse_quote};

use crate::check;
use crate::fields::Field;
use crate::options::Options;
use crate::shape::{Lazy, Shape, Work, async_block};

/// A function to trace, without its body.
#[derive(Clone, Copy)]
pub(crate) struct Function<'a> {
    /// The type or trait to which the method belongs, if known.
    pub(crate) owner: Option<&'a str>,
    pub(crate) attributes: &'a [Attribute],
    pub(crate) signature: &'a Signature,
}

/// Wraps the body of a function in a span.
pub(crate) fn trace(options: &Options, function: Function<'_>, block: &mut Block) -> Result<()> {
    let Function { owner, attributes, signature } = function;
    let given = options.owner.as_ref().map(syn::LitStr::value);
    let owner = given.as_deref().or(owner);
    let shape = Shape::new(signature, block, options.lifetime.as_ref().map(|lifetime| lifetime.of));
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

/// Refuses a program's `main`, because its span would start before the tracer is installed and end after the flush. Only the
/// module path, which the compiler provides, distinguishes it from other functions called `main`.
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

/// Returns an identifier that user code can neither see nor shadow. Hygiene does not keep a pattern from meaning a constant or a unit
/// struct of the user's, so the name is one that nobody uses.
pub(crate) fn hidden(name: &str) -> Ident {
    Ident::new(&format!("__telemark_{name}"), Span::mixed_site())
}

pub(crate) struct Expansion<'a> {
    pub(crate) private: Path,
    pub(crate) options: &'a Options,
    owner: Option<&'a str>,
    pub(crate) signature: &'a Signature,
    pub(crate) shape: Shape,
    /// True under `#[track_caller]`, where a closure would change the result of `Location::caller`.
    pub(crate) tracks_caller: bool,
}

impl Expansion<'_> {
    /// Holds a guard during the call. Moves the body into a closure only to inspect its output, since `return` and `?` would
    /// skip the code after it.
    fn call(&self, block: &mut Block) {
        let (private, entered, output) = (&self.private, hidden("entered"), hidden("output"));
        let enter = self.begin("enter");
        let body = &block.stmts;
        let new = match self.record() {
            None => {
                let entered = hidden("entered");
                // Declared after the span, so that it is dropped first.
                let time = self.call_duration().map(|duration| {
                    let timer = hidden("timer");
                    quote!(let #timer = #private::time(#duration, &#entered);)
                });
                quote!(let #entered = #enter; #time #(#body)*)
            }
            Some(record) => {
                let returned = self.shape.output_to_infer();
                let timer = hidden("timer");
                let measure = self.call_duration().map(|duration| {
                    let outcome = self.outcome();
                    let start = quote!(let #timer = #private::time(#duration, &#entered););
                    (start, quote!(#private::returned(#timer, &#output, #outcome);))
                });
                let (start, end) = measure.unzip();
                // A condition may be a closure that can be called only once.
                let finish = format_ident!("{}", if self.options.err_if.is_some() { "finish_once" } else { "finish" });
                quote! {
                    let #entered = #enter;
                    #start
                    let #output = #private::call(move || -> #returned { #(#body)* });
                    #end
                    #private::#finish(&#entered, &#output, #record);
                    return #output;
                }
            }
        };
        replace(block, new);
    }

    /// Makes the body a nested future, in whose polls the span is current.
    fn async_work(&self, block: &mut Block) {
        let (body, typed) = (&block.stmts, self.typed());
        let work = quote!(async move { #typed #(#body)* });
        // A condition may be a closure that can be called only once.
        let new = if self.options.err_if.is_some() { self.owned(&work) } else { self.pinned(&work) };
        replace(block, new);
    }

    /// Lets the nested future stay in a variable between two others, whose drops before and after its own put a cancelled body into the
    /// span.
    fn pinned(&self, work: &TokenStream) -> TokenStream {
        let (private, start, duration) = (&self.private, self.begin("start"), self.call_duration());
        let (call, body, cancel) = (hidden("call"), hidden("body"), hidden("cancel"));
        let observe = self.observe(duration.is_some()).unwrap_or_else(|| quote!(#private::unobserved));
        let begin = match duration {
            None => quote!(#private::async_call(#start)),
            Some(duration) => quote!(#private::async_call_timed(#start, #duration)),
        };
        let end = self.end_with(&quote!(#private::body!(&mut #cancel, #body, #observe).await));
        // The body is no argument of a macro, because other attributes look into it.
        quote! {
            let mut #call = #begin;
            let #body = #work;
            let #body = #private::pin!(#body);
            let mut #cancel = #private::cancel(&mut #call);
            #end
        }
    }

    /// Hands the nested future to another one.
    fn owned(&self, work: &TokenStream) -> TokenStream {
        let (private, start) = (&self.private, self.begin("start"));
        let record = self.record().unwrap_or_else(|| quote!(#private::ignore));
        self.end_with(&match self.call_duration() {
            None => quote!(#private::traced(#start, #work, #record).await),
            Some(duration) => {
                let outcome = self.outcome();
                quote!(#private::traced_with_duration(#start, #duration, #work, #record, #outcome).await)
            }
        })
    }

    /// Ends a body with `expression`. `return` before an expression of type `!` would be unreachable code.
    fn end_with(&self, expression: &TokenStream) -> TokenStream {
        if self.shape.returns_never() { expression.clone() } else { quote!(return #expression;) }
    }

    /// Also runs the call itself in the span, where the arguments are available. The returned value then carries the span.
    fn value(&self, block: &mut Block, of: Lazy, boxed: bool) {
        let private = &self.private;
        let record = self.record().unwrap_or_else(|| quote!(#private::ignore));
        let (started, value) = (hidden("started"), hidden("value"));
        let body = &block.stmts;
        let returned: TokenStream = match (&self.signature.output, boxed) {
            (syn::ReturnType::Type(_, returned), true) => quote!(-> #returned),
            _ => quote!(),
        };
        let start = self.begin("start");
        let call = quote!(move || #returned { #(#body)* });
        let (call, timing) = match self.call_duration() {
            None => (quote!(let (#started, #value) = #private::call_in(#start, #call);), None),
            Some(duration) => {
                let timing = hidden("timing");
                let call = quote!(let (#started, #timing, #value) = #private::call_in_timed(#start, #duration, #call););
                (call, Some(timing))
            }
        };
        let outcome = self.outcome();
        let traced = match (of, timing) {
            (Lazy::Future, None) => quote!(#private::traced(#started, #value, #record)),
            (Lazy::Future, Some(timing)) => {
                quote!(#private::traced_timed(#started, #timing, #value, #record, #outcome))
            }
            (Lazy::Stream | Lazy::Iterator, timing) => {
                let function = if of == Lazy::Stream { "traced_stream" } else { "traced_iterator" };
                let function = format_ident!("{function}");
                let stopwatch = timing.map_or_else(|| quote!(()), |timing| quote!(#timing));
                quote!(#private::#function(#started, #stopwatch, #value, #record, #outcome))
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

    /// Returns the value that describes the function.
    fn call_site(&self) -> TokenStream {
        let private = &self.private;
        let function = self.signature.ident.unraw().to_string();
        let path = match self.owner {
            None => format!("::{function}"),
            Some(owner) => format!("::{owner}::{function}"),
        };
        // With the location of the function's name, `line!` is the function's line rather than the attribute's.
        let line = quote_spanned!(self.signature.ident.span()=> ::core::line!());
        quote! {
            #private::CallSite::new(
                #private::env!("CARGO_PKG_NAME"),
                #private::env!("CARGO_PKG_VERSION"),
                #private::concat!(#private::module_path!(), #path),
                #private::file!(),
                #line,
            )
        }
    }

    /// Declares the static that measures the function, if enabled, in a block that hides it from user code.
    fn call_duration(&self) -> Option<TokenStream> {
        let (private, site) = (&self.private, self.call_site());
        self.options.metrics.unwrap_or(false).then(|| {
            quote! {{
                static __TELEMARK_CALL_SITE: #private::CallSite = #site;
                static __TELEMARK_CALL_DURATION: #private::CallDuration = #private::CallDuration::new(&__TELEMARK_CALL_SITE);
                &__TELEMARK_CALL_DURATION
            }}
        })
    }

    /// Returns the call that starts the span: to `function`, or to its variant for a span in the current context or only below a
    /// current span.
    fn begin(&self, function: &str) -> TokenStream {
        let (private, plan, options, attributes) = (&self.private, self.plan(), self.options(), self.attributes());
        let variant = match self.options.root.is_some() || self.options.parent.is_some() {
            true => "",
            false if self.options.below == Some(true) => "_below",
            false => "_here",
        };
        let function = format_ident!("{function}{variant}");
        quote!(#private::#function(#plan, #options, #attributes))
    }

    /// Declares the static that plans the spans and caches the span filter's decision, in a block that hides it from user code.
    fn plan(&self) -> TokenStream {
        let (private, site, options) = (&self.private, self.call_site(), self.options);
        let function = self.signature.ident.unraw().to_string();
        let name = self.owner.map_or_else(|| function.clone(), |owner| format!("{owner}::{function}"));
        let target = match &options.target {
            None => quote!(#private::module_path!()),
            Some(target) => quote_spanned!(located(target)=> #private::name(#target)),
        };
        let level = options.level.clone().unwrap_or_else(|| Ident::new("Info", Span::call_site()));
        let mut changes = TokenStream::new();
        if let Some(kind) = options.kind_variant() {
            changes.extend(quote!(.with_kind(#private::SpanKind::#kind)));
        }
        if options.code_off.is_some() {
            changes.extend(quote!(.without_code_attributes()));
        }
        if options.root.is_some() {
            changes.extend(quote!(.with_new_root()));
        }
        quote! {{
            static __TELEMARK_PLAN: #private::Plan =
                #private::Plan::new(#name, #private::SpanSwitch::new(#target, #private::Level::#level), #site) #changes;
            &__TELEMARK_PLAN
        }}
    }

    /// Returns a closure that sets the options with expressions of the user.
    fn options(&self) -> TokenStream {
        let (private, options, setup) = (&self.private, self.options, hidden("setup"));
        let mut changes = TokenStream::new();
        if let Some(name) = &options.name {
            // It may depend on the generics of the function, which a static cannot.
            changes.extend(quote_spanned!(located(name)=> .with_name(#private::name(const { #name }))));
        }
        if let Some(parent) = &options.parent {
            changes.extend(quote_spanned!(located(parent)=> .with_parent(#parent)));
        }
        if let Some(links) = &options.links {
            changes.extend(quote_spanned!(located(links)=> .with_links(#links)));
        }
        if changes.is_empty() { quote!(#private::NoOptions) } else { quote!(|#setup: #private::Setup| #setup #changes) }
    }

    /// Returns the fields, as closures that build the attributes: one for those that a sampler can look at, and one for all.
    fn attributes(&self) -> TokenStream {
        let private = &self.private;
        let fields = self.options.fields.as_deref().unwrap_or_default();
        if fields.is_empty() {
            return quote!(#private::NoFields);
        }
        let attributes = hidden("attributes");
        let closure = |fields: &mut dyn Iterator<Item = &Field>| {
            let pushes = fields.map(|field| field.expand(private, &attributes, self.signature));
            quote!(|#attributes| { #(#pushes)* })
        };
        let is_ready = |field: &&Field| field.is_ready(self.signature);
        let all = closure(&mut fields.iter());
        match fields.iter().filter(is_ready).count() {
            0 => quote!(#private::late(#all)),
            ready if ready == fields.len() => quote!(#private::ready(#all)),
            _ => {
                let ready = closure(&mut fields.iter().filter(is_ready));
                quote!(#private::mixed(#ready, #all))
            }
        }
    }

    /// Returns a call whose compile errors point to the function's return type, where the mismatch is.
    pub(crate) fn at_output(&self, function: TokenStream, arguments: &dyn ToTokens) -> TokenStream {
        let span = match &self.shape.output {
            Some(Type::Infer(_)) => located(&self.signature.output),
            Some(output) => located(output),
            None => located(&self.signature.ident),
        };
        let (function, arguments) = (respanned(function, span), respanned(arguments.to_token_stream(), span));
        quote_spanned!(span=> #function(#arguments))
    }

    /// Returns a statement without effect that gives an async block its output type, because the language has no syntax for
    /// this.
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
        // Do not `allow` any lint here: it would conflict with a user's `forbid`.
        quote_spanned!(span=> if false { return #private::never::<#returned>(); })
    }
}

/// Returns a span with which errors point to `tokens` and lints treat the code as generated by a macro.
fn located(tokens: &impl Spanned) -> Span {
    tokens.span().resolved_at(Span::call_site())
}

/// Moves `tokens` to `span`, without changing how names resolve.
fn respanned(tokens: TokenStream, span: Span) -> TokenStream {
    let at = |mut token: proc_macro2::TokenTree| {
        token.set_span(span.resolved_at(token.span()));
        token
    };
    tokens.into_iter().map(at).collect()
}

/// Makes `statements` the body. The statements end with a `return`, which satisfies `clippy::implicit_return`;
/// `clippy::needless_return` ignores it, because it comes from a macro.
fn replace(block: &mut Block, statements: TokenStream) {
    block.stmts = vec![Stmt::Expr(Expr::Verbatim(statements), None)];
}
