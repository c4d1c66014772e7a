//! Levels and targets in `#[traced]`, with a filter that is global to the program.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use support::block_on;
use telemark::traced;
use telemark_sdk::span_filter::{self, Level, SpanFilter};
use telemark_sdk::testing::TestTelemetry;

/// Sets the filter, and holds a lock so that only one test at a time uses it.
fn filtered(filter: &str) -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    span_filter::set(if filter.is_empty() { SpanFilter::default() } else { filter.parse().unwrap() });
    guard
}

#[track_caller]
fn check(filter: &str, scenario: impl FnOnce(), expected: &str) {
    let _guard = filtered(filter);
    support::check(scenario, expected);
}

#[traced]
fn outer() {
    fine();
}

#[traced(level = "debug")]
fn fine() {
    inner();
}

#[traced(target = "shop::stock")]
fn inner() {}

#[test]
fn a_filter_selects_by_level_and_target() {
    check("", outer, "outer\n  inner");
    check("debug", outer, "outer\n  fine\n    inner");
    check("levels=debug", outer, "outer\n  fine\n    inner");
    check("shop=off", outer, "outer");
    check("warn", outer, "");
    check("off,shop::stock", outer, "inner");
    check("levels::other=off,shop=error", outer, "outer");
}

#[test]
fn the_filter_changes_while_the_program_runs() {
    check(
        "",
        || {
            fine();
            span_filter::set(SpanFilter::up_to(Level::Trace));
            fine();
            span_filter::set(SpanFilter::up_to(None));
            fine();
            outer();
        },
        "inner\nfine\n  inner",
    );
}

#[traced(level = "trace", kind = client)]
impl Cart {
    async fn load(&self) -> u32 {
        inner();
        3
    }

    #[traced(level = "info")]
    async fn save(&self) {}

    #[traced(iterator)]
    fn items(&self) -> impl Iterator<Item = u32> {
        inner();
        [1, 2].into_iter()
    }
}

struct Cart;

#[test]
fn every_kind_of_function_can_be_off() {
    let all = || {
        assert_eq!(block_on(Cart.load()), 3);
        block_on(Cart.save());
        assert_eq!(Cart.items().sum::<u32>(), 3);
    };
    check("", all, "inner\nCart::save (client)\ninner");
    check(
        "trace",
        all,
        "
        Cart::load (client)
          inner
        Cart::save (client)
        Cart::items (client) telemark.items=2
          inner
        ",
    );
}

#[traced(level = "debug", root)]
fn fine_root() {
    inner();
}

#[traced(level = "debug", parent = parent)]
fn fine_with_parent(parent: &Context) {
    inner();
}

#[test]
fn the_parent_of_a_span_that_is_left_out_is_that_of_its_children() {
    let run = |filter| {
        let _guard = filtered(filter);
        let telemetry = TestTelemetry::new();
        {
            let _guard = telemetry.attach();
            let _here = telemark::span("here").enter();
            fine_root();
            let elsewhere = telemark::span("elsewhere").with_new_root().enter();
            let parent = Context::current();
            drop(elsewhere);
            fine_with_parent(&parent);
        }
        telemetry.tree()
    };
    assert_eq!(run(""), "inner\nelsewhere\n  inner\nhere\n");
    assert_eq!(run("debug"), "fine_root\n  inner\nelsewhere\n  fine_with_parent\n    inner\nhere\n");
}

#[traced(level = "debug", metrics, err(Debug), fields(seen = evaluated()))]
fn measured() -> Result<(), String> {
    assert!(!Context::current().span().is_recording());
    Err("no".to_owned())
}

fn evaluated() -> u32 {
    unreachable!("the span is left out")
}

#[test]
fn a_call_without_a_span_is_measured_and_evaluates_nothing() {
    let _guard = filtered("");
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        _ = measured();
    }
    assert_eq!(telemetry.tree(), "");
    let metrics = telemetry.metrics();
    assert!(metrics.contains("code.function.name=levels::measured"), "{metrics}");
}
