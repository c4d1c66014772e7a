//! An unrecorded span allocates nothing and evaluates neither fields nor links.

use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, InstrumentationScope};
use telemark::traced;
use telemark_sdk::sampling::{AlwaysOff, ParentBased};
use telemark_sdk::trace::{Scope, SdkTracerProvider, SpanData, SpanProcessor, active};

struct Counting;

thread_local!(static ALLOCATIONS: Cell<usize> = const { Cell::new(0) });
static EVALUATED: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Debug)]
struct Ignore;

impl SpanProcessor for Ignore {
    fn on_end(&self, _: SpanData) {}
}

fn evaluated() -> String {
    EVALUATED.fetch_add(1, Ordering::Relaxed);
    "evaluated".to_owned()
}

fn links() -> Vec<SpanContext> {
    EVALUATED.fetch_add(1, Ordering::Relaxed);
    vec![SpanContext::NONE]
}

#[traced(name = "call", kind = client, links = links(), fields(number, text = evaluated()), ret, err(Debug))]
fn call(number: u32) -> Result<u32, u32> {
    if number == 0 { Err(number) } else { Ok(number) }
}

#[traced]
fn bare(number: u32) -> u32 {
    number
}

type Answer = Result<u32, u32>;

#[traced(fields(number, text = evaluated()))]
fn aliased(number: u32) -> Answer {
    Ok(number)
}

#[traced(iterator, fields(number, text = evaluated()))]
fn items(number: u32) -> impl Iterator<Item = Answer> {
    (0..number).map(Ok)
}

#[traced(fields(number, text = evaluated()))]
async fn work(number: u32) -> Result<u32, u32> {
    call(number)
}

#[traced(fields(number, text = evaluated()))]
async fn waits(number: u32) {
    work(number).await.unwrap();
    std::future::pending().await
}

fn allocations(run: impl Fn()) -> usize {
    run();
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

fn calls() {
    assert_eq!(call(1), Ok(1));
    assert_eq!(call(0), Err(0));
    assert_eq!(bare(1), 1);
    assert_eq!(aliased(1), Ok(1));
    assert_eq!(items(2).count(), 2);
    let future = pin!(work(1));
    assert_eq!(future.poll(&mut std::task::Context::from_waker(Waker::noop())), Poll::Ready(Ok(1)));
    // Cancelled.
    let future = pin!(waits(1));
    assert_eq!(future.poll(&mut std::task::Context::from_waker(Waker::noop())), Poll::Pending);
    telemark_sdk::instrument::spans::set_attribute("key", 1);
}

fn in_a_tracer(sampled: bool) -> Context {
    let builder = SdkTracerProvider::builder().with_processor(Ignore);
    let builder = if sampled { builder } else { builder.with_sampler(ParentBased::new(AlwaysOff)) };
    let scope = Scope::from(InstrumentationScope::builder(Cow::Borrowed("test")).build());
    active::with_tracer(&Context::new(), builder.build().tracer_in(scope))
}

#[traced]
fn root() -> usize {
    assert!(Context::current().has_active_span());
    allocations(calls)
}

fn main() {
    assert!(!active::is_installed());
    assert_eq!(allocations(calls), 0, "nothing is installed");
    assert_eq!(EVALUATED.load(Ordering::Relaxed), 0);

    let guard = in_a_tracer(false).attach();
    assert_eq!(root(), 0, "below a root that is not sampled");
    assert_eq!(EVALUATED.load(Ordering::Relaxed), 0);
    let suppressed = telemark_sdk::instrument::spans::suppress(|| allocations(calls));
    assert_eq!(suppressed, 0, "suppressed");
    drop(guard);

    // A recorded span does allocate, which shows that the counter works.
    let _guard = in_a_tracer(true).attach();
    assert!(root() > 0);
    assert_eq!(EVALUATED.load(Ordering::Relaxed), 2 * (2 * 2 + 1 + 2 + 1 + 1 + 2 + 2));
}
