//! The message about a removed parent. The file has only one test, because the message is shown once per program.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use support::{dispatch, plain};
use telemark_sdk::diag;
use telemark_sdk::testing::TestTelemetry;
use telemark_tracing::OpenTelemetrySpanExt;
use tracing::{info_span, warn_span};

#[test]
fn a_removed_parent_at_info_is_reported_once() {
    let said = Arc::new(Mutex::new(Vec::new()));
    diag::set_sink({
        let said = said.clone();
        move |_, message| said.lock().unwrap().push(message.to_owned())
    });
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let filter = "warn,shop::cart=off".parse().unwrap();
    tracing::dispatcher::with_default(&dispatch(plain().with_span_filter(filter)), || {
        // No span that is kept loses its parent.
        info_span!("removed").in_scope(|| info_span!("removed too").in_scope(|| ()));
        info_span!("removed").in_scope(|| warn_span!(parent: None, "root").in_scope(|| ()));
        warn_span!("kept").in_scope(|| warn_span!("below kept").in_scope(|| ()));
        let context = SpanContext::new(TraceId::from(7), SpanId::from(9), TraceFlags::SAMPLED, true, TraceState::NONE);
        let passing = info_span!("passing");
        passing.set_parent(telemetry.context().with_remote_span_context(context)).unwrap();
        passing.in_scope(|| warn_span!("below passing").in_scope(|| ()));
        assert_eq!(*said.lock().unwrap(), [""; 0]);

        let removed = warn_span!(target: "shop::cart", "cart");
        warn_span!(parent: &removed, "total").in_scope(|| ());
        info_span!("request").in_scope(|| warn_span!("within").in_scope(|| ()));
    });
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(r#"removes "cart" of "shop::cart""#) && said[0].contains(r#""total""#), "{said:?}");
}
