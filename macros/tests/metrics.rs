//! `#[traced(metrics)]` records one measurement per call, regardless of how the call ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "panics are what is tested")]

mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, Stream, StreamExt};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use support::{block_on, poll_once, yield_now};
use telemark::traced;
use telemark_sdk::metrics::{Exemplar, HistogramPoint, MetricData};
use telemark_sdk::sampling::AlwaysOff;
use telemark_sdk::testing::{ManualClock, TestTelemetry};

/// Runs `scenario` with separate telemetry, once sampled and once unsampled, and checks the measurements each time. Each is
/// written as `count function`, followed by any other attributes.
#[track_caller]
fn check(scenario: impl Fn(&ManualClock), expected: &[&str]) {
    let sampled = TestTelemetry::new();
    let unsampled = TestTelemetry::with(|builder| builder.with_sampler(AlwaysOff));
    for telemetry in [&sampled, &unsampled] {
        {
            let _guard = telemetry.attach();
            scenario(&telemetry.clock);
        }
        assert_eq!(lines(telemetry), expected);
    }
    assert_eq!(unsampled.tree(), "");
    // Each measurement points to its own span and has the same data.
    let spans = sampled.spans();
    let mut found = 0;
    for point in points(&sampled) {
        for exemplar in &point.exemplars {
            let Exemplar { span_id, trace_id, value, .. } = exemplar;
            let span = spans.iter().find(|span| span.context.span_id() == *span_id).unwrap();
            assert_eq!(span.context.trace_id(), *trace_id);
            assert_eq!(span.duration().as_secs_f64(), value.as_f64(), "{}", span.name);
            for KeyValue { key, value, .. } in point.attributes.iter() {
                assert!(span.attributes().any(|of_span| of_span.key == *key && of_span.value == *value), "{key}");
            }
            found += 1;
        }
    }
    assert!(found > 0 || expected.is_empty(), "there are exemplars");
}

fn points(telemetry: &TestTelemetry) -> Vec<HistogramPoint> {
    let metrics: Vec<_> = telemetry.collect().into_iter().flat_map(|scope| scope.metrics).collect();
    metrics.iter().for_each(|metric| assert_eq!((&*metric.name, &*metric.unit), ("telemark.function.duration", "s")));
    let points = metrics.into_iter().map(|metric| match metric.data {
        MetricData::Histogram { points, .. } => points,
        other => panic!("{other:?}"),
    });
    points.flatten().collect()
}

fn lines(telemetry: &TestTelemetry) -> Vec<String> {
    let line = |point: &HistogramPoint| {
        let others = point.attributes.iter().filter(|one| one.key.as_str() != "code.function.name");
        let others: String = others.map(|one| format!(" {}={}", one.key, one.value)).collect();
        let function = point.attributes.iter().find(|one| one.key.as_str() == "code.function.name").unwrap();
        format!("{} {}{others}", point.count, function.value.as_str().trim_start_matches("metrics::"))
    };
    let mut lines: Vec<_> = points(telemetry).iter().map(line).collect();
    lines.sort();
    lines
}

fn catch<T>(call: impl FnOnce() -> T) {
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
}

#[traced(metrics)]
fn plain(clock: &ManualClock) -> u32 {
    clock.advance(Duration::from_millis(3));
    if clock.clock().now().as_nanos() == 0 {
        return 1;
    }
    7
}

#[traced(metrics, ret, fields(fails))]
fn fallible(clock: &ManualClock, fails: bool) -> Result<u32, std::num::ParseIntError> {
    clock.advance(Duration::from_micros(70));
    let number = if fails { "x" } else { "7" }.parse::<u32>()?;
    Ok(number)
}

#[traced(metrics, err = off)]
fn no_error(fails: bool) -> Result<u32, String> {
    if fails { Err("no error".into()) } else { Ok(1) }
}

type Answer = std::io::Result<u32>;

#[traced(metrics, err(Debug))]
fn by_another_name() -> Answer {
    Err(std::io::Error::other("no answer"))
}

#[traced(metrics)]
fn panics(with_result: bool) -> u32 {
    assert!(!with_result, "on purpose");
    panic!("on purpose")
}

#[traced(metrics)]
fn panics_with_a_result() -> Result<(), String> {
    panic!("on purpose")
}

#[traced(metrics)]
fn never() -> ! {
    panic!("on purpose")
}

#[test]
fn calls_that_return() {
    check(
        |clock| {
            for _ in 0..3 {
                assert_eq!(plain(clock), 7);
            }
            assert_eq!(fallible(clock, false), Ok(7));
        },
        &["1 fallible", "3 plain"],
    );
}

#[test]
fn calls_that_fail() {
    check(
        |clock| {
            fallible(clock, true).unwrap_err();
            fallible(clock, false).unwrap();
            no_error(true).unwrap_err();
            by_another_name().unwrap_err();
        },
        &[
            "1 by_another_name error.type=std::io::ErrorKind::Other",
            "1 fallible",
            "1 fallible error.type=core::num::error::ParseIntError",
            "1 no_error",
        ],
    );
}

#[test]
fn calls_that_panic() {
    check(
        |_| {
            catch(|| panics(true));
            catch(|| panics(false));
            catch(panics_with_a_result);
            catch(never);
        },
        &[
            "1 never error.type=panic telemark.outcome=panicked",
            "1 panics_with_a_result error.type=panic telemark.outcome=panicked",
            "2 panics error.type=panic telemark.outcome=panicked",
        ],
    );
}

#[test]
fn a_call_during_a_panic_that_began_before_it_has_not_panicked() {
    struct Cleans<'a>(&'a ManualClock);
    impl Drop for Cleans<'_> {
        fn drop(&mut self) {
            plain(self.0);
            assert_eq!(block_on(work(self.0, true)), Ok(7));
        }
    }
    check(
        |clock| {
            catch(|| {
                let _cleans = Cleans(clock);
                panic!("on purpose");
            });
        },
        &["1 plain", "1 work"],
    );
}

#[traced(metrics)]
async fn work(clock: &ManualClock, succeeds: bool) -> Result<u32, &'static str> {
    yield_now().await;
    clock.advance(Duration::from_millis(20));
    if !succeeds {
        return Err("failed");
    }
    Ok(7)
}

#[traced(metrics)]
async fn waits(clock: &ManualClock) {
    struct Cleans<'a>(&'a ManualClock);
    impl Drop for Cleans<'_> {
        fn drop(&mut self) {
            self.0.advance(Duration::from_millis(1));
        }
    }
    let _cleans = Cleans(clock);
    std::future::pending().await
}

#[traced(metrics)]
async fn panics_late() {
    yield_now().await;
    panic!("on purpose")
}

#[traced(metrics)]
fn returns_a_future(clock: &ManualClock) -> impl Future<Output = Result<u32, &'static str>> + '_ {
    clock.advance(Duration::from_millis(2));
    async {
        yield_now().await;
        clock.advance(Duration::from_millis(2));
        Err("failed")
    }
}

#[traced(metrics)]
fn returns_a_box(panics: bool) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    assert!(!panics, "on purpose");
    Box::pin(async { 7 })
}

#[async_trait]
trait Shop {
    async fn order(&self) -> Result<u32, String>;
}

struct Local;

#[async_trait]
impl Shop for Local {
    #[traced(metrics)]
    async fn order(&self) -> Result<u32, String> {
        yield_now().await;
        Err("sold out".to_owned())
    }
}

#[test]
fn futures_that_are_ready() {
    check(
        |clock| {
            block_on(work(clock, true)).unwrap();
            block_on(work(clock, false)).unwrap_err();
            block_on(returns_a_future(clock)).unwrap_err();
            assert_eq!(block_on(returns_a_box(false)), 7);
            block_on(Local.order()).unwrap_err();
        },
        &[
            "1 order error.type=alloc::string::String",
            "1 returns_a_box",
            "1 returns_a_future error.type=str",
            "1 work",
            "1 work error.type=str",
        ],
    );
}

#[test]
fn futures_that_are_dropped() {
    check(
        |clock| {
            {
                let mut waiting = pin!(waits(clock));
                assert!(poll_once(waiting.as_mut()).is_pending());
                assert!(poll_once(waiting.as_mut()).is_pending());
            }
            // The body has not begun.
            drop(waits(clock));
            // The call is part of the measurement.
            drop(returns_a_future(clock));
        },
        &["1 returns_a_future telemark.outcome=cancelled", "1 waits telemark.outcome=cancelled"],
    );
}

#[test]
fn futures_that_panic() {
    check(
        |_| {
            let mut future = Box::pin(panics_late());
            assert!(poll_once(future.as_mut()).is_pending());
            catch(|| poll_once(future.as_mut()));
            drop(future);
            catch(|| returns_a_box(true));
        },
        &[
            "1 panics_late error.type=panic telemark.outcome=panicked",
            "1 returns_a_box error.type=panic telemark.outcome=panicked",
        ],
    );
}

struct Cart;

#[traced(metrics)]
impl Cart {
    fn total(&self) -> u32 {
        1
    }

    #[traced(metrics = off)]
    fn len(&self) -> u32 {
        2
    }

    #[traced(skip)]
    fn skipped(&self) -> u32 {
        3
    }
}

mod pricing {
    use telemark::traced;

    #[traced(metrics)]
    pub(super) mod rules {
        pub(in super::super) fn discount<T: Copy>(of: T) -> T {
            inner::rounded(of)
        }

        mod inner {
            #[traced(kind = client)]
            pub(super) fn rounded<T>(of: T) -> T {
                of
            }
        }
    }
}

#[test]
fn blocks_hand_the_option_down() {
    check(
        |_| {
            assert_eq!(Cart.total() + Cart.len() + Cart.skipped(), 6);
            pricing::rules::discount(1);
            // A method for another type counts as the same function.
            pricing::rules::discount("one");
        },
        &["1 Cart::total", "2 pricing::rules::discount", "2 pricing::rules::inner::rounded"],
    );
}

#[test]
fn a_call_below_a_parent_that_is_not_sampled_is_measured() {
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        let parent = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::default(), true, TraceState::NONE);
        let _parent = Context::current().with_remote_span_context(parent).attach();
        plain(&telemetry.clock);
        block_on(work(&telemetry.clock, true)).unwrap();
    }
    assert_eq!(lines(&telemetry), ["1 plain", "1 work"]);
    assert_eq!(telemetry.tree(), "");
    let mut sums: Vec<_> = points(&telemetry).iter().map(|point| point.sum.unwrap()).collect();
    sums.sort_by(f64::total_cmp);
    assert_eq!(sums, [0.003, 0.02]);
}

#[test]
fn suppressed_calls_are_not_measured() {
    check(
        |clock| {
            telemark::suppress(|| plain(clock));
            block_on(telemark::suppress_future(work(clock, true))).unwrap();
        },
        &[],
    );
}

#[test]
fn the_buckets_are_for_functions() {
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        plain(&telemetry.clock);
    }
    let bounds = "[1e-5, 0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]";
    assert_eq!(format!("{:?}", points(&telemetry)[0].bounds), bounds);
    assert_eq!(telemetry.collect()[0].scope.name(), "telemark-macros");
}

#[test]
fn without_a_telemetry_nothing_happens() {
    let clock = ManualClock::new();
    assert_eq!(plain(&clock), 7);
    assert_eq!(block_on(work(&clock, true)), Ok(7));
    assert_eq!(block_on(returns_a_future(&clock)), Err("failed"));
}

#[traced(stream, metrics)]
fn streamed(n: u32) -> impl Stream<Item = Result<u32, &'static str>> {
    stream::iter((0..n).map(|n| if n == 1 { Err("one") } else { Ok(n) }))
}

#[traced(iterator, metrics)]
fn iterated(n: u32) -> impl Iterator<Item = u32> {
    (0..n).map(|n| if n == 5 { panic!("in the iterator") } else { n })
}

#[test]
fn a_stream_or_an_iterator_is_measured_once_over_all_its_items() {
    check(
        |clock| {
            let count = |n| {
                let streamed = streamed(n);
                clock.advance(Duration::from_secs(1));
                block_on(streamed.count())
            };
            assert_eq!((count(1), count(3)), (1, 3));
            drop(streamed(1));
            assert_eq!(iterated(2).count(), 2);
            assert_eq!(iterated(2).next(), Some(0));
            catch_unwind(|| iterated(9).count()).unwrap_err();
        },
        &[
            "1 iterated",
            "1 iterated error.type=panic telemark.outcome=panicked",
            "1 iterated telemark.outcome=cancelled",
            "1 streamed",
            "1 streamed error.type=str",
            "1 streamed telemark.outcome=cancelled",
        ],
    );
}

#[traced(err_if = |error| *error != "not found", metrics)]
fn found(error: &'static str) -> Result<(), &'static str> {
    Err(error)
}

#[test]
fn an_err_that_err_if_excludes_counts_as_a_call_that_returned() {
    check(|_| _ = (found("not found"), found("broken")), &["1 found", "1 found error.type=str"]);
}
