//! The layer's filter is independent: log line filters do not remove spans, and the layer's filter does not remove lines.
//! There is only one test, because the filter is global to the program.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use support::{Lines, plain};
use telemark_sdk::diag;
use telemark_sdk::span_filter::{self, Level, SpanFilter};
use telemark_sdk::testing::TestTelemetry;
use telemark_tracing::OpenTelemetrySpanExt;
use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, debug, debug_span, info, info_span, trace_span, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

fn lines<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(
    lines: &Lines,
) -> Box<dyn tracing_subscriber::Layer<S> + Send + Sync> {
    Box::new(tracing_subscriber::fmt::layer().with_writer(lines.clone()).without_time().with_ansi(false))
}

/// Spans and lines of every kind that the filters below treat differently.
fn program() {
    info_span!("request").in_scope(|| {
        info!("info line");
        debug_span!(target: "tower_http::trace", "http").in_scope(|| {
            debug_span!("details").in_scope(|| {
                warn!("warn line");
                info_span!("query").in_scope(|| debug!("debug line"));
            });
        });
    });
}

/// Returns the spans and the lines of the program with a subscriber.
fn run(subscriber: impl Subscriber + Send + Sync + 'static, text: &Lines) -> (String, String) {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    tracing::subscriber::with_default(subscriber, program);
    let text = text.text();
    let said: Vec<_> = text.lines().map(|line| line.rsplit(": ").next().unwrap_or("").to_owned()).collect();
    (telemetry.tree(), said.join("; "))
}

const DEFAULT: &str = "request\n  http\n    query\n";

#[test]
fn the_filter_of_spans_and_the_filters_of_lines_are_independent() {
    let said = Arc::new(Mutex::new(Vec::new()));
    diag::set_sink({
        let said = said.clone();
        move |_, message| said.lock().unwrap().push(message.to_owned())
    });
    macro_rules! ours {
        () => {
            telemark_tracing::builder().with_location(false).build()
        };
    }

    // A filter on the lines, below or above.
    let text = Lines::default();
    let warn = || EnvFilter::new("warn");
    let below = tracing_subscriber::registry().with(lines(&text).with_filter(warn())).with(ours!());
    assert_eq!(run(below, &text), (DEFAULT.to_owned(), "warn line".to_owned()));
    let text = Lines::default();
    let above = tracing_subscriber::registry().with(ours!()).with(lines(&text).with_filter(warn()));
    assert_eq!(run(above, &text), (DEFAULT.to_owned(), "warn line".to_owned()));
    let text = Lines::default();
    let level = tracing_subscriber::registry().with(lines(&text).with_filter(LevelFilter::WARN)).with(ours!());
    assert_eq!(run(level, &text), (DEFAULT.to_owned(), "warn line".to_owned()));

    // Without a filter on the lines, the layer's filter removes no lines.
    let text = Lines::default();
    let all = tracing_subscriber::registry().with(lines(&text)).with(ours!());
    assert_eq!(run(all, &text), (DEFAULT.to_owned(), "info line; warn line; debug line".to_owned()));

    // The missing parent was reported once.
    let messages = said.lock().unwrap().clone();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains(r#"removes "details""#) && messages[0].contains(r#""query""#), "{messages:?}");

    // A filter that is itself a layer filters for all.
    let text = Lines::default();
    let global = tracing_subscriber::registry().with(lines(&text)).with(ours!()).with(warn());
    assert_eq!(run(global, &text), (String::new(), "warn line".to_owned()));

    // Without other layers, a call site that is filtered out is disabled in `tracing` itself.
    let alone = tracing_subscriber::registry().with(ours!());
    tracing::subscriber::with_default(alone, || {
        assert!(!tracing::enabled!(tracing::Level::TRACE));
        assert!(trace_span!("trace").is_disabled());
        assert!(debug_span!("debug").is_disabled());
        assert!(!debug_span!(target: "tower_http::trace", "debug").is_disabled());
        assert!(!info_span!("info").is_disabled());
        assert_eq!(LevelFilter::current(), LevelFilter::DEBUG);
    });

    // The filter changes while the subscriber is in use.
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let text = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines(&text).with_filter(warn())).with(ours!());
    tracing::subscriber::with_default(subscriber, || {
        program();
        span_filter::set(SpanFilter::up_to(Level::Trace));
        program();
        span_filter::set("off,filters=debug".parse().unwrap());
        program();
        span_filter::set(SpanFilter::up_to(None));
        // At INFO, a parent passes through.
        assert!(debug_span!("off").is_disabled() && !info_span!("off").is_disabled());
        program();
        span_filter::set(SpanFilter::default());
        program();
    });
    let all = "request\n  http\n    details\n      query\n";
    let own = "request\n  details\n    query\n";
    assert_eq!(telemetry.tree(), [DEFAULT, all, own, DEFAULT].concat());

    // The context of a span that the filter removes is that of the nearest one that is kept.
    let text = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines(&text)).with(ours!());
    tracing::subscriber::with_default(subscriber, || {
        let kept = info_span!("kept");
        let removed = kept.in_scope(|| debug_span!("removed"));
        use opentelemetry::trace::TraceContextExt;
        let id = |span: &tracing::Span| span.context().span().span_context().span_id();
        assert_eq!(id(&removed), id(&kept));
        info_span!(parent: &removed, "below removed").in_scope(|| ());
    });
    assert!(telemetry.tree().ends_with("kept\n  below removed\n"), "{}", telemetry.tree());

    // A layer may have a filter of its own.
    let text = Lines::default();
    let filter = "warn,filters=trace".parse().unwrap();
    let own = tracing_subscriber::registry().with(lines(&text)).with(plain().with_span_filter(filter).build());
    assert_eq!(run(own, &text).0, "request\n  details\n    query\n");
}
