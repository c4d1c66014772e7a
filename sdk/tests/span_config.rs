//! Span settings from variables and from code: the filter, the signal in which exceptions are recorded, and baggage
//! entries that become attributes.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

use std::io;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{Span as _, SpanBuilder, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::baggage_attributes::BaggageAttributes;
use telemark_sdk::config::Env;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::instrument::spans::span;
use telemark_sdk::logs::active::with_logger_provider;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Logs;
use telemark_sdk::span_filter::{self, SpanFilter};
use telemark_sdk::testing::{InMemoryExporter, TestTelemetry, logs_text, tree};
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{ExceptionSignal, active};

/// Builds a telemetry from variables and from code, runs `scenario` in it, and returns the spans as text.
fn run(
    variables: &[(&str, &str)],
    configure: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder,
    scenario: impl FnOnce(),
) -> String {
    run_with_logs(variables, configure, scenario).0
}

/// As [`run`], but also returns the log records as text.
fn run_with_logs(
    variables: &[(&str, &str)],
    configure: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder,
    scenario: impl FnOnce(),
) -> (String, String) {
    let (spans, logs) = (InMemoryExporter::new(), InMemoryExporter::<Logs>::new());
    let builder = Telemetry::builder(Env::from_pairs(variables.iter().copied()));
    let builder = builder.with_span_exporter(spans.clone()).with_log_exporter(logs.clone());
    let telemetry = configure(builder.with_runtime(Runtime::Manual(ManualRuntime::new()))).build().unwrap();
    {
        let context = active::with_tracer(&Context::current(), telemetry.tracer("test"));
        let _guard = with_logger_provider(&context, telemetry.logger_provider().clone()).attach();
        scenario();
    }
    telemetry.tracer_provider().force_flush(Deadline::NEVER).unwrap();
    telemetry.logger_provider().force_flush(Deadline::NEVER).unwrap();
    (tree(&spans.items()), logs_text(&logs.items()))
}

fn fails() {
    _ = span("fails").try_in_scope(|| Err::<(), _>(io::Error::other("disk full")));
}

#[test]
fn the_signal_of_exceptions_comes_from_the_variable_unless_code_sets_it() {
    let status = "fails error[disk full] error.type=std::io::ErrorKind::Other\n";
    let event = "  * exception exception.type=std::io::ErrorKind::Other exception.message=disk full\n";
    let variable = |value| [("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", value)];
    let record = "ERROR (exception) exception.type=std::io::ErrorKind::Other exception.message=disk full\n".to_owned();
    let by_variable = |variables: &[(&str, &str)]| run_with_logs(variables, |builder| builder, fails);
    assert_eq!(by_variable(&[]), (format!("{status}{event}"), String::new()));
    assert_eq!(by_variable(&variable("logs")), (status.to_owned(), record.clone()));
    assert_eq!(by_variable(&variable("logs/dup")), (format!("{status}{event}"), record));
    let in_code = |builder: TelemetryBuilder| builder.with_exception_signal(ExceptionSignal::SpanEvents);
    let overridden = run_with_logs(&variable("logs"), in_code, fails);
    assert_eq!(overridden, (format!("{status}{event}"), String::new()));
}

#[test]
fn the_filter_comes_from_the_variable_unless_code_sets_it() {
    let variable = [("OTEL_RUST_SPANS", "warn,shop=debug")];
    _ = run(&variable, |builder| builder, || ());
    assert_eq!(span_filter::current().to_string(), "warn,shop=debug");
    _ = run(&[], |builder| builder, || ());
    assert_eq!(span_filter::current().to_string(), "warn,shop=debug", "a telemetry without a filter changes nothing");
    _ = run(&variable, |builder| builder.with_span_filter(SpanFilter::up_to(None)), || ());
    assert_eq!(span_filter::current().to_string(), "off");
}

fn in_baggage(scenario: impl FnOnce()) {
    let entries = [KeyValue::new("user.id", "u1"), KeyValue::new("tenant", "t1"), KeyValue::new("secret", "s1")];
    let _guard = Context::current_with_baggage(entries).attach();
    scenario();
}

#[test]
fn selected_baggage_is_copied_to_every_span_at_its_start() {
    let scenario = || {
        in_baggage(|| {
            span("outer").with("tenant", "own").in_scope(|| {
                span("inner").in_scope(|| ());
                span("root").with_new_root().in_scope(|| ());
            });
        });
        span("without").in_scope(|| ());
    };
    let expected = "outer tenant=own user.id=u1\n  inner tenant=t1 user.id=u1\nroot tenant=t1 user.id=u1\nwithout\n";
    let sorted = |tree: String| {
        let line = |line: &str| {
            let mut words: Vec<_> = line.trim_start().split(' ').collect();
            words[1..].sort_unstable();
            format!("{}{}\n", &line[..line.len() - line.trim_start().len()], words.join(" "))
        };
        tree.lines().map(line).collect::<String>()
    };
    let variable = [("OTEL_RUST_BAGGAGE_ATTRIBUTES", "user.*, tenant")];
    assert_eq!(sorted(run(&variable, |builder| builder, scenario)), expected);
    let in_code = |builder: TelemetryBuilder| builder.with_baggage_attributes(BaggageAttributes::new(["user.id"]));
    let tree = run(&variable, in_code, scenario);
    assert_eq!(tree, "outer tenant=own user.id=u1\n  inner user.id=u1\nroot user.id=u1\nwithout\n");
    let tree = run(&[], |builder| builder, scenario);
    assert_eq!(tree, "outer tenant=own\n  inner\nroot\nwithout\n", "off by default");
}

#[test]
fn spans_of_libraries_get_baggage_too() {
    let selected = BaggageAttributes::new(["user.id"]);
    let telemetry = TestTelemetry::with(|builder| builder.with_baggage_attributes(selected));
    in_baggage(|| {
        let parent = Context::current();
        let tracer = telemetry.tracer("library");
        tracer.build_with_context(SpanBuilder::from_name("library"), &parent).end();
        let parent = parent.with_span(tracer.start_with_context("parent", &parent));
        tracer.start_with_context("child", &parent).end();
    });
    assert_eq!(telemetry.tree(), "library user.id=u1\nparent user.id=u1\n  child user.id=u1\n");
}
