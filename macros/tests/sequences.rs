//! `#[traced(stream)]` and `#[traced(iterator)]`: one span over all items.

#![allow(clippy::unwrap_used, clippy::panic, reason = "panics are what is tested")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll, Waker};

use futures_util::stream::{self, Stream, StreamExt};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use support::{check, check_async, yield_now};
use telemark::{InSpanStream, traced};

type Item = Result<u32, &'static str>;

#[traced]
fn produce(n: u32) -> u32 {
    n
}

#[traced(stream, fields(n))]
fn rows(n: u32) -> impl Stream<Item = u32> {
    stream::iter(0..n).then(|n| async move {
        yield_now().await;
        produce(n)
    })
}

#[traced(stream)]
fn boxed(n: u32) -> Pin<Box<dyn Stream<Item = Item> + Send>> {
    Box::pin(stream::iter((0..n).map(|n| if n == 1 { Err("one") } else { Ok(n) })))
}

#[test]
fn the_span_of_a_stream_is_current_in_each_poll_and_ends_with_the_items() {
    check_async(
        async { assert_eq!(rows(2).collect::<Vec<_>>().await, [0, 1]) },
        "
        rows n=2 telemark.items=2
          produce
          produce
        ",
    );
    check_async(
        async {
            let mut rows = pin!(rows(1));
            assert_eq!(rows.size_hint(), (1, Some(1)));
            assert_eq!(rows.next().await, Some(0));
            assert!(!Context::current().has_active_span());
            assert_eq!(rows.next().await, None);
            produce(9);
        },
        "
        rows n=1 telemark.items=1
          produce
        produce
        ",
    );
}

#[test]
fn a_stream_that_is_dropped_is_cancelled() {
    check_async(
        async { assert_eq!(rows(9).take(1).collect::<Vec<_>>().await, [0]) },
        "
        rows n=9 telemark.items=1 telemark.outcome=cancelled
          produce
        ",
    );
    check(|| drop(boxed(1)), "boxed telemark.items=0 telemark.outcome=cancelled");
}

#[test]
fn the_first_error_among_the_items_becomes_the_status() {
    check_async(
        async { assert_eq!(boxed(3).collect::<Vec<_>>().await, [Ok(0), Err("one"), Ok(2)]) },
        "boxed error[one] error.type=str telemark.items=3",
    );
    check_async(async { assert_eq!(boxed(1).count().await, 1) }, "boxed telemark.items=1");
}

#[traced(stream)]
fn panics() -> impl Stream<Item = u32> {
    stream::iter(0..2).map(|n| if n == 1 { panic!("in the stream") } else { n })
}

#[test]
fn a_panic_in_a_stream_ends_its_span_and_continues() {
    check(
        || {
            let mut stream = Box::pin(panics());
            let mut next = || stream.as_mut().poll_next(&mut TaskContext::from_waker(Waker::noop()));
            assert_eq!(next(), Poll::Ready(Some(0)));
            catch_unwind(AssertUnwindSafe(&mut next)).unwrap_err();
        },
        "panics error[panic] error.type=panic telemark.outcome=panicked",
    );
}

#[traced(iterator, fields(n))]
fn counted(n: u32) -> impl Iterator<Item = u32> {
    (0..n).map(produce)
}

#[traced(iterator, err_if = |text| *text != "one")]
fn counted_boxed<'a>(texts: &'a [Item]) -> Box<dyn Iterator<Item = Item> + 'a> {
    Box::new(texts.iter().copied())
}

#[test]
fn an_iterator_has_a_span_from_the_call_to_the_last_item() {
    check(
        || {
            let mut items = counted(1);
            assert_eq!((items.size_hint(), items.next()), ((1, Some(1)), Some(0)));
            assert_eq!((items.next(), items.next()), (None, None));
            produce(7);
        },
        "
        counted n=1 telemark.items=1
          produce
        produce
        ",
    );
    check(|| _ = counted(9).next(), "counted n=9 telemark.items=1 telemark.outcome=cancelled\n  produce");
    check(|| _ = counted_boxed(&[Err("one"), Ok(1)]).count(), "counted_boxed telemark.items=2");
    check(
        || _ = counted_boxed(&[Err("one"), Err("two"), Err("three")]).count(),
        "counted_boxed error[two] error.type=str telemark.items=3",
    );
}

#[derive(Clone, Debug, PartialEq)]
struct Silent;

#[traced(iterator)]
fn inferred(texts: &[&'static str]) -> impl Iterator<Item = Result<u8, Silent>> {
    texts.iter().map(|text| text.parse().map_err(|_| Silent))
}

#[test]
fn an_item_needs_no_text() {
    check(|| _ = inferred(&["x"]).count(), "inferred error error.type=sequences::Silent telemark.items=1");
}

#[test]
fn streams_and_iterators_have_spans_by_hand_too() {
    check_async(
        async {
            let rows = stream::iter([1, 2]).map(produce).in_span(telemark::span("rows").with("page", 1));
            assert_eq!(rows.count().await, 2);
        },
        "
        rows page=1 telemark.items=2
          produce
          produce
        ",
    );
    check(|| assert_eq!(telemark::span("lines").run_iterator(["a", "b"]).count(), 2), "lines telemark.items=2");
}

#[test]
fn without_a_tracer_the_items_pass() {
    assert_eq!(counted(3).sum::<u32>(), 3);
    assert_eq!(support::block_on(rows(3).count()), 3);
}
