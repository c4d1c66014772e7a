//! The expansion is clean even if every lint of rustc and clippy is denied; the test is `cargo clippy --all-targets`.
//!
//! The functions are clean without the attribute, so any lint that fires comes from the expansion.

#![deny(warnings, future_incompatible, let_underscore, nonstandard_style, unused)]
#![deny(rust_2018_compatibility, rust_2018_idioms, rust_2021_compatibility, rust_2024_compatibility)]
#![deny(missing_docs, missing_debug_implementations, missing_copy_implementations, unreachable_pub)]
#![deny(single_use_lifetimes, unused_qualifications, unused_results, unused_lifetimes, unused_import_braces)]
#![deny(trivial_casts, trivial_numeric_casts, variant_size_differences, unit_bindings, redundant_lifetimes)]
#![deny(
    redundant_imports,
    meta_variable_misuse,
    macro_use_extern_crate,
    keyword_idents,
    explicit_outlives_requirements
)]
#![deny(let_underscore_drop, non_ascii_idents, closure_returning_async_block, impl_trait_redundant_captures)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
#![forbid(unsafe_code, clippy::panic)]
#![allow(clippy::blanket_clippy_restriction_lints, reason = "the point of this file")]
#![allow(
    clippy::needless_return,
    reason = "`implicit_return` wants the opposite; `natural` below is the other way around"
)]
#![allow(clippy::missing_const_for_fn, reason = "a `const fn` cannot be traced")]
#![allow(clippy::question_mark_used, clippy::arbitrary_source_item_ordering, reason = "of these functions")]
#![allow(clippy::elidable_lifetime_names, clippy::tests_outside_test_module, reason = "of this file")]
#![allow(clippy::pub_with_shorthand, clippy::redundant_pub_crate, clippy::single_call_fn, reason = "of this file")]

use core::fmt::{Display, Error, Formatter, Result as FmtResult};
use core::future::ready;
use core::pin::Pin;

use futures_util::stream::{Stream, iter};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use telemark::traced;

type Answer = Result<u32, Error>;
type Later<'owner> = Pin<Box<dyn Future<Output = Answer> + Send + 'owner>>;

#[traced]
fn plain(number: u32) -> u32 {
    return number;
}

#[traced(fields(number, text = %number, debug = ?number, word = "x"), ret, metrics)]
fn early(number: u32) -> u32 {
    if number > 3 {
        return 3;
    }
    return number;
}

#[traced(below, owner = "Lints", metrics)]
fn below_another(number: u32) -> u32 {
    return number;
}

#[traced(err(Debug), metrics)]
fn failing(number: u32) -> Result<u32, Error> {
    let checked = number.checked_add(1).ok_or(Error)?;
    return Ok(checked);
}

#[traced(err_if = |error| return *error != Error, metrics)]
fn conditional(number: u32) -> Result<u32, Error> {
    return number.checked_add(1).ok_or(Error);
}

#[traced(ret(Debug))]
fn aliased(number: u32) -> Answer {
    return number.checked_add(1).ok_or(Error);
}

#[traced(root, code = off, kind = client, name = "named", links = [SpanContext::NONE])]
fn nothing(number: &mut u32) {
    *number = number.saturating_add(1);
}

#[traced(parent = Context::current().span().span_context().clone())]
fn child(numbers: &[u32]) -> Option<&u32> {
    return numbers.first();
}

#[traced(fields(number), metrics)]
async fn later(number: u32) -> Answer {
    ready(()).await;
    return number.checked_add(1).ok_or(Error);
}

#[traced]
async fn unit(number: &mut u32) {
    ready(()).await;
    *number = number.saturating_add(1);
}

#[traced(stream)]
fn streamed(number: u32) -> impl Stream<Item = Answer> {
    return iter((0..number).map(Ok));
}

#[traced(metrics)]
fn opaque(number: u32) -> impl Future<Output = Answer> {
    return ready(number.checked_add(1).ok_or(Error));
}

#[traced]
fn boxed(number: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    return Box::pin(ready(number));
}

#[traced(future, metrics)]
fn aliased_future<'owner>(number: &'owner u32) -> Later<'owner> {
    return Box::pin(async move { return number.checked_add(1).ok_or(Error) });
}

#[traced(iterator)]
fn counted(number: u32) -> impl Iterator<Item = Answer> {
    return (0..number).map(Ok);
}

#[traced(iterator, metrics)]
fn counted_boxed(number: u32) -> Box<dyn Iterator<Item = u32>> {
    return Box::new(0..number);
}

/// A struct with methods.
#[derive(Debug, Clone, Copy)]
struct Cart {
    total: u32,
}

#[traced(kind = server, metrics)]
impl Cart {
    fn empty() -> Self {
        return Self { total: 0 };
    }

    fn add(&mut self, number: u32) -> &mut Self {
        self.total = self.total.saturating_add(number);
        return self;
    }

    async fn load(&mut self, number: u32) -> Result<&mut Self, Error> {
        self.total = ready(number).await;
        return Ok(self);
    }
}

#[traced]
impl Display for Cart {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        return write!(f, "{}", self.total);
    }
}

#[traced(fields(value = %value))]
fn generic<T: Display>(value: &T) -> String {
    return value.to_string();
}

#[expect(clippy::implicit_return, reason = "the usual style")]
#[deny(clippy::needless_return)]
mod natural {
    use core::fmt::Error;
    use core::future::ready;

    use async_trait::async_trait;
    use telemark::traced;

    #[async_trait]
    pub(super) trait Store {
        async fn get(&self, number: u32) -> super::Answer;
    }

    #[async_trait]
    #[traced]
    impl Store for super::Cart {
        async fn get(&self, number: u32) -> super::Answer {
            ready(()).await;
            self.total.checked_add(number).ok_or(Error)
        }
    }

    #[traced(ret, metrics)]
    pub(super) fn plain(number: u32) -> u32 {
        number
    }

    #[traced(err_if = |error| *error != Error)]
    pub(super) fn aliased(number: u32) -> super::Answer {
        number.checked_add(1).ok_or(Error)
    }

    #[traced]
    pub(super) async fn later(number: u32) -> Result<u32, Error> {
        let checked = number.checked_add(1).ok_or(Error)?;
        Ok(ready(checked).await)
    }

    #[traced(metrics)]
    pub(super) async fn forever(number: u32) -> ! {
        loop {
            assert!(ready(number).await > 0, "positive");
        }
    }

    #[traced(future)]
    pub(super) fn boxed(number: &u32) -> super::Later<'_> {
        Box::pin(async move { number.checked_add(1).ok_or(Error) })
    }
}

#[test]
fn functions_under_every_lint_run() {
    let mut cart = Cart::empty();
    let mut number = early(below_another(plain(1)));
    nothing(&mut number);
    assert_eq!(failing(number), conditional(number), "the same");
    assert_eq!(aliased(1), Ok(2), "a result");
    assert_eq!(child(&[1]), Some(&1), "the first");
    assert_eq!(counted(2).count(), counted_boxed(2).count(), "as many");
    assert_eq!(generic(cart.add(1)), "1", "the text");
    drop(natural::Store::get(&cart, 1));
    drop((later(1), streamed(1), opaque(1), boxed(1)));
    drop(aliased_future(&number));
    drop(unit(&mut number));
    drop(cart.load(1));
    assert_eq!(natural::aliased(natural::plain(1)), Ok(2), "a result");
    drop((natural::later(1), natural::forever(1), natural::boxed(&1)));
}
