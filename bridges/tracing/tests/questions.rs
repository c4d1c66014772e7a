//! Questions whether something is enabled, after which the next event is not withheld. The file has only one test, because the logger,
//! the subscriber and the filter are the program's.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use telemark_sdk::span_filter;
use telemark_sdk::testing::TestTelemetry;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

static FORMATTED: AtomicUsize = AtomicUsize::new(0);

/// Counts how often it is formatted.
struct Counted;

impl fmt::Display for Counted {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        FORMATTED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_question_withholds_no_event_from_a_layer() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let lines = support::Lines::default();
    let format = tracing_subscriber::fmt::layer()
        .with_writer(lines.clone())
        .with_filter(Targets::new().with_default(LevelFilter::DEBUG).with_target("unread", LevelFilter::OFF));
    let subscriber = tracing_subscriber::registry().with(telemark_tracing::layer());
    let subscriber = subscriber.with(telemark_tracing::metrics_layer()).with(format);
    tracing::dispatcher::set_global_default(subscriber.into()).unwrap();
    // As `tracing-subscriber` sets it.
    tracing_log::LogTracer::init().unwrap();
    let quiet = "info,quiet=off,unread=off,sqlx::query=off".parse().unwrap();
    span_filter::set(quiet);

    let check = |ask: &dyn Fn()| {
        let before = telemetry.log_records().len();
        ask();
        tracing::info!(monotonic_counter.orders = 1_u64, "after a question");
        assert_eq!(telemetry.log_records().len(), before + 1);
    };
    let questions: [&dyn Fn(); 5] = [
        &|| assert!(log::log_enabled!(log::Level::Debug)),
        &|| assert!(log::log_enabled!(target: "quiet", log::Level::Info)),
        &|| assert!(log::log_enabled!(target: "sqlx::query", log::Level::Info)),
        // The lines want it, and the other layers do not.
        &|| assert!(tracing::enabled!(Level::DEBUG)),
        &|| assert!(tracing::enabled!(target: "quiet", Level::INFO)),
    ];
    questions.into_iter().for_each(check);
    assert_eq!(telemetry.metrics(), "orders sum 5\n");

    // Records are filtered as before.
    log::info!(target: "quiet", "not recorded");
    log::debug!("not recorded");
    log::info!("recorded");
    assert_eq!(telemetry.log_records().len(), 6);
    assert_eq!(lines.text().lines().count(), 8, "{}", lines.text());
    // What no layer wants is not even formatted.
    log::info!(target: "unread", "{Counted}");
    assert_eq!(FORMATTED.load(Ordering::Relaxed), 0);
    log::info!(target: "quiet", "{Counted}");
    assert_eq!(FORMATTED.load(Ordering::Relaxed), 1, "by the lines");
}
