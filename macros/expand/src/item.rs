//! The item below `#[traced]`: a function, or a block whose functions inherit its options.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Block, Expr, FnModifiers, ImplItem, Item, ItemFn, ItemImpl, Meta, Result, Signature, Stmt, Token,
    TraitItem, TraitItemFn, braced,
};

use crate::body::Function;
use crate::options::Options;
use crate::{Error, blocks, body, check, shape};

/// See [`crate::expand`].
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> std::result::Result<TokenStream, Error> {
    let mut parsed = match parse(&item) {
        Ok(parsed) => parsed,
        Err(error) => return Err(Error::new(error, item)),
    };
    match syn::parse2::<Options>(options).and_then(|options| trace(&mut parsed, &options, true)) {
        Ok(()) => Ok(parsed.into_token_stream()),
        Err(error) => {
            // Rare, so that no copy is made before.
            let untouched = parse(&item).map(|mut untouched| {
                strip(&mut untouched);
                untouched.into_token_stream()
            });
            Err(Error::new(error, untouched.unwrap_or(item)))
        }
    }
}

fn parse(item: &TokenStream) -> Result<Item> {
    if let Ok(Unread(function)) = syn::parse2(item.clone()) {
        return Ok(Item::Fn(function));
    }
    match syn::parse2::<Item>(item.clone()) {
        // syn does not parse a declaration without a body, such as in a trait, as an item.
        Ok(Item::Verbatim(_)) | Err(_) => {}
        Ok(parsed) => return Ok(parsed),
    }
    match syn::parse2::<TraitItemFn>(item.clone()) {
        Ok(declared) if declared.default.is_none() => {
            let message = "there is no body to trace; put `#[traced]` on the implementation";
            Err(syn::Error::new_spanned(declared.sig, message))
        }
        _ => syn::parse2::<Item>(item.clone()).and_then(|other| Err(unsupported(&other))),
    }
}

/// A function whose body is not parsed, which takes most of the time in a large function. The compiler parses it in any case.
struct Unread(ItemFn);

impl Parse for Unread {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let (vis, sig) = (input.parse()?, input.parse::<Signature>()?);
        let body;
        let brace_token = braced!(body in input);
        // The body of a function of `async_trait` is inspected, and attributes at the start of a body are the function's.
        if shape::is_async_trait(&sig) || body.peek(Token![#]) && body.peek2(Token![!]) {
            return Err(body.error("the body must be parsed"));
        }
        let body: TokenStream = body.parse()?;
        let stmts = if body.is_empty() { Vec::new() } else { vec![Stmt::Expr(Expr::Verbatim(body), None)] };
        Ok(Unread(ItemFn {
            attrs,
            vis,
            modifiers: FnModifiers::default(),
            sig,
            block: Box::new(Block { brace_token, stmts }),
        }))
    }
}

fn unsupported(item: &Item) -> syn::Error {
    let message =
        "`#[traced]` goes on a function, or on an `impl`, `trait` or `mod` block to trace all of its functions";
    // Pointing to the first token is enough.
    match item.to_token_stream().into_iter().next() {
        Some(first) => syn::Error::new_spanned(first, message),
        None => syn::Error::new(proc_macro2::Span::call_site(), message),
    }
}

/// Traces an item in place. `explicit` is true if the item has its own `#[traced]`.
fn trace(item: &mut Item, options: &Options, explicit: bool) -> Result<()> {
    match item {
        Item::Fn(function) => {
            let target = Function { owner: None, attributes: &function.attrs, signature: &function.sig };
            body::trace(options, target, &mut function.block)
        }
        Item::Impl(block) => {
            check::block(options)?;
            impl_items(block, options, explicit)
        }
        Item::Trait(block) => {
            check::block(options)?;
            let owner = block.ident.unraw().to_string();
            trait_items(&mut block.items, &owner, options)
        }
        Item::Mod(module) => {
            check::block(options)?;
            match &mut module.content {
                Some((_, items)) => module_items(items, options),
                None => {
                    let message = "only an inline module can be traced: `mod name { ... }`";
                    Err(syn::Error::new_spanned(&module.ident, message))
                }
            }
        }
        other => Err(unsupported(other)),
    }
}

fn impl_items(block: &mut ItemImpl, options: &Options, explicit: bool) -> Result<()> {
    let owner = blocks::owner(block);
    let is_plumbing = blocks::is_plumbing(block);
    block.items.iter_mut().try_for_each(|item| {
        let ImplItem::Fn(method) = item else { return Ok(()) };
        let Some(merged) = merged(&mut method.attrs, options)? else { return Ok(()) };
        let is_meant = match is_plumbing {
            true => explicit && method.sig.constness.is_none(),
            false => !blocks::is_left_out(method, owner.as_deref()),
        };
        if !merged.explicit && !is_meant {
            return Ok(());
        }
        let target = Function { owner: owner.as_deref(), attributes: &method.attrs, signature: &method.sig };
        body::trace(&merged.options, target, &mut method.block)
    })
}

fn trait_items(items: &mut [TraitItem], owner: &str, options: &Options) -> Result<()> {
    items.iter_mut().try_for_each(|item| match item {
        TraitItem::Fn(TraitItemFn { attrs, sig, default: Some(body), .. }) => match merged(attrs, options)? {
            Some(merged) => {
                let target = Function { owner: Some(owner), attributes: attrs, signature: sig };
                body::trace(&merged.options, target, body)
            }
            None => Ok(()),
        },
        _ => Ok(()),
    })
}

fn module_items(items: &mut [Item], options: &Options) -> Result<()> {
    items.iter_mut().try_for_each(|item| {
        let attributes = match item {
            Item::Fn(function) => &mut function.attrs,
            Item::Impl(block) => &mut block.attrs,
            Item::Trait(block) => &mut block.attrs,
            Item::Mod(module) if module.content.is_some() => &mut module.attrs,
            _ => return Ok(()),
        };
        match merged(attributes, options)? {
            None => Ok(()),
            Some(merged) if !merged.explicit && matches!(item, Item::Fn(f) if f.sig.constness.is_some()) => Ok(()),
            Some(merged) => trace(item, &merged.options, merged.explicit),
        }
    })
}

struct Merged {
    options: Options,
    /// True if the item has its own `#[traced]`. An untraceable item is then an error; otherwise it is skipped.
    explicit: bool,
}

/// Returns the options for an item in a block, or `None` to skip it. Removes the item's `#[traced]`.
fn merged(attributes: &mut Vec<Attribute>, outer: &Options) -> Result<Option<Merged>> {
    let Some(position) = attributes.iter().position(is_traced) else {
        return Ok(Some(Merged { options: Options::default().or(outer), explicit: false }));
    };
    let attribute = attributes.remove(position);
    if let Some(second) = attributes.iter().find(|attribute| is_traced(attribute)) {
        return Err(syn::Error::new_spanned(second, "a second `#[traced]` on the same item"));
    }
    let own = match &attribute.meta {
        Meta::Path(_) => Options::default(),
        _ => attribute.parse_args::<Options>()?,
    };
    if own.skip.is_some() {
        return Ok(None);
    }
    Ok(Some(Merged { options: own.or(outer), explicit: true }))
}

fn is_traced(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "traced")
}

/// Removes every `#[traced]` inside, so that a second expansion adds no errors to this one.
fn strip(item: &mut Item) {
    let remove = |attributes: &mut Vec<Attribute>| attributes.retain(|attribute| !is_traced(attribute));
    match item {
        Item::Fn(function) => remove(&mut function.attrs),
        Item::Impl(block) => {
            remove(&mut block.attrs);
            for item in &mut block.items {
                if let ImplItem::Fn(method) = item {
                    remove(&mut method.attrs);
                }
            }
        }
        Item::Trait(block) => {
            remove(&mut block.attrs);
            for item in &mut block.items {
                if let TraitItem::Fn(method) = item {
                    remove(&mut method.attrs);
                }
            }
        }
        Item::Mod(module) => {
            remove(&mut module.attrs);
            if let Some((_, items)) = &mut module.content {
                items.iter_mut().for_each(strip);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ITEMS: [&str; 6] = [
        "fn kept(a: u32) -> Result<u32, String> { a.ok() }",
        "async fn kept(a: u32) {}",
        "fn kept(a: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> { Box::pin(async move { a }) }",
        "impl Cart { #[traced(skip)] fn kept(&self, a: u32) {} const fn b() {} async fn c(a: u8) {} }",
        "mod cart { #[traced(root)] fn kept(a: u32) {} struct Cart; }",
        "struct kept { a: u32 }",
    ];
    const PIECES: [&str; 34] = [
        "name",
        "below",
        "owner",
        "err_if",
        "future",
        "stream",
        "iterator",
        "level",
        "(level = true)",
        "kind",
        "fields",
        "ret",
        "err",
        "root",
        "parent",
        "links",
        "code",
        "crate",
        "skip",
        "=",
        ",",
        "(a)",
        "(a = 1)",
        "(%a, b.c = ?a)",
        "(Debug)",
        "off",
        "\"text\"",
        "server",
        "7",
        "a.b",
        "?",
        "self::path",
        "super",
        "(a = crate)",
    ];

    proptest! {
        #[test]
        fn any_options_keep_the_item_and_give_at_most_one_error(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..8),
            item in prop::sample::select(&ITEMS[..]),
        ) {
            let options: TokenStream = pieces.join(" ").parse().unwrap();
            let expanded = expand(options, item.parse().unwrap()).unwrap_or_else(Error::into_compile_error);
            let text = expanded.to_string();
            prop_assert!(text.contains("kept"), "{text}");
            prop_assert!(text.matches("compile_error").count() <= 1, "{text}");
            prop_assert!(!text.contains("# [traced"), "{text}");
            prop_assert!(syn::parse2::<syn::File>(expanded).is_ok(), "{text}");
        }
    }
}
