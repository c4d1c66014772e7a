//! A parent that is set while the program has disabled everything. A test of its own, because it needs the telemetry of a program.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use support::{dispatch, plain};
use telemark_sdk::config::Env;
use telemark_sdk::install::{Control, Telemetry};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Traces;
use telemark_sdk::testing::InMemoryExporter;
use telemark_sdk::time::Deadline;
use telemark_tracing::OpenTelemetrySpanExt;
use tracing::info_span;

#[test]
fn a_parent_that_is_set_during_a_pause_is_that_of_the_span() {
    let exporter = InMemoryExporter::<Traces>::new();
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test")]))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_span_exporter(exporter.clone())
        .init()
        .unwrap();
    let control = telemetry.control();
    let trace = TraceId::from(0xabc_u128);
    let remote = SpanContext::new(trace, SpanId::from(0xdef_u64), TraceFlags::SAMPLED, true, TraceState::NONE);
    let parent = Context::new().with_remote_span_context(remote);
    let pauses: [fn(&Control, bool); 2] = [
        |control, is_enabled| if is_enabled { control.enable() } else { control.disable() },
        |control, is_enabled| control.set_traces_enabled(is_enabled),
    ];
    tracing::dispatcher::with_default(&dispatch(plain()), || {
        for pause in pauses {
            let span = info_span!("before", number = 7);
            pause(&control, false);
            assert_eq!(span.set_parent(parent.clone()), Ok(()));
            span.in_scope(|| drop(info_span!("during")));
            pause(&control, true);
            span.in_scope(|| drop(info_span!("after")));
        }
    });
    telemetry.force_flush(Deadline::NEVER).unwrap();
    let spans = exporter.items();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["after", "before", "after", "before"]);
    for span in spans {
        assert_eq!(span.context.trace_id(), trace, "{}", span.name);
    }
}
