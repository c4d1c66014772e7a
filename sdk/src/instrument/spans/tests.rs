//! Tests of manually created spans, and of functions that modify the current span.

use std::borrow::Cow;
use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Waker};
use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};

use super::*;
use crate::trace::{Scope, SdkTracerProvider, SpanData, SpanProcessor, active};

#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Recorder {
    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }
}

/// Compares the spans that end during `scenario`, one per line, with the expected text.
#[track_caller]
fn check(scenario: impl FnOnce(), expected: &[&str]) {
    let recorder = Recorder::default();
    let provider = SdkTracerProvider::builder().with_processor(recorder.clone()).build();
    let tracer = provider.tracer_in(Scope::from(InstrumentationScope::builder("test").build()));
    {
        let _guard = active::with_tracer(&Context::new(), tracer).attach();
        scenario();
    }
    let line = |span: &SpanData| {
        let attributes: Vec<_> = span.attributes().map(|a| format!("{}={}", a.key, a.value)).collect();
        let events: Vec<_> = span.events.iter().map(|event| format!("!{}", event.name)).collect();
        let parent = if span.parent_span_id == SpanId::INVALID { "root" } else { "child" };
        let status = match &span.status {
            Status::Error { description } => format!(" [{description}]"),
            _ => String::new(),
        };
        let all = [format!("{parent} {:?} {}{status}", span.kind, span.name)];
        all.into_iter().chain(attributes).chain(events).collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<_> = recorder.0.lock().unwrap().iter().map(line).collect();
    assert_eq!(lines, expected);
}

fn poll<F: Future>(future: F) -> bool {
    std::pin::pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())).is_ready()
}

#[test]
fn spans_are_built_entered_and_filled() {
    check(
        || {
            let outer = span("outer").with_kind(SpanKind::Server).with("n", 1).with("none", None::<u8>).enter();
            span(String::from("inner")).in_scope(|| set_attribute("text", "x"));
            add_event("happened", []);
            record_error(&std::fmt::Error);
            drop(outer);
            set_attribute("nowhere", 1);
        },
        &[
            "child Internal inner text=x",
            "root Server outer [an error occurred when formatting an argument] n=1 error.type=core::fmt::Error !happened !exception",
        ],
    );
}

#[test]
fn futures_run_in_spans_and_say_when_they_are_dropped() {
    check(
        || {
            assert!(poll(span("ready").run(async { set_attribute("inside", true) })));
            assert!(!poll(std::future::pending::<()>().in_span(span("pending"))));
            drop(std::future::ready(()).in_span(span("unpolled")));
        },
        &[
            "root Internal ready inside=true",
            "root Internal pending telemark.outcome=cancelled",
            "root Internal unpolled telemark.outcome=cancelled",
        ],
    );
}

#[test]
fn the_parent_and_the_links_can_be_chosen() {
    let remote =
        SpanContext::new(TraceId::from(7u128), SpanId::from(8u64), TraceFlags::SAMPLED, true, TraceState::NONE);
    check(
        || {
            span("continued").with_parent(&remote).in_scope(|| ());
            let _outer = span("outer").with_link(remote.clone()).enter();
            span("fresh").with_new_root().in_scope(|| ());
        },
        &["child Internal continued", "root Internal fresh", "root Internal outer"],
    );
}

#[test]
fn the_try_methods_record_errors_and_the_others_do_not() {
    let parse = || "x".parse::<u16>();
    let boxed = || parse().map_err(Box::<dyn Error + Send + Sync>::from);
    let error = "[invalid digit found in string] error.type=";
    check(
        || {
            assert!(span("scope").try_in_scope(parse).is_err());
            assert!(span("plain").in_scope(parse).is_err());
            assert_eq!(span("fine").try_in_scope(|| "7".parse::<u16>()), Ok(7));
            assert!(poll(span("future").try_run(async { boxed() })));
            assert!(poll(async { parse() }.try_in_span(span("in span"))));
            assert!(span("text").try_in_scope(|| Err::<(), _>(String::from("no"))).is_err());
        },
        &[
            &format!("root Internal scope {error}core::num::error::ParseIntError !exception"),
            "root Internal plain",
            "root Internal fine",
            &format!("root Internal future {error}ParseIntError !exception"),
            &format!("root Internal in span {error}core::num::error::ParseIntError !exception"),
            "root Internal text [no] error.type=alloc::string::String !exception",
        ],
    );
}

#[test]
fn errors_of_every_kind_can_be_recorded() {
    #[track_caller]
    fn of<E: RecordError<Kind> + ?Sized, Kind>(error: &E, error_type: &str) {
        let expected = format!("root Internal span [disk full] error.type={error_type} !exception");
        check(|| span("span").in_scope(|| record_error(error)), &[&expected]);
    }
    let full = || std::io::Error::other("disk full");
    let shared: Box<dyn Error + Send + Sync> = full().into();
    let unshared: Box<dyn Error> = full().into();
    let kind = "std::io::ErrorKind::Other";
    of(&full(), kind);
    of(&&full(), kind);
    of(&Box::new(full()), kind);
    of(&shared, kind);
    of(&*shared, kind);
    of(&unshared, kind);
    of(&*unshared, kind);
    of("disk full", "str");
    of(&String::from("disk full"), "alloc::string::String");
    of(&format_args!("disk {}", "full"), "core::fmt::Arguments");
}

#[test]
fn a_span_of_another_provider_gets_the_error_too() {
    #[derive(Debug, Default)]
    struct Foreign(Arc<Mutex<Vec<String>>>);
    impl Span for Foreign {
        fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>)
        where
            T: Into<Cow<'static, str>>,
        {
        }
        fn span_context(&self) -> &SpanContext {
            &SpanContext::NONE
        }
        fn is_recording(&self) -> bool {
            true
        }
        fn set_attribute(&mut self, attribute: KeyValue) {
            self.0.lock().unwrap().push(format!("{}={}", attribute.key, attribute.value));
        }
        fn set_status(&mut self, status: Status) {
            self.0.lock().unwrap().push(format!("{status:?}"));
        }
        fn update_name<T>(&mut self, _: T)
        where
            T: Into<Cow<'static, str>>,
        {
        }
        fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}
        fn end_with_timestamp(&mut self, _: SystemTime) {}
    }
    let told = Foreign::default();
    let log = told.0.clone();
    let guard = Context::new().with_span(told).attach();
    record_error("broken");
    drop(guard);
    // The status is unset, so the error is left to Telemark's own spans; other spans ignore it.
    assert_eq!(*log.lock().unwrap(), ["Unset", "error.type=str", r#"Error { description: "broken" }"#]);
    check(|| span("later").in_scope(|| set_attribute("n", 1)), &["root Internal later n=1"]);
}

#[test]
fn contexts_travel_with_closures_and_futures() {
    check(
        || {
            let (work, future) = span("outer").in_scope(|| {
                (propagate_fn(|| span("closure").in_scope(|| ())), propagate(async { drop(span("future").enter()) }))
            });
            work();
            assert!(poll(future));
        },
        &["root Internal outer", "child Internal closure", "child Internal future"],
    );
}

#[test]
fn suppressed_code_has_no_spans() {
    check(
        || {
            suppress(|| span("a").in_scope(|| ()));
            assert!(poll(suppress_future(async { span("b").in_scope(|| ()) })));
            span("c").in_scope(|| ());
        },
        &["root Internal c"],
    );
}

#[test]
fn a_span_without_a_tracer_does_nothing() {
    let _span = span("nowhere").with("key", "value").enter();
    set_attribute("key", 1);
    record_error("nobody sees it");
    assert!(poll(span("nowhere").run(async {})));
}
