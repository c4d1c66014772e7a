//! `#[traced]` finds the error in a return value by type, and passes it to `err_if`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "panics are what is tested")]

mod support;

use std::fmt::Display;
use std::future::{Future, ready};
use std::panic::Location;
use std::pin::Pin;

use async_trait::async_trait;
use support::{block_on, check, check_async, yield_now};
use telemark::traced;

type Answer = Result<u32, Failure>;
type Of<T> = Result<T, Failure>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Later<'a> = BoxFuture<'a, Answer>;

#[derive(Debug, PartialEq)]
enum Failure {
    NotFound,
    Broken,
}

#[traced]
fn alias(answer: Answer) -> Answer {
    answer
}

#[traced(ret)]
fn generic_alias(answer: Answer) -> Of<u32> {
    let value = answer?;
    Ok(value)
}

trait Handler {
    type Output;
    fn handle(&self) -> Self::Output;
    fn first<'a>(&self, of: &'a [u8]) -> Result<&'a u8, Failure>;
}

struct Shop;

#[traced]
impl Handler for Shop {
    type Output = Answer;

    fn handle(&self) -> Self::Output {
        Err(Failure::Broken)
    }

    fn first<'a>(&self, of: &'a [u8]) -> Result<&'a u8, Failure> {
        of.first().ok_or(Failure::Broken)
    }
}

#[traced]
async fn alias_later(answer: Answer) -> Answer {
    yield_now().await;
    answer
}

#[traced]
fn opaque(answer: Answer) -> impl Future<Output = Answer> {
    ready(answer)
}

struct Silent;

#[traced(metrics)]
fn inferred(number: &u8) -> impl Future<Output = Result<u8, Silent>> + '_ {
    async move { Ok(*number) }
}

#[async_trait]
trait Store {
    async fn get(&self, answer: Answer) -> Answer;
}

#[async_trait]
#[traced]
impl Store for Shop {
    async fn get(&self, answer: Answer) -> Answer {
        yield_now().await;
        answer
    }
}

const FAILED: &str = "error error.type=outputs::Failure::Broken";

#[test]
fn an_error_is_found_under_every_alias_of_result() {
    check(|| _ = alias(Err(Failure::Broken)), &format!("alias {FAILED}"));
    check(|| _ = alias(Ok(1)), "alias");
    check(|| _ = generic_alias(Err(Failure::Broken)), &format!("generic_alias {FAILED}"));
    check(|| _ = generic_alias(Ok(1)), "generic_alias return=1");
    check(|| _ = Shop.handle(), &format!("Shop::handle {FAILED}"));
    check(|| _ = Shop.first(&[]), &format!("Shop::first {FAILED}"));
    check_async(async { _ = alias_later(Err(Failure::Broken)).await }, &format!("alias_later {FAILED}"));
    check_async(async { _ = opaque(Err(Failure::Broken)).await }, &format!("opaque {FAILED}"));
    check_async(async { _ = inferred(&1).await }, "inferred");
    check_async(async { _ = Shop.get(Err(Failure::Broken)).await }, &format!("Shop::get {FAILED}"));
}

mod own {
    //! Types that have the same names as types in the standard library, but different meanings.
    use telemark::traced;

    #[derive(Debug)]
    pub(super) struct Result(pub(super) u32);
    #[derive(Debug)]
    pub(super) enum Option<T> {
        Some(T),
    }

    #[traced]
    pub(super) fn result() -> Result {
        Result(1)
    }

    #[traced(ret(Debug))]
    pub(super) fn option(of: u32) -> Option<u32> {
        Option::Some(of)
    }
}

#[traced]
fn unknown<T>(value: T) -> T {
    value
}

#[traced(ret(Display))]
fn displayed(value: &'static str) -> impl Display + use<> {
    value
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Price(u32);

#[traced]
fn borrowed(prices: &mut [Price]) -> Option<&mut Price> {
    prices.first_mut()
}

#[traced]
fn early(price: Price) -> Price {
    if price.0 > 1 {
        return Price(1);
    }
    price
}

#[test]
fn another_type_called_result_has_no_error() {
    check(|| assert_eq!(own::result().0, 1), "result");
    check(|| _ = own::option(1), "option return=Some(1)");
    check(|| _ = unknown(Answer::Err(Failure::Broken)), "unknown");
    check(|| _ = displayed("x"), "displayed return=x");
    check(|| assert_eq!(early(Price(2)), Price(1)), "early");
    check(|| assert_eq!(borrowed(&mut [Price(2)]), Some(&mut Price(2))), "borrowed");
}

#[traced]
#[track_caller]
fn place() -> &'static Location<'static> {
    Location::caller()
}

#[derive(Debug, PartialEq)]
struct Place(u32);

#[traced]
#[track_caller]
fn named_place() -> Place {
    Place(Location::caller().line())
}

#[test]
fn a_function_that_tracks_its_caller_still_does() {
    assert_eq!((place().line(), named_place()), (line!(), Place(line!())));
}

#[traced(err_if = |failure| *failure != Failure::NotFound)]
fn found(answer: Answer) -> Answer {
    answer
}

fn is_fault(failure: &Failure) -> bool {
    matches!(failure, Failure::Broken)
}

#[traced(err_if = is_fault, err(Debug), ret)]
async fn found_later(answer: Answer) -> Answer {
    yield_now().await;
    answer
}

#[traced(err_if = |_| panic!("in the condition"))]
fn asks_in_vain(answer: Answer) -> Answer {
    answer
}

struct Shelf;

#[traced(fields(from = "shelf"))]
impl Shelf {
    #[traced(err_if = Self::is_fault)]
    fn take(&self, answer: Answer) -> Result<u32, Failure> {
        answer
    }

    #[traced(skip)]
    fn is_fault(failure: &Failure) -> bool {
        is_fault(failure)
    }
}

#[test]
fn an_err_is_an_error_if_the_condition_says_so() {
    check(|| assert_eq!(found(Err(Failure::NotFound)), Err(Failure::NotFound)), "found");
    check(|| _ = found(Err(Failure::Broken)), &format!("found {FAILED}"));
    check(|| _ = found(Ok(1)), "found");
    check_async(async { _ = found_later(Err(Failure::NotFound)).await }, "found_later");
    check_async(
        async { _ = found_later(Err(Failure::Broken)).await },
        "found_later error[Broken] error.type=outputs::Failure::Broken",
    );
    check_async(async { _ = found_later(Ok(7)).await }, "found_later return=7");
    check(|| _ = Shelf.take(Err(Failure::NotFound)), "Shelf::take from=shelf");
    check(|| _ = Shelf.take(Err(Failure::Broken)), "Shelf::take error from=shelf error.type=outputs::Failure::Broken");
}

#[test]
fn a_condition_that_panics_costs_nothing_and_leaves_an_error() {
    check(|| assert_eq!(asks_in_vain(Err(Failure::Broken)), Err(Failure::Broken)), &format!("asks_in_vain {FAILED}"));
}

#[traced(future)]
fn boxed(answer: Answer) -> Later<'static> {
    Box::pin(async move {
        yield_now().await;
        alias(answer)
    })
}

#[traced(future, ret, fields(number))]
fn borrowing<'a>(number: &'a u32) -> Later<'a> {
    if *number == 0 {
        return Box::pin(ready(Err(Failure::Broken)));
    }
    Box::pin(async move { alias(Ok(*number)) })
}

#[traced(future = off)]
fn call_alone() -> Later<'static> {
    Box::pin(async { alias(Ok(1)) })
}

#[traced(future)]
fn named() -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    Box::pin(async { alias(Ok(1)) })
}

trait Service: Future<Output = Answer> {}
impl<F: Future<Output = Answer>> Service for F {}

#[traced(future)]
fn service() -> impl Service {
    async { alias(Err(Failure::Broken)) }
}

#[test]
fn the_span_of_an_aliased_future_lives_as_long_as_the_future() {
    let below = |name: &str, answer: &str| format!("{name}\n  alias{answer}\n");
    check_async(
        async { _ = boxed(Err(Failure::Broken)).await },
        &below(&format!("boxed {FAILED}"), &format!(" {FAILED}")),
    );
    check_async(async { _ = borrowing(&1).await }, &below("borrowing number=1 return=1", ""));
    check_async(async { _ = borrowing(&0).await }, "borrowing error number=0 error.type=outputs::Failure::Broken");
    check_async(async { _ = named().await }, &below("named", ""));
    check_async(async { _ = service().await }, &below(&format!("service {FAILED}"), &format!(" {FAILED}")));
    check(|| drop(boxed(Ok(1))), "boxed telemark.outcome=cancelled");
    check_async(async { _ = call_alone().await }, "call_alone\nalias\n");
}

#[test]
fn futures_return_what_they_did() {
    assert_eq!(block_on(boxed(Ok(1))), Ok(1));
    assert_eq!(block_on(borrowing(&2)), Ok(2));
}
