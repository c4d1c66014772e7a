//! Call sites that are hit before there is a tracer. This test has its own file, because it needs a program without one.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use telemark_sdk::testing::TestTelemetry;
use tracing_subscriber::prelude::*;

/// Two call sites, neither of which is hit by other code.
fn program() {
    tracing::info_span!("request").in_scope(|| tracing::debug!(target: "sqlx::query", "select"));
}

#[test]
fn call_sites_hit_before_there_is_a_tracer_are_recorded_later() {
    let lines = support::Lines::default();
    let warnings = tracing_subscriber::fmt::layer()
        .with_writer(lines.clone())
        .with_filter(tracing_subscriber::filter::LevelFilter::WARN);
    let ours = telemark_tracing::builder().with_location(false).with_events_as_span_events(true).build();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(warnings).with(ours));
    tracing::dispatcher::with_default(&dispatch, || {
        program();
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        program();
        assert_eq!(telemetry.tree(), "request\n  * select level=DEBUG target=sqlx::query\n");
    });
}
