//! Events as log records.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fmt;
use std::time::Duration;

use opentelemetry::trace::{SpanId, TraceContextExt};
use support::{dispatch, plain, run, run_in};
use telemark_sdk::control::Configurator;
use telemark_sdk::instrument::spans::{self, span};
use telemark_sdk::logs::{LoggerConfig, SdkLogRecord};
use telemark_sdk::sampling::AlwaysOff;
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::trace::ExceptionSignal;
use telemark_tracing::{LayerBuilder, OpenTelemetrySpanExt};
use tracing::callsite::Callsite;
use tracing::field::Empty;
use tracing::{debug, error, info, info_span, trace, warn};

#[track_caller]
fn check(program: impl FnOnce(), expected: &str) {
    assert_eq!(run(plain(), program).logs(), expected);
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
fn events_become_records_of_their_severity_and_types() {
    check(
        || {
            trace!("a");
            debug!("b");
            info!(n = 7_u64, beyond = u64::MAX, float = 0.5, flag = true, text = "t", debugged = ?Some(1), "c");
            warn!(bytes = &[1_u8, 2][..]);
            error!(wide = 7_i128, "e {}", 1);
            tracing::event!(name: "order.placed", tracing::Level::INFO, order.id = 7);
        },
        "TRACE a\nDEBUG b\nINFO c n=7 beyond=18446744073709551615 float=0.5 flag=true text=t debugged=Some(1)\n\
         WARN bytes=[1, 2]\nERROR e 1 wide=7\nINFO (order.placed) order.id=7\n",
    );
}

#[test]
fn errors_are_exceptions_with_their_causes() {
    let error = failure();
    let error: &(dyn std::error::Error + 'static) = &error;
    check(
        || error!(error, "not read"),
        "ERROR not read exception.message=cannot read: invalid digit found in string error=cannot read\n",
    );
    #[tracing::instrument(err, skip_all)]
    fn fails() -> Result<(), Outer> {
        Err(failure())
    }
    check(|| drop(fails()), "ERROR cannot read error=cannot read exception.message=cannot read\n");
}

#[test]
fn keys_are_unique_whatever_the_fields_of_an_event() {
    let error = failure();
    let error: &(dyn std::error::Error + 'static) = &error;
    check(|| info!(a = 1, b = 2, a = 3, "twice"), "INFO twice a=3 b=2\n");
    check(
        || info!(cause = error, exception.message = "own", "both"),
        "INFO both exception.message=own cause=cannot read\n",
    );
    check(
        || info!(exception.message = "own", cause = error, "both"),
        "INFO both exception.message=own cause=cannot read\n",
    );
    check(
        || info!(cause = error, n = 1),
        "INFO cannot read: invalid digit found in string \
         exception.message=cannot read: invalid digit found in string cause=cannot read n=1\n",
    );
    // The values of a field may come twice, and in any order, if no macro has made the event.
    let repeated = || {
        let site = tracing::callsite! { name: "repeated", kind: tracing::metadata::Kind::EVENT, fields: a, b };
        let fields = site.metadata().fields();
        let (a, b) = (fields.field("a").unwrap(), fields.field("b").unwrap());
        let value = |value: &'static i64| Some(value as &dyn tracing::field::Value);
        let values = [(&b, value(&1)), (&a, value(&2)), (&b, value(&3))];
        tracing::Event::dispatch(site.metadata(), &fields.value_set(&values));
    };
    check(repeated, "TRACE (repeated) b=3 a=2\n");
}

#[test]
fn a_message_is_that_of_its_event_whether_it_is_constant_or_not() {
    let log = |n: u64, text: &str| {
        info!(n, "placed");
        info!("{text}");
        info!("placed {n}");
        info!(message = text);
    };
    let expected = |n: u64, text: &str| format!("INFO placed n={n}\nINFO {text}\nINFO placed {n}\nINFO {text}\n");
    let messages = [(1, "a"), (2, "b"), (1, "a"), (3, ""), (3, "a")];
    check(
        || messages.iter().for_each(|(n, text)| log(*n, text)),
        &messages.map(|(n, text)| expected(n, text)).concat(),
    );
}

#[test]
fn exceptions_follow_the_selected_signal() {
    #[tracing::instrument(err, skip_all)]
    fn fails() -> Result<(), Outer> {
        Err(failure())
    }
    fn field() {
        let error = failure();
        let span = info_span!("a", early = &error as &(dyn std::error::Error + 'static), late = Empty);
        span.record("late", &error as &(dyn std::error::Error + 'static));
    }
    let run = |signal, builder: LayerBuilder, program: fn()| {
        let telemetry = TestTelemetry::with(|builder| builder.with_exception_signal(signal));
        let telemetry = run_in(telemetry, builder, program);
        let spans = telemetry.spans();
        let ids = |record: &SdkLogRecord| record.trace_context().map(|context| context.span_id);
        assert!(telemetry.log_records().iter().all(|record| ids(record) == Some(spans[0].context.span_id())));
        let names: Vec<_> = spans[0].events.iter().map(|event| event.name.to_string()).collect();
        (names.join(" "), telemetry.logs())
    };
    let text = |names: &str, logs: &str| (names.to_owned(), logs.to_owned());
    let returned = || drop(fails());
    let record = "ERROR (exception) cannot read error=cannot read exception.message=cannot read\n";
    let unnamed = "ERROR cannot read error=cannot read exception.message=cannot read\n";
    assert_eq!(run(ExceptionSignal::SpanEvents, plain(), returned), text("exception", unnamed));
    assert_eq!(run(ExceptionSignal::Logs, plain(), returned), text("", record));
    assert_eq!(run(ExceptionSignal::SpanEventsAndLogs, plain(), returned), text("exception", record));

    // The variable also counts if events do not become records.
    let no_records = || plain().with_events_as_log_records(false);
    let exception = "ERROR (exception) exception.message=cannot read\n";
    assert_eq!(run(ExceptionSignal::SpanEvents, no_records(), returned), text("exception", ""));
    assert_eq!(run(ExceptionSignal::Logs, no_records(), returned), text("", exception));
    assert_eq!(run(ExceptionSignal::SpanEventsAndLogs, no_records(), returned), text("exception", exception));

    // The same error in two fields is one exception.
    let causes = "ERROR (exception) exception.message=cannot read: invalid digit found in string\n";
    assert_eq!(run(ExceptionSignal::SpanEvents, plain(), field), text("exception", ""));
    assert_eq!(run(ExceptionSignal::Logs, plain(), field), text("", causes));
    assert_eq!(run(ExceptionSignal::SpanEventsAndLogs, plain(), field), text("exception", causes));
}

/// spec: semconv exceptions/exceptions-logs.md
#[test]
fn exceptions_of_a_client_are_warnings() {
    for (kind, severity) in
        [("client", "WARN"), ("producer", "WARN"), ("server", "ERROR"), ("consumer", "ERROR"), ("internal", "ERROR")]
    {
        let telemetry = TestTelemetry::with(|builder| builder.with_exception_signal(ExceptionSignal::Logs));
        let telemetry = run_in(telemetry, plain(), || {
            let error = failure();
            info_span!("a", otel.kind = kind, error = &error as &(dyn std::error::Error + 'static));
        });
        let message = "exception.message=cannot read: invalid digit found in string";
        assert_eq!(telemetry.logs(), format!("{severity} (exception) {message}\n"), "{kind}");
    }
}

#[test]
fn a_record_has_its_own_time_its_scope_and_the_span_that_was_current() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let mut ids = Vec::new();
    tracing::dispatcher::with_default(&dispatch(plain()), || {
        let id = |span: &tracing::Span| span.context().span().span_context().span_id();
        let (a, b) = (info_span!("a"), info_span!("b"));
        a.in_scope(|| {
            info!(target: "shop::cart", "in a");
            ids.push(id(&a));
            telemetry.clock.advance(Duration::from_secs(1));
            info!(parent: &b, "in b");
            ids.push(id(&b));
            span("by hand").in_scope(|| {
                info!("by hand");
                ids.push(spans::current_span_context().span_id());
            });
            info!(parent: None, "nowhere");
            ids.push(SpanId::INVALID);
            spans::suppress(|| info!("suppressed"));
        });
    });
    let records = telemetry.log_records();
    let of_records: Vec<_> =
        records.iter().map(|record| record.trace_context().map_or(SpanId::INVALID, |trace| trace.span_id)).collect();
    assert_eq!(of_records, ids);
    assert_eq!(records[0].scope().name(), "shop::cart");
    let times: Vec<_> = records.iter().map(|record| record.timestamp().unwrap()).collect();
    assert_eq!(times[1].since(times[0]), Duration::from_secs(1));
    assert!(records.iter().all(|record| record.observed_timestamp() == record.timestamp()));
}

#[test]
fn records_are_made_below_spans_that_are_not_sampled() {
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(AlwaysOff));
    let _attached = telemetry.attach();
    let builder = plain().with_span_fields_on_records(["id"]);
    tracing::dispatcher::with_default(&dispatch(builder), || {
        info_span!("a").in_scope(|| info_span!("b", id = 7).in_scope(|| info!("said")));
    });
    assert_eq!(telemetry.logs(), "INFO said id=7\n");
    assert!(!telemetry.log_records()[0].trace_context().unwrap().trace_flags.unwrap().is_sampled());
}

#[test]
fn listed_fields_of_spans_are_copied() {
    let builder = plain().with_span_fields_on_records(["request.id", "user", "late"]);
    let telemetry = run(builder, || {
        let outer = info_span!("outer", request.id = 7, user = "ada", late = Empty, other = 1);
        outer.in_scope(|| {
            info!("first");
            outer.record("late", "now").record("user", "eve");
            info_span!("inner", request.id = 8).in_scope(|| info!(user = "own", "second"));
        });
    });
    assert_eq!(telemetry.logs(), "INFO first request.id=7 user=ada\nINFO second user=own request.id=8 late=now\n");
}

#[test]
fn records_can_be_off_and_a_severity_that_is_not_wanted_is_not_formatted() {
    struct Never;
    impl fmt::Debug for Never {
        #[allow(clippy::panic, reason = "the panic is the test")]
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted")
        }
    }
    assert_eq!(run(plain().with_events_as_log_records(false), || info!("a")).logs(), "");
    let telemetry = TestTelemetry::new().with_logs(|builder| {
        builder.with_logger_config(Configurator::new(
            LoggerConfig::new().with_minimum_severity(opentelemetry::logs::Severity::Warn),
        ))
    });
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(plain()), || {
        info!(value = ?Never, "a");
        warn!("b");
    });
    assert_eq!(telemetry.logs(), "WARN b\n");
}

#[test]
fn a_listed_field_whose_value_sets_a_parent_is_copied() {
    struct SetsParent(tracing::Span, opentelemetry::Context);
    impl fmt::Debug for SetsParent {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let _ = telemark_tracing::OpenTelemetrySpanExt::set_parent(&self.0, self.1.clone());
            f.write_str("value")
        }
    }
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(plain().with_span_fields_on_records(["late"])), || {
        let span = info_span!("a", late = Empty);
        span.record("late", tracing::field::debug(SetsParent(span.clone(), telemetry.context())));
        span.in_scope(|| info!("said"));
    });
    assert_eq!(telemetry.logs(), "INFO said late=value\n");
}
