//! Processors that use `tracing` and the current span while the API holds the lock of the span that ends.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use opentelemetry::trace::{TraceContextExt, Tracer};
use support::{dispatch, plain};
use telemark_sdk::instrument::spans;
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::trace::{SpanData, SpanProcessor};
use telemark_tracing::OpenTelemetrySpanExt;
use tracing::field::Empty;
use tracing::{error, info_span};

/// Uses the current span, and ends another one, when a span named `a` ends.
#[derive(Debug)]
struct Chatty;

impl SpanProcessor for Chatty {
    fn on_end(&self, span: SpanData) {
        if span.name == "within" {
            error!("a span ended within the end of another one");
        }
        if span.name == "a" {
            error!("a span ended");
            spans::span("within").in_scope(|| ());
            let _ = spans::span("failing").try_in_scope(|| "x".parse::<u16>().map(drop));
            let current = tracing::Span::current();
            current.record("field", 1);
            current.set_attribute("set", 1);
            spans::set_attribute("by.hand", 1);
        }
    }
}

/// Runs a program on a thread of its own, which a deadlock would block, and returns its spans.
#[allow(clippy::disallowed_methods, reason = "a thread that a deadlock blocks cannot be joined")]
fn tree(program: impl FnOnce(&TestTelemetry) + Send + 'static) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let telemetry = TestTelemetry::with(|builder| builder.with_processor(Chatty));
        let _attached = telemetry.attach();
        let layer = plain().with_events_as_span_events(true);
        tracing::dispatcher::with_default(&dispatch(layer), || program(&telemetry));
        sender.send(telemetry.tree()).unwrap();
    });
    receiver.recv_timeout(Duration::from_secs(20)).unwrap()
}

#[test]
fn a_processor_may_use_the_span_that_ends_while_it_is_current() {
    let by_the_api = tree(|telemetry| telemetry.tracer("test").in_span("a", |context| context.span().end()));
    assert!(by_the_api.starts_with("a\n"), "{by_the_api}");
    let closed = tree(|_| {
        let span = info_span!("a", field = Empty);
        let _attached = span.context().attach();
        drop(span);
    });
    assert!(closed.starts_with("a\n"), "{closed}");
    let ended = tree(|_| {
        let span = info_span!("a", field = Empty);
        span.in_scope(|| span.context().span().end());
    });
    assert!(ended.starts_with("a\n"), "{ended}");
}
