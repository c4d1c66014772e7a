//! Whole programs with telemetry. Each scenario runs in its own process, with a real exit, real signals and a real global
//! installation. See `src/bin/scenario`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]
#![allow(clippy::disallowed_methods, reason = "tests that wait for processes")]

mod program;

use program::{Running, await_condition, check};
use telemark_tests::{Script, Sink};

/// Runs a scenario that exports over OTLP, and compares the names of the spans in the order of arrival.
#[track_caller]
fn check_sent(scenario: &str, expected: &[&str]) {
    let sink = Sink::start(Script::Take).unwrap();
    let endpoint = sink.endpoint();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_SERVICE_NAME", scenario)];
    assert_eq!(Running::start(scenario, &variables).end(), "exit 0\n", "{scenario}");
    let names: Vec<_> = sink.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, expected, "{scenario}");
}

#[test]
fn it_works_under_every_runtime_and_without_one() {
    check_sent("tokio main", &["step", "work"]);
    check_sent("one worker", &["step", "work", "flush"]);
    check_sent("current thread", &["step", "work"]);
    check_sent("guard outside of the runtime", &["step", "work"]);
    check_sent("without tokio", &["step", "work"]);
}

#[test]
fn a_program_that_a_program_starts_is_in_its_trace() {
    let ended = |variables: &[(&str, &str)]| Running::start("program that starts a program", variables).end();
    let (parent, own) = ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", "-OWN-03\n");
    let (trace, end) = (&parent[..35], "> starts\n> (shut down)\n");
    let variables = [("TRACEPARENT", parent), ("TRACESTATE", "a=1"), ("BAGGAGE", "user=7")];
    let expected = format!("exit 0\nBAGGAGE=user=7\nTRACEPARENT={trace}{own}TRACESTATE=a=1\n{end}");
    assert_eq!(ended(&variables), expected);
    // Without a valid parent, what is left of an older trace goes no further.
    let alone = ended(&[("TRACEPARENT", "x"), ("TRACESTATE", "a=1"), ("BAGGAGE", "=")]);
    let (start, rest) = alone.split_at("exit 0\nTRACEPARENT=00-".len() + 32);
    assert!(start.starts_with("exit 0\nTRACEPARENT=00-"), "{alone}");
    assert_eq!(rest, format!("{own}{end}"));
}

#[test]
fn a_panic_exports_everything_and_the_span_that_panicked() {
    check(
        "panic",
        "
exit 101
> work
> failing: error \"panic\"
> (shut down)
",
    );
}

/// Linux destroys the main thread's thread-locals at exit.
#[cfg(target_os = "linux")]
#[test]
fn a_guard_in_a_thread_local_of_the_main_thread_exports_at_exit() {
    check(
        "guard in a thread-local",
        "
exit 0
> work
> (shut down)
",
    );
    check(
        "process exit with the guard in a thread-local",
        "
exit 3
> work
> (shut down)
",
    );
}

#[test]
fn spans_in_destructors_of_thread_locals() {
    check(
        "spans in a thread-local's destructor",
        "
exit 0
destructor ran
thread ended well: true
> work
> work
> in the destructor
> (shut down)
",
    );
}

/// The API's context no longer exists when the destructor runs. Nothing is recorded, and the program is unaffected.
#[test]
fn spans_in_destructors_after_that_of_the_context_are_not_recorded() {
    check(
        "spans in a destructor after the context's",
        "
exit 0
destructor ran
thread ended well: true
> work
> (shut down)
",
    );
}

#[test]
fn with_a_leaked_guard_what_is_due_is_exported_and_the_rest_at_exit() {
    check(
        "forgotten guard",
        "
exit 0
> work
> work
> work
> (shut down)
",
    );
}

#[test]
fn a_signal_exports_everything_and_ends_the_program_as_always() {
    for (signal, number) in [("-TERM", 15), ("-INT", 2)] {
        let running = Running::start("signal", &[]);
        running.await_line("ready");
        running.send(signal);
        assert_eq!(running.end(), format!("signal {number}\nready\n> work\n> (shut down)\n"), "{signal}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_the_export() {
    let sink = Sink::start(Script::Silence).unwrap();
    let running = Running::start(
        "signal while the receiver hangs",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint()), ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000")],
    );
    running.await_line("ready");
    running.send("-TERM");
    await_condition("the flush reaches the receiver", || sink.seen() > 0);
    // The test cannot determine which export has reached the receiver, so it repeats the signal, as users do.
    let mut running = running;
    await_condition("the program ends", || {
        running.child.try_wait().unwrap().is_some() || {
            running.send("-INT");
            false
        }
    });
    assert_eq!(running.end(), "signal 2\nready\n");
}

#[test]
fn a_second_shutdown_waits_for_the_first() {
    check(
        "shutdown on two threads",
        "
exit 0
> work
> (shut down)
",
    );
}

#[test]
fn a_second_init_is_an_error_and_the_first_stays() {
    check(
        "second init",
        "
exit 0
init: telemetry has been installed already; the first one stays
init: telemetry was installed already and has ended; a program has it once, until its guard is dropped
> work
> (shut down)
! telemark warning: telemetry ended when its guard was dropped, so this span and later ones are lost; keep it in a named variable until the end of main: `let _telemetry = telemark::init()?;` (`let _ =` drops it at once)
",
    );
}

#[test]
fn a_disabled_sdk_records_nothing_starts_nothing_and_propagates() {
    let running = Running::start("disabled", &[("OTEL_SDK_DISABLED", "true")]);
    let threads = if cfg!(target_os = "linux") { "threads: 1\n" } else { "" };
    assert_eq!(running.end(), format!("exit 0\nSome(true)\n[]\n{threads}"));
}

#[test]
fn an_exporter_that_hangs_holds_the_program_no_longer_than_the_timeout() {
    check(
        "exporter hangs",
        "
exit 0
flush: Err(\"timeout\")
drop returned in time: true
! telemark error: 2 spans were not exported: the deadline passed before everything was exported
",
    );
}

#[test]
fn a_receiver_that_never_answers_holds_the_program_no_longer_than_the_timeout() {
    let sink = Sink::start(Script::Silence).unwrap();
    // The kernel accepts the connection, but no program reads from it.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let unread = format!("http://{}", listener.local_addr().unwrap());
    for (protocol, endpoint) in [("http/protobuf", &sink.endpoint()), ("http/json", &unread), ("grpc", &unread)] {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &**endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let end = Running::start("receiver hangs", &variables).end();
        assert!(end.starts_with("exit 0\ndrop returned in time: true\n! telemark error: "), "{protocol}: {end}");
    }
}

#[test]
fn a_program_does_not_wait_at_its_end_for_a_receiver_that_was_never_there() {
    let endpoint = Sink::NOBODY;
    for protocol in ["http/protobuf", "grpc"] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "3600000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
        ];
        let end = Running::start("nobody listens", &variables).end();
        assert!(end.starts_with("exit 0\ndrop returned soon: true\n"), "{protocol}: {end}");
        assert!(end.contains(&format!("were not exported: cannot connect to {endpoint}")), "{protocol}: {end}");
    }
}

#[test]
fn an_exporter_that_panics_loses_its_batch_and_nothing_else() {
    check(
        "exporter panics",
        "
exit 0
flush: true
flush: Err(\"the exporter panicked\")
flush: Ok(())
exported 1, failed 1
> work
> (shut down)
! telemark error: 1 span was not exported: the exporter panicked
",
    );
}

#[test]
fn an_exporter_that_records_makes_no_loop() {
    check(
        "exporter records",
        "
exit 0
flush: true
flush: true
flush: true
exported 3, failed 0
> work
> work
> work
> (shut down)
",
    );
}

#[test]
fn an_exporter_that_flushes_itself_gets_an_error_instead_of_a_deadlock() {
    check(
        "exporter flushes",
        "
exit 0
in the exporter: Err(\"an exporter cannot wait for its own thread\")
flush: true
exported 1, failed 0
> work
> (shut down)
",
    );
}

/// Runs a scenario under load. Ignores the lines for spans and the warnings about a full queue.
#[track_caller]
fn check_load(scenario: &str) {
    let end = Running::start(scenario, &[]).end();
    let lines = end.lines().filter(|line| *line != "> span" && !line.contains("were already waiting"));
    let expected = [
        "exit 0",
        "shutdown: true",
        "something was exported: true",
        "everything is counted: yes",
        "everything counted as exported is there: true",
        "> (shut down)",
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected, "{scenario}");
}

#[test]
fn every_span_of_many_threads_is_exported_or_counted_while_flushes_run() {
    check_load("flushes while threads record");
}

#[test]
fn every_span_of_many_threads_is_exported_or_counted_when_shutdown_comes_between() {
    check_load("shutdown while threads record");
}
