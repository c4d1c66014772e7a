//! Values that use `tracing` while `tracing` reads them. This test has its own file, because `tracing` calls a subscriber
//! recursively only if it is the global one and no thread has another.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fmt;

use support::plain;
use telemark_sdk::testing::TestTelemetry;
use telemark_tracing::OpenTelemetrySpanExt;
use tracing::{Dispatch, error, info_span};
use tracing_subscriber::prelude::*;

/// Uses `tracing` and the OpenTelemetry side of a span while it is formatted.
struct Chatty(Option<tracing::Span>);

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = info_span!("in debug");
        span.in_scope(|| error!(n = 1, "in debug"));
        span.record("missing", 1);
        if let Some(around) = &self.0 {
            around.record("inner", 1);
            around.set_attribute("from.debug", true);
            around.add_event("from debug", vec![]);
            let _ = around.context();
            around.follows_from(&span);
            around.in_scope(|| error!("in debug of a field"));
        }
        f.write_str("chatty")
    }
}

impl fmt::Display for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[test]
fn values_that_use_tracing_while_they_are_formatted_do_no_harm() {
    let telemetry = TestTelemetry::new();
    let subscriber = tracing_subscriber::registry().with(plain().with_events_as_span_events(true).build());
    tracing::dispatcher::set_global_default(Dispatch::new(subscriber)).unwrap();
    let work = || {
        let _attached = telemetry.attach();
        let span =
            info_span!("outer", inner = tracing::field::Empty, value = tracing::field::Empty, at = ?Chatty(None));
        span.record("value", tracing::field::debug(Chatty(Some(span.clone()))));
        span.in_scope(|| error!(value = %Chatty(Some(span.clone())), "event"));
        drop(info_span!(parent: &span, "below", value = ?Chatty(Some(span.clone()))));
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    let tree = telemetry.tree();
    assert_eq!(tree.matches("outer").count(), 4, "{tree}");
    assert_eq!(tree.matches("below").count(), 4, "{tree}");
    assert_eq!(tree.lines().filter(|line| line.trim().starts_with("in debug")).count(), 16, "{tree}");
    assert!(tree.contains("value=chatty"), "{tree}");
}
