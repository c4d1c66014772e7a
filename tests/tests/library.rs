//! A library with `#[traced]` in a program whose global provider comes from `opentelemetry_sdk`. There is only one test,
//! because the provider is global.

#![allow(clippy::unwrap_used, clippy::panic, reason = "panics are what is tested")]

use std::cell::Cell;
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer};
use opentelemetry::{Context, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};
use telemark::traced;
use telemark_sdk::testing::TestTelemetry;

thread_local!(static EVALUATED: Cell<u32> = const { Cell::new(0) });

fn evaluated(n: i64) -> i64 {
    EVALUATED.set(EVALUATED.get() + 1);
    n
}

#[traced(kind = client, fields(n = evaluated(n)))]
fn outer(n: i64) -> Result<(), std::io::Error> {
    telemark::set_attribute("by.hand", true);
    telemark::span("by hand").in_scope(inner);
    Err(std::io::ErrorKind::TimedOut.into())
}

#[traced(code = off)]
fn inner() {
    telemark::record_error("broken");
}

#[traced]
async fn future() -> u32 {
    7
}

#[traced]
fn panics() {
    panic!("on purpose")
}

#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}
    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Ended {
    fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn line(span: &SpanData) -> String {
    let mut attributes: Vec<_> = span
        .attributes
        .iter()
        .filter(|attribute| !["code.file.path", "code.line.number"].contains(&attribute.key.as_str()))
        .map(|attribute| format!(" {}={}", attribute.key, attribute.value))
        .collect();
    attributes.sort();
    let scope = span.instrumentation_scope.name();
    format!("{} {:?} {:?} in {scope}{}", span.name, span.span_kind, span.status, attributes.concat())
}

#[test]
fn a_library_records_on_the_global_tracer_if_it_is_told_to() {
    let ended = Ended::default();
    let lines = || -> Vec<_> { ended.take().iter().map(line).collect() };
    telemark_sdk::instrument::spans::use_global_tracer();
    inner();
    assert!(!Context::current().has_active_span(), "there is no provider yet");

    let provider = SdkTracerProvider::builder().with_span_processor(ended.clone()).build();
    global::set_tracer_provider(provider.clone());
    outer(3).unwrap_err();
    assert_eq!(
        lines(),
        [
            "inner Internal Error { description: \"broken\" } in telemark-tests error.type=str",
            "by hand Internal Unset in telemark",
            "outer Client Error { description: \"timed out\" } in telemark-tests by.hand=true \
             code.function.name=library::outer error.type=std::io::ErrorKind::TimedOut n=3",
        ]
    );
    assert_eq!(EVALUATED.replace(0), 1);

    // The program's span is the parent of the library's.
    let in_program = global::tracer("program").in_span("program", |context| {
        let poll = pin!(future()).poll(&mut TaskContext::from_waker(Waker::noop()));
        assert_eq!(poll, Poll::Ready(7));
        context.span().span_context().span_id()
    });
    let spans = ended.take();
    assert_eq!((spans[0].name.as_ref(), spans[0].parent_span_id), ("future", in_program));

    assert!(catch_unwind(panics).is_err());
    let panicked = lines();
    assert!(panicked[0].starts_with("panics Internal Error { description: \"panic\" }"), "{panicked:?}");

    // An unsampled call does not evaluate any fields.
    let remote = SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::default(), true, TraceState::NONE);
    {
        let _guard = Context::new().with_remote_span_context(remote).attach();
        outer(3).unwrap_err();
        telemark::suppress(|| outer(3)).unwrap_err();
    }
    telemark::suppress(|| outer(3)).unwrap_err();
    assert_eq!((lines().len(), EVALUATED.get()), (0, 0));

    // Attached Telemark telemetry takes precedence.
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        inner();
    }
    assert_eq!(
        telemetry.tree(),
        "inner error[broken] error.type=str\n  * exception exception.type=str exception.message=broken\n"
    );
    assert_eq!(lines().len(), 0);
}
