//! Log records have a filter of their own, which is that of spans until it is set. There is only one test, because the filters are
//! global to the program.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use support::dispatch;
use telemark_sdk::span_filter::{self, SpanFilter, records};
use telemark_sdk::testing::TestTelemetry;
use tracing::{debug, debug_span, error, info, info_span};

/// Returns the spans, the records and the levels of what a program records.
fn run() -> (String, String) {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(telemark_tracing::builder().with_location(false)), || {
        info_span!("request").in_scope(|| {
            debug_span!("details").in_scope(|| debug!("a"));
            info!("b");
            error!(target: "bank", "c");
        });
    });
    (telemetry.tree(), telemetry.logs())
}

#[test]
fn log_records_have_a_filter_of_their_own() {
    let is = |spans: &str, records: &str| (spans.to_owned(), records.to_owned());
    let failed = "request error\n";
    assert_eq!(run(), is(failed, "INFO b\nERROR c\n"));
    // More records than spans.
    records::set(Some("debug".parse().unwrap()));
    assert_eq!(run(), is(failed, "DEBUG a\nINFO b\nERROR c\n"));
    // Fewer; an error still sets the status of its span.
    records::set(Some("off,bank=error".parse().unwrap()));
    assert_eq!(run(), is(failed, "ERROR c\n"));
    records::set(Some(SpanFilter::up_to(None)));
    assert_eq!(run(), is(failed, ""));
    // Records without spans.
    span_filter::set(SpanFilter::up_to(None));
    records::set(Some("debug".parse().unwrap()));
    assert_eq!(run(), is("", "DEBUG a\nINFO b\nERROR c\n"));
    // Unset, the filter of spans applies.
    records::set(None);
    assert_eq!(run(), is("", ""));
    span_filter::set("debug".parse().unwrap());
    assert_eq!(run(), is("request error\n  details\n", "DEBUG a\nINFO b\nERROR c\n"));
}
