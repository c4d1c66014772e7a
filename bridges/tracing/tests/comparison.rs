//! The rows of docs/coming-from-tracing-opentelemetry.md: one program under both layers, on the same tracer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{KeyValue, Value};
use support::dispatch;
use telemark_sdk::instrument::spans::span;
use telemark_sdk::testing::TestTelemetry;
use tracing::field::Empty;
use tracing::{Dispatch, debug_span, error, info, info_span};
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload;

/// Returns the spans as text that shows the types of values: strings have quotes.
fn text(telemetry: &TestTelemetry) -> String {
    let mut text = String::new();
    for span in telemetry.spans() {
        write!(text, "{}", span.name).unwrap();
        if span.kind != SpanKind::Internal {
            write!(text, " {:?}", span.kind).unwrap();
        }
        if span.status != Status::Unset {
            write!(text, " {:?}", span.status).unwrap();
        }
        attributes(&mut text, &mut span.own_attributes.iter());
        for event in span.events.iter() {
            write!(text, " * {}", event.name).unwrap();
            attributes(&mut text, &mut event.attributes.iter());
        }
        if !span.links.is_empty() {
            write!(text, " {} links", span.links.len()).unwrap();
        }
        text.push_str("; ");
    }
    text.trim_end_matches("; ").to_owned()
}

fn attributes(text: &mut String, attributes: &mut dyn Iterator<Item = &KeyValue>) {
    for attribute in attributes {
        write!(text, " {}=", attribute.key).unwrap();
        match &attribute.value {
            Value::String(own) => write!(text, "{:?}", own.as_str()).unwrap(),
            own => write!(text, "{own}").unwrap(),
        }
    }
}

type TheirLayer<S> = tracing_opentelemetry::OpenTelemetryLayer<S, telemark_sdk::trace::SdkTracer>;

fn their_layer<S>(telemetry: &TestTelemetry) -> TheirLayer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(telemetry.tracer("theirs"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
}

/// Runs a program with tracing-opentelemetry's layer and with Telemark's.
fn both(program: impl Fn()) -> [TestTelemetry; 2] {
    [true, false].map(|theirs| {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let dispatch = if theirs {
            Dispatch::new(tracing_subscriber::registry().with(their_layer(&telemetry)))
        } else {
            dispatch(telemark_tracing::builder().with_location(false))
        };
        tracing::dispatcher::with_default(&dispatch, &program);
        telemetry
    })
}

#[track_caller]
fn check(program: impl Fn(), theirs: &str, ours: &str) {
    let [of_theirs, of_ours] = both(program);
    assert_eq!(text(&of_theirs), theirs, "theirs");
    assert_eq!(text(&of_ours), ours, "ours");
}

#[track_caller]
fn check_same(program: impl Fn(), expected: &str) {
    check(program, expected, expected);
}

#[test]
fn unsigned_and_wide_integers() {
    check(
        || drop(info_span!("a", n = 7_u64, beyond = u64::MAX, wide = 7_i128)),
        r#"a n="7" beyond="18446744073709551615" wide="7""#,
        r#"a n=7 beyond="18446744073709551615" wide=7"#,
    );
}

#[test]
fn other_types() {
    check_same(
        || drop(info_span!("a", n = -7, f = 0.5, b = true, s = "t", d = ?Some(1), e = Empty)),
        r#"a n=-7 f=0.5 b=true s="t" d="Some(1)""#,
    );
    check(|| drop(info_span!("a", b = &[0xde_u8, 1][..])), r#"a b="[de 01]""#, r#"a b="de01""#);
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot read")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn failure() -> Outer {
    Outer("x".parse::<u8>().unwrap_err())
}

#[test]
fn errors_as_fields() {
    check(
        || {
            let error = failure();
            drop(info_span!("a", error = &error as &(dyn std::error::Error + 'static)));
        },
        "a exception.message=\"cannot read\" exception.stacktrace=[\"invalid digit found in string\"] \
         error=\"cannot read\" error.chain=[\"invalid digit found in string\"]",
        "a error=\"cannot read\" * exception exception.message=\"cannot read: invalid digit found in string\"",
    );
}

#[test]
fn fields_with_a_meaning_at_creation() {
    check_same(|| drop(info_span!("a", otel.name = "b", otel.kind = "server", otel.status_code = "OK")), "b Server Ok");
    check_same(|| drop(info_span!("a", otel.status_description = "late")), r#"a Error { description: "late" }"#);
}

#[test]
fn the_older_field_of_the_status() {
    check(
        || drop(info_span!("a", otel.status_code = "ERROR", otel.status_message = "late")),
        r#"a Error { description: "" } otel.status_message="late""#,
        r#"a Error { description: "late" }"#,
    );
}

#[test]
fn fields_with_a_meaning_recorded_in_the_span() {
    check(
        || {
            let span = info_span!("a", otel.name = Empty, otel.kind = Empty, n = Empty);
            span.in_scope(|| {
                span.record("otel.name", "b").record("otel.kind", "client").record("n", 1);
            });
        },
        "a n=1",
        "b Client n=1",
    );
    check(
        || {
            let span = info_span!("a", otel.status_description = "late", otel.status_code = Empty);
            span.in_scope(|| {
                span.record("otel.status_code", "ERROR");
            });
        },
        r#"a Error { description: "" }"#,
        r#"a Error { description: "late" }"#,
    );
}

#[test]
fn parents_links_and_orders() {
    check_same(
        || {
            let a = info_span!("a");
            let b = a.in_scope(|| info_span!(parent: None, "b"));
            let c = info_span!(parent: &a, "c");
            c.follows_from(&b);
            c.in_scope(|| drop(info_span!("d")));
        },
        "d; c 1 links; b; a",
    );
}

#[test]
fn what_every_span_has() {
    let keys = |telemetry: &TestTelemetry| {
        let spans = telemetry.spans();
        let keys: Vec<_> = spans[0].attributes().map(|attribute| attribute.key.to_string()).collect();
        (spans[0].scope.name().to_owned(), keys.join(" "))
    };
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let layer = tracing_opentelemetry::layer().with_tracer(telemetry.tracer("theirs"));
    let program = || info_span!(target: "shop::cart", "a").in_scope(|| ());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), program);
    let all = "code.file.path code.module.name code.line.number thread.id thread.name target busy_ns idle_ns";
    assert_eq!(keys(&telemetry), ("theirs".to_owned(), all.to_owned()));
    let ours = support::run(telemark_tracing::builder(), program);
    assert_eq!(keys(&ours), ("shop::cart".to_owned(), "code.file.path code.line.number".to_owned()));
}

#[test]
fn levels_without_a_filter() {
    check(
        || {
            debug_span!("a").in_scope(|| {
                debug_span!(target: "tower_http::trace::make_span", "b").in_scope(|| drop(info_span!("c")));
            });
        },
        "c; b; a",
        "c; b",
    );
}

#[test]
fn events() {
    let program = || {
        info_span!("a").in_scope(|| {
            info!(n = 1, "said");
            span("by hand").in_scope(|| info!("by hand"));
        });
    };
    let [theirs, ours] = both(program);
    let events = r#"* said level="INFO" target="comparison" n=1 * by hand level="INFO" target="comparison""#;
    assert_eq!(text(&theirs), format!("by hand; a {events}"));
    assert_eq!((text(&ours).as_str(), ours.logs().as_str()), ("by hand; a", "INFO said n=1\nINFO by hand\n"));
    let ours = support::run(support::plain().with_events_as_span_events(true), program);
    let event = |name| format!(r#"* {name} level="INFO" target="comparison""#);
    assert_eq!(text(&ours), format!("by hand {}; a {} n=1", event("by hand"), event("said")));
}

#[test]
fn errors_as_events() {
    #[tracing::instrument(err, skip_all)]
    fn fails() -> Result<(), Outer> {
        Err(failure())
    }
    check(
        || drop(fails()),
        "fails Error { description: \"cannot read\" } * exception level=\"ERROR\" target=\"comparison\" \
         exception.message=\"cannot read\"",
        "fails Error { description: \"cannot read\" } * exception exception.message=\"cannot read\"",
    );
    check(
        || info_span!("a").in_scope(|| error!("no")),
        r#"a Error { description: "" } * no level="ERROR" target="comparison""#,
        r#"a Error { description: "" }"#,
    );
    check(
        || info_span!("a").in_scope(|| span("by hand").in_scope(|| error!("no"))),
        r#"by hand; a Error { description: "" } * no level="ERROR" target="comparison""#,
        "by hand; a",
    );
}

#[test]
fn an_error_that_bubbles_up() {
    #[tracing::instrument(err, skip_all)]
    fn inner(reason: &str) -> Result<(), String> {
        Err(reason.to_owned())
    }
    #[tracing::instrument(err, skip_all)]
    fn outer() -> Result<(), String> {
        // A handled error, then another one.
        drop(inner("no cache"));
        inner("no disk").map_err(|error| format!("cannot save: {error}"))
    }
    let span = |name: &str, message: &str| format!("{name} Error {{ description: {message:?} }}");
    let theirs =
        |message: &str| format!(" * exception level=\"ERROR\" target=\"comparison\" exception.message={message:?}");
    let own = |message: &str| format!(" * exception exception.message={message:?}");
    let (cache, disk, save) = ("no cache", "no disk", "cannot save: no disk");
    check(
        || drop(outer()),
        &[cache, disk]
            .map(|m| span("inner", m) + &theirs(m))
            .into_iter()
            .chain([span("outer", save) + &theirs(save)])
            .collect::<Vec<_>>()
            .join("; "),
        &[cache, disk]
            .map(|m| span("inner", m) + &own(m))
            .into_iter()
            .chain([span("outer", save)])
            .collect::<Vec<_>>()
            .join("; "),
    );
}

fn remote(telemetry: &TestTelemetry) -> opentelemetry::Context {
    let (trace, span) = (TraceId::from(0xabc_u128), SpanId::from(0xdef_u64));
    let remote = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    telemetry.context().with_remote_span_context(remote)
}

/// Sets a remote parent, before or after entering the span. Returns whether that worked, with both layers.
fn set_parent(entered: bool, behind_reload: bool) -> [bool; 2] {
    let set = |dispatch: Dispatch, set: &dyn Fn(&tracing::Span) -> bool| {
        tracing::dispatcher::with_default(&dispatch, || {
            let span = info_span!("a");
            let _entered = entered.then(|| span.enter());
            set(&span)
        })
    };
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let parent = remote(&telemetry);
    let theirs = if behind_reload {
        Dispatch::new(tracing_subscriber::registry().with(reload::Layer::new(their_layer(&telemetry)).0))
    } else {
        Dispatch::new(tracing_subscriber::registry().with(their_layer(&telemetry)))
    };
    let ours = if behind_reload {
        Dispatch::new(tracing_subscriber::registry().with(reload::Layer::new(telemark_tracing::layer()).0))
    } else {
        Dispatch::new(tracing_subscriber::registry().with(telemark_tracing::layer()))
    };
    [
        set(theirs, &|span| tracing_opentelemetry::OpenTelemetrySpanExt::set_parent(span, parent.clone()).is_ok()),
        set(ours, &|span| telemark_tracing::OpenTelemetrySpanExt::set_parent(span, parent.clone()).is_ok()),
    ]
}

#[test]
fn a_remote_parent() {
    assert_eq!(set_parent(false, false), [true, true]);
    assert_eq!(set_parent(true, false), [false, true], "after entering");
    assert_eq!(set_parent(false, true), [false, true], "behind reload");
}

#[test]
fn the_context_of_a_span_that_a_filter_removes() {
    let is_known = std::cell::RefCell::new(Vec::new());
    let program = || {
        span("around").in_scope(|| {
            let removed = tracing::trace_span!("removed");
            let theirs = tracing_opentelemetry::OpenTelemetrySpanExt::context(&removed);
            let ours = telemark_tracing::OpenTelemetrySpanExt::context(&removed);
            is_known.borrow_mut().push([theirs, ours].map(|context| context.span().span_context().is_valid()));
        });
    };
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let filter = tracing_subscriber::filter::LevelFilter::INFO;
    let theirs = tracing_subscriber::registry().with(their_layer(&telemetry)).with(filter);
    tracing::subscriber::with_default(theirs, program);
    tracing::dispatcher::with_default(&dispatch(telemark_tracing::builder()), program);
    assert_eq!(is_known.into_inner(), [[false, true], [false, true]]);
}

/// Runs a program in which something panics, and returns whether the program survived.
fn survives(dispatch: &Dispatch, program: impl Fn()) -> bool {
    catch_unwind(AssertUnwindSafe(|| tracing::dispatcher::with_default(dispatch, program))).is_ok()
}

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Debug")
    }
}

#[test]
fn a_panic_in_a_value_and_a_layer_that_is_used_twice() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let theirs = || their_layer(&telemetry);
    let panics = || drop(info_span!("a", value = ?Panics));
    assert!(!survives(&Dispatch::new(tracing_subscriber::registry().with(theirs())), panics));
    assert!(survives(&dispatch(telemark_tracing::builder()), panics));

    let usual = || drop(info_span!("a"));
    let twice = tracing_subscriber::registry().with(their_layer(&telemetry)).with(their_layer(&telemetry));
    assert!(!survives(&Dispatch::new(twice), usual));
    let ours = tracing_subscriber::registry().with(telemark_tracing::layer()).with(telemark_tracing::layer());
    assert!(survives(&Dispatch::new(ours), usual));
}

#[test]
fn metrics_from_events() {
    let program = || {
        info!(monotonic_counter.orders = 1, kind = "web");
        info!(monotonic_counter.orders = 2_u64, kind = "web");
        info!(counter.open = -1);
        info!(gauge.level = 0.5);
        info!(histogram.size = 7_u64);
        info!(histogram.whole = 7, "the message is no attribute");
    };
    let [theirs, ours] = [true, false].map(|is_theirs| {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let dispatch = if is_theirs {
            let layer = tracing_opentelemetry::MetricsLayer::new(telemetry.meter_provider().clone());
            Dispatch::new(tracing_subscriber::registry().with(layer))
        } else {
            Dispatch::new(tracing_subscriber::registry().with(telemark_tracing::metrics_layer()))
        };
        tracing::dispatcher::with_default(&dispatch, program);
        telemetry.metrics()
    });
    let whole: Vec<_> = ours.lines().filter(|line| !theirs.contains(*line)).collect();
    assert!(theirs.contains("orders") && theirs.contains("size") && !theirs.contains("whole"), "{theirs}");
    assert!(whole.iter().any(|line| line.contains("whole")), "{ours}");
    for name in ["orders", "open", "level", "size"] {
        let of = |text: &str| text.lines().filter(|line| line.contains(name)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(of(&theirs), of(&ours), "{name}");
    }
}
