//! `#[traced]` on asynchronous functions of every form.

#![allow(clippy::unwrap_used, clippy::panic, reason = "panics are what is tested")]

mod support;

use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use support::{block_on, check, check_async, poll_once, yield_now};
use telemark::traced;
use telemark_sdk::testing::TestTelemetry;

#[traced]
async fn leaf() -> u32 {
    yield_now().await;
    7
}

#[traced(fields(name, depth), kind = consumer)]
async fn nested(name: &str, depth: u32) -> u32 {
    if depth == 0 {
        return leaf().await;
    }
    Box::pin(nested(name, depth - 1)).await + name.len() as u32
}

#[test]
fn a_span_is_current_in_every_poll() {
    check_async(
        async { assert_eq!(nested("ab", 1).await, 9) },
        "
        nested (consumer) name=ab depth=1
          nested (consumer) name=ab depth=0
            leaf
        ",
    );
}

#[test]
fn a_span_is_not_current_between_polls() {
    let telemetry = TestTelemetry::new();
    let guard = telemetry.attach();
    let mut future = pin!(leaf());
    assert!(poll_once(future.as_mut()).is_pending());
    assert!(!Context::current().has_active_span());
    assert_eq!(poll_once(future), Poll::Ready(7));
    drop(guard);
    assert_eq!(telemetry.tree(), "leaf\n");
}

#[test]
fn an_async_fn_that_is_never_polled_has_no_span() {
    check(|| drop(leaf()), "");
}

#[traced]
async fn fallible(text: &str) -> Result<u32, Box<dyn std::error::Error>> {
    yield_now().await;
    let number: u32 = text.parse()?;
    if number == 0 {
        return Err("zero".into());
    }
    Ok(number)
}

#[traced(ret, err(Debug))]
async fn generic<T: Copy + telemark::__private::ToValue, E: std::fmt::Debug>(value: Result<T, E>) -> Result<T, E> {
    yield_now().await;
    let value = value?;
    Ok(value)
}

#[test]
fn errors_become_the_status() {
    check_async(async { _ = fallible("1").await }, "fallible");
    check_async(
        async { _ = fallible("x").await },
        "fallible error[invalid digit found in string] error.type=ParseIntError",
    );
    check_async(async { _ = fallible("0").await }, "fallible error[zero] error.type=_OTHER");
    check_async(async { _ = generic::<_, &str>(Ok(3)).await }, "generic return=3");
    check_async(async { _ = generic::<u8, _>(Err("no")).await }, r#"generic error["no"] error.type=str"#);
}

#[traced]
async fn opaque_list(length: u32) -> impl Iterator<Item = u32> + Clone {
    leaf().await;
    0..length
}

trait Native {
    #[traced]
    fn declared(&self) -> impl Future<Output = Result<u32, String>> + Send
    where
        Self: Sync,
    {
        async { Ok(leaf().await) }
    }

    #[traced]
    #[allow(async_fn_in_trait, reason = "a test of it")]
    async fn native(&self) -> u32 {
        leaf().await
    }
}

impl Native for () {}

#[test]
fn traits_may_have_asynchronous_functions_of_their_own() {
    check_async(async { assert_eq!(().declared().await, Ok(7)) }, "declared\n  leaf");
    check_async(async { assert_eq!(().native().await, 7) }, "native\n  leaf");
    check_async(async { assert_eq!(opaque_list(3).await.count(), 3) }, "opaque_list\n  leaf");
}

#[traced]
async fn outer() {
    leaf().await;
    std::future::pending().await
}

#[test]
fn a_future_that_is_dropped_is_cancelled_inside_out() {
    check(
        || {
            let mut future = Box::pin(outer());
            for _ in 0..3 {
                assert!(poll_once(future.as_mut()).is_pending());
            }
            drop(future);
            let mut early = Box::pin(outer());
            assert!(poll_once(early.as_mut()).is_pending());
        },
        "
        outer telemark.outcome=cancelled
          leaf
        outer telemark.outcome=cancelled
          leaf telemark.outcome=cancelled
        ",
    );
}

#[traced]
async fn panics() {
    yield_now().await;
    panic!("oops");
}

#[test]
fn a_panic_ends_the_span_and_continues() {
    check(
        || {
            let mut future = Box::pin(panics());
            assert!(poll_once(future.as_mut()).is_pending());
            let poll = std::panic::AssertUnwindSafe(|| poll_once(future.as_mut()));
            assert!(std::panic::catch_unwind(poll).is_err());
        },
        "panics error[panic] error.type=panic telemark.outcome=panicked",
    );
}

#[test]
fn a_future_dropped_by_an_unrelated_panic_is_cancelled() {
    check(
        || {
            let mut future = Box::pin(leaf());
            assert!(poll_once(future.as_mut()).is_pending());
            let holder = std::panic::AssertUnwindSafe(move || {
                let _future = future;
                panic!("elsewhere");
            });
            assert!(std::panic::catch_unwind(holder).is_err());
        },
        "leaf telemark.outcome=cancelled",
    );
}

/// Traces its drop.
struct Held {
    panics: bool,
}

impl Drop for Held {
    #[traced]
    fn drop(&mut self) {
        assert!(!self.panics, "a destructor panics");
    }
}

#[traced]
async fn holds(panics: bool) {
    let _held = Held { panics: false };
    inner_holds(panics).await;
}

#[traced]
async fn inner_holds(panics: bool) {
    let _held = Held { panics: false };
    let _fails = Held { panics };
    std::future::pending().await
}

/// Runs `work` on another thread, in the telemetry of the test.
fn on_another_thread(work: impl FnOnce() + Send + 'static) {
    let context = Context::current();
    let work = move || {
        let _guard = context.attach();
        work();
    };
    #[allow(clippy::disallowed_methods, reason = "a test of threads")]
    std::thread::spawn(work).join().unwrap();
}

#[test]
fn what_a_cancelled_body_drops_is_in_its_span_on_whichever_thread() {
    check(
        || {
            let mut future = Box::pin(holds(false));
            assert!(poll_once(future.as_mut()).is_pending());
            on_another_thread(move || {
                drop(future);
                assert!(!Context::current().has_active_span());
            });
        },
        "
        holds telemark.outcome=cancelled
          inner_holds telemark.outcome=cancelled
            drop
            drop
          drop
        ",
    );
}

#[test]
fn a_destructor_that_panics_in_a_cancelled_body_ends_all_spans_and_continues() {
    check(
        || {
            let mut future = Box::pin(holds(true));
            assert!(poll_once(future.as_mut()).is_pending());
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(future))).is_err());
            assert!(!Context::current().has_active_span());
        },
        "
        holds telemark.outcome=cancelled
          inner_holds telemark.outcome=cancelled
            drop error[panic] error.type=panic telemark.outcome=panicked
            drop
          drop
        ",
    );
}

#[test]
fn a_future_spawned_with_its_context_keeps_its_parent_on_another_thread() {
    check(
        || {
            let work = telemark_sdk::instrument::spans::span("parent")
                .in_scope(|| telemark_sdk::instrument::spans::propagate(leaf()));
            let thread = std::thread::scope(|scope| {
                #[allow(clippy::disallowed_methods, reason = "a test of threads")]
                scope.spawn(|| block_on(work)).join()
            });
            assert_eq!(thread.unwrap(), 7);
        },
        "parent\n  leaf",
    );
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

struct Shop {
    items: Vec<u32>,
}

impl Shop {
    #[traced(fields(items = self.items.len()))]
    async fn by_reference(&self) -> &u32 {
        leaf().await;
        &self.items[0]
    }

    #[traced]
    async fn by_mutable_reference(&mut self, (a, mut b): (u32, u32)) -> Result<&mut u32, ()> {
        b += a;
        self.items.push(b);
        self.items.last_mut().ok_or(())
    }

    #[traced]
    async fn shared(self: Arc<Self>, tax: impl Fn(u32) -> u32) -> u32 {
        tax(self.items[0])
    }

    #[traced]
    fn opaque(&self, factor: u32) -> impl Future<Output = u32> + '_ {
        async move { self.items[0] * factor }
    }

    #[traced(fields(factor))]
    fn made(&self, factor: u32) -> impl Future<Output = Result<u32, String>> + use<> {
        let first = self.items[0];
        async move {
            leaf().await;
            first.checked_sub(factor).ok_or_else(|| "negative".to_owned())
        }
    }

    #[traced(err(Display))]
    fn aliased(&self) -> BoxFuture<'_, Result<u32, &'static str>> {
        Box::pin(async move { self.items.get(9).copied().ok_or("too few") })
    }

    #[traced]
    fn boxed(&self, early: bool) -> Pin<Box<dyn Future<Output = u32> + Send + '_>> {
        if early {
            return Box::pin(ready(1));
        }
        let items = &self.items;
        Box::pin(async move { items[0] })
    }
}

#[test]
fn every_receiver_and_every_future_works() {
    let mut shop = Shop { items: vec![3] };
    check_async(async { assert_eq!(shop.by_reference().await, &3) }, "by_reference items=1\n  leaf");
    let shop = &mut shop;
    check_async(async { *shop.by_mutable_reference((1, 2)).await.unwrap() += 1 }, "by_mutable_reference");
    assert_eq!(shop.items, [3, 4]);
    check_async(async { assert_eq!(shop.opaque(2).await, 6) }, "opaque");
    check_async(async { assert_eq!(shop.made(1).await, Ok(2)) }, "made factor=1\n  leaf");
    check_async(
        async { assert!(shop.made(5).await.is_err()) },
        "made error[negative] factor=5 error.type=alloc::string::String\n  leaf",
    );
    check_async(async { assert_eq!(shop.boxed(false).await + shop.boxed(true).await, 4) }, "boxed\nboxed");
    check_async(async { _ = shop.aliased().await }, "aliased error[too few] error.type=str");
    let shop = Arc::new(Shop { items: vec![3] });
    check_async(async { assert_eq!(shop.shared(|price| price * 2).await, 6) }, "shared");
}

#[test]
fn a_returned_future_that_is_never_polled_is_cancelled() {
    let shop = Shop { items: vec![3] };
    check(|| drop(shop.made(1)), "made factor=1 telemark.outcome=cancelled");
}

#[async_trait]
trait Store {
    async fn load(&self, id: u32) -> Result<String, std::num::ParseIntError>;
    #[traced]
    async fn load_default(&mut self) -> u32 {
        leaf().await
    }
}

struct Inner;

#[async_trait]
impl Store for Inner {
    #[traced(fields(id), ret)]
    async fn load(&self, id: u32) -> Result<String, std::num::ParseIntError> {
        leaf().await;
        Ok(if id == 0 { "x".parse::<u8>()?.to_string() } else { "one".to_owned() })
    }
}

struct Outer;

#[traced(kind = client)]
#[async_trait]
impl Store for Outer {
    #[traced(fields(id))]
    async fn load(&self, id: u32) -> Result<String, std::num::ParseIntError> {
        Inner.load(id).await
    }
}

#[async_trait]
trait Count {
    async fn count(&mut self, step: u32) -> u32;
}

// `async_trait` looks for `fn` among the tokens of a body.
#[traced]
#[async_trait]
impl Count for u32 {
    async fn count(&mut self, step: u32) -> u32 {
        fn double(step: u32) -> u32 {
            step * 2
        }
        *self += double(step);
        *self
    }
}

#[test]
fn async_trait_bodies_may_have_functions_of_their_own() {
    check_async(async { assert_eq!(1.count(2).await, 5) }, "u32::count");
}

#[traced(err_if = is_fatal)]
async fn judged<P: Fn(&String) -> bool>(fails: bool, is_fatal: P) -> Result<u32, String> {
    if fails { Err("lost".to_owned()) } else { Ok(1) }
}

#[traced(err_if = |_| { *failures += 1; true })]
async fn counted(failures: &mut u32) -> Result<u32, String> {
    Err("lost".to_owned())
}

#[traced(err_if = |error| !ignored.into_iter().any(|ignored| ignored == *error))]
fn moving(ignored: Vec<String>) -> Result<u32, String> {
    Err("lost".to_owned())
}

#[test]
fn conditions_may_be_called_only_once() {
    let mut failures = 0;
    check(
        || {
            _ = block_on(judged(true, |error| error == "lost"));
            _ = block_on(judged(true, |_| false));
            _ = block_on(counted(&mut failures));
            _ = moving(vec!["lost".to_owned()]);
        },
        "
        judged error[lost] error.type=alloc::string::String
        judged
        counted error[lost] error.type=alloc::string::String
        moving
        ",
    );
    assert_eq!(failures, 1);
}

#[test]
fn a_body_that_a_thread_local_drops_is_in_its_span() {
    thread_local! {
        static KEPT: std::cell::RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>> = const { std::cell::RefCell::new(None) };
    }
    check(
        || {
            on_another_thread(|| {
                let mut kept = Box::pin(inner_holds(false));
                assert!(poll_once(kept.as_mut()).is_pending());
                KEPT.set(Some(kept));
                // Cancels a call for the first time on this thread, so that what that needs is destroyed before `KEPT`.
                let mut other = Box::pin(leaf());
                assert!(poll_once(other.as_mut()).is_pending());
            });
        },
        "
        leaf telemark.outcome=cancelled
        inner_holds telemark.outcome=cancelled
          drop
          drop
        ",
    );
}

#[test]
fn async_trait_methods_are_traced_whichever_attribute_comes_first() {
    check_async(
        async { assert_eq!(Outer.load(1).await.unwrap(), "one") },
        "
        Outer::load (client) id=1
          load id=1 return=one
            leaf
        ",
    );
    check_async(
        async { assert!(Outer.load(0).await.is_err()) },
        "
        Outer::load (client) error[invalid digit found in string] id=0 error.type=core::num::error::ParseIntError
          load error[invalid digit found in string] id=0 error.type=core::num::error::ParseIntError
            leaf
        ",
    );
    check_async(async { assert_eq!(Outer.load_default().await, 7) }, "load_default\n  leaf");
}

#[async_trait]
trait Counter {
    async fn count(&self) -> usize;
    async fn reset(&mut self);
}

#[traced(fields(items = self.items.len()))]
#[async_trait]
impl Counter for Shop {
    async fn count(&self) -> usize {
        leaf().await;
        self.items.len()
    }

    async fn reset(&mut self) {
        self.items.clear();
    }
}

#[async_trait]
#[traced]
impl Counter for Vec<u32> {
    #[traced(fields(items = self.len()))]
    async fn count(&self) -> usize {
        leaf().await;
        self.len()
    }

    async fn reset(&mut self) {
        self.clear();
    }
}

#[test]
fn fields_may_use_self_on_both_sides_of_async_trait() {
    let mut shop = Shop { items: vec![3] };
    check_async(async { assert_eq!(shop.count().await, 1) }, "Shop::count items=1\n  leaf");
    check_async(async { shop.reset().await }, "Shop::reset items=1");
    check_async(async { assert_eq!(shop.items.count().await, 0) }, "Vec::count items=0\n  leaf");
    check(|| drop(shop.items.reset()), "");
    check_async(async { shop.items.reset().await }, "Vec::reset");
}

#[test]
fn futures_stay_send() {
    fn send<T: Send>(_: &T) {}
    send(&leaf());
    send(&nested("", 1));
    send(&Shop { items: vec![1] }.made(1));
    send(&telemark_sdk::instrument::spans::span("x").run(leaf()));
}
