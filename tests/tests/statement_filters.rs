//! The variables and filters that select the statements of sqlx. There is only one test, because the filters are global to the program.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test helpers")]

use std::process::Command;
use std::time::Duration;

use telemark::testing::TestTelemetry;
use telemark::{log_filter, span_filter};
use telemark_sdk::span_filter::SpanFilter;
use tracing::{Level, info_span};
use tracing_subscriber::prelude::*;

/// Reports a statement as sqlx does, if that is enabled.
fn statement() {
    if tracing::enabled!(target: "sqlx::query", Level::DEBUG) {
        tracing::debug!(
            target: "sqlx::query",
            summary = "SELECT * FROM users …",
            db.statement = "\n\nSELECT * FROM users WHERE name = 'Ada'\n",
            rows_affected = 0_u64,
            rows_returned = 1_u64,
            elapsed = ?Duration::from_millis(5),
            elapsed_secs = 0.005,
        );
    }
}

/// Returns the text of the spans and the number of log records of a statement.
fn run() -> (String, usize) {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let layer = telemark::tracing::builder().with_location(false).with_events_as_span_events(true).build();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || info_span!("request").in_scope(statement));
    (telemetry.tree(), telemetry.log_records().len())
}

#[test]
fn each_filter_selects_its_part_of_the_statements() {
    let system = std::env::var("OTEL_RUST_DB_CLIENT_SYSTEM").unwrap_or("other_sql".to_owned());
    let request = "request\n".to_owned();
    let span = format!(
        "request\n  SELECT users (client) db.system.name={system} db.query.summary=SELECT users \
         db.query.text=SELECT * FROM users WHERE name = ?\n"
    );
    if std::env::var("OTEL_RUST_INSTRUMENTATION_SQLX_ENABLED").as_deref() == Ok("false") {
        return assert_eq!(run(), (request, 0));
    }
    assert_eq!(run(), (span.clone(), 0));
    // A level for all records does not name the statements.
    log_filter::set(Some("trace".parse().unwrap()));
    assert_eq!(run(), (span.clone(), 0));
    // Nor does one for all of sqlx, which concerns the pool as well.
    log_filter::set(Some("info,sqlx=trace".parse().unwrap()));
    assert_eq!(run(), (span.clone(), 0));
    log_filter::set(Some("info,sqlx::query=debug".parse().unwrap()));
    assert_eq!(run(), (span.clone(), 1));
    span_filter::set("info,sqlx::query=off".parse().unwrap());
    assert_eq!(run(), (request.clone(), 1));
    log_filter::set(None);
    assert_eq!(run(), (request, 0));
    span_filter::set(SpanFilter::default());
    assert_eq!(run(), (span, 0));

    // Others run this test with each variable, because a process cannot change its own environment safely.
    let variables = [("OTEL_RUST_INSTRUMENTATION_SQLX_ENABLED", "false"), ("OTEL_RUST_DB_CLIENT_SYSTEM", "postgresql")];
    if variables.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    for (name, value) in variables {
        let test = Command::new(std::env::current_exe().unwrap()).env(name, value).output().unwrap();
        let shown = String::from_utf8_lossy(&test.stdout);
        assert!(test.status.success() && shown.contains("1 passed"), "{name}={value}: {shown}");
    }
}
