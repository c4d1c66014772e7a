//! Exceptions in `#[traced]` functions. Each is recorded once, on the span in which it first appeared.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::pin;
use std::task::Poll;

use anyhow::Context as _;
use opentelemetry::Context;
use opentelemetry::logs::Severity;
use opentelemetry::trace::{TraceContextExt, Tracer as _};
use telemark::traced;
use telemark_sdk::logs::{LogRecordProcessor, SdkLogRecord};
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::trace::{ExceptionSignal, SpanData};

mod support;
use support::{block_on, yield_now};

/// Runs the scenario and lists the spans with their statuses and exceptions, indented by depth.
#[track_caller]
fn check(scenario: impl FnOnce(), expected: &str) {
    check_with(ExceptionSignal::SpanEvents, scenario, expected);
}

#[track_caller]
fn check_with(signal: ExceptionSignal, scenario: impl FnOnce(), expected: &str) {
    let telemetry = TestTelemetry::with(|builder| builder.with_exception_signal(signal));
    {
        let _guard = telemetry.attach();
        scenario();
    }
    let mut tree = telemetry.tree();
    for name in ["error.type=", "exception.type="] {
        // Types are tested separately below.
        let parts: Vec<_> = tree.split(name).map(str::to_owned).collect();
        let rest = parts[1..].iter().map(|part| part[part.find([' ', '\n']).unwrap_or(part.len())..].to_owned());
        tree = parts[..1].iter().cloned().chain(rest).collect();
    }
    let tree = tree.replace("exception.message=", "").replace("* exception  ", "* ").replace("]  ", "] ");
    let lines =
        |text: &str| text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let (actual, expected): (Vec<String>, Vec<String>) = (lines(&tree), lines(expected));
    let indent = expected.first().map_or(0, |line| line.len() - line.trim_start().len());
    let expected: Vec<_> = expected.iter().map(|line| line[indent.min(line.len())..].to_owned()).collect();
    assert_eq!(actual.join("\n"), expected.join("\n"));
}

#[derive(Debug)]
struct Wrapped(&'static str, io::Error);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.1)
    }
}

#[traced]
fn read(text: &'static str) -> io::Result<()> {
    Err(io::Error::other(text))
}

#[traced]
fn passes() -> io::Result<()> {
    read("disk full")?;
    Ok(())
}

#[traced]
fn passes_further() -> io::Result<()> {
    passes()
}

#[test]
fn an_error_that_bubbles_up_is_recorded_where_it_appeared() {
    check(
        || _ = passes_further(),
        "
        passes_further error[disk full]
          passes error[disk full]
            read error[disk full]
              * disk full
        ",
    );
}

#[traced]
fn maps_to_a_type() -> Result<(), Wrapped> {
    read("disk full").map_err(|error| Wrapped("cannot save", error))
}

#[traced]
fn maps_to_text() -> Result<(), String> {
    maps_to_a_type().map_err(|error| format!("giving up ({})", error.1))
}

#[traced]
fn adds_context() -> anyhow::Result<()> {
    maps_to_a_type().context("saving the cart")?;
    Ok(())
}

#[traced]
fn boxes() -> Result<(), Box<dyn Error>> {
    Ok(maps_to_a_type()?)
}

#[traced(err(Debug))]
fn shows_debug() -> io::Result<()> {
    read("disk full")
}

#[traced]
fn wraps_what_shows_debug() -> Result<(), Wrapped> {
    shows_debug().map_err(|error| Wrapped("cannot save", error))
}

#[test]
fn an_error_that_is_wrapped_is_the_same() {
    check(
        || _ = maps_to_text(),
        "
        maps_to_text error[giving up (disk full)]
          maps_to_a_type error[cannot save: disk full]
            read error[disk full]
              * disk full
        ",
    );
    check(
        || _ = adds_context(),
        "
        adds_context error[saving the cart: cannot save: disk full]
          maps_to_a_type error[cannot save: disk full]
            read error[disk full]
              * disk full
        ",
    );
    check(
        || _ = boxes(),
        "
        boxes error[cannot save: disk full]
          maps_to_a_type error[cannot save: disk full]
            read error[disk full]
              * disk full
        ",
    );
    check(
        || _ = wraps_what_shows_debug(),
        "
        wraps_what_shows_debug error[cannot save: disk full]
          shows_debug error[Custom { kind: Other, error: \"disk full\" }]
            read error[disk full]
              * disk full
        ",
    );
}

#[traced]
fn the_chain_appears_here() -> Result<(), Wrapped> {
    Err(Wrapped("cannot save", io::Error::other("disk full")))
}

#[traced]
fn unwraps() -> Result<(), io::Error> {
    the_chain_appears_here().map_err(|error| error.1)
}

#[test]
fn the_root_identifies_an_error_whose_wrapper_is_gone() {
    check(
        || _ = unwraps(),
        "
        unwraps error[disk full]
          the_chain_appears_here error[cannot save: disk full]
            * cannot save: disk full
        ",
    );
}

#[traced]
fn handles_one_and_returns_another() -> io::Result<()> {
    if read("not in the cache").is_err() {
        read("disk full")?;
    }
    Ok(())
}

#[traced]
fn handles_one_and_fails() -> Result<(), String> {
    let _ = read("not in the cache");
    Err("disk full".to_owned())
}

#[traced]
fn handles_a_similar_one() -> Result<(), String> {
    let _ = read("see error 12");
    Err("error 1".to_owned())
}

#[test]
fn another_error_after_a_handled_one_is_recorded() {
    check(
        || _ = handles_one_and_returns_another(),
        "
        handles_one_and_returns_another error[disk full]
          read error[not in the cache]
            * not in the cache
          read error[disk full]
            * disk full
        ",
    );
    check(
        || _ = handles_one_and_fails(),
        "
        handles_one_and_fails error[disk full]
          * disk full
          read error[not in the cache]
            * not in the cache
        ",
    );
    check(
        || _ = handles_a_similar_one(),
        "
        handles_a_similar_one error[error 1]
          * error 1
          read error[see error 12]
            * see error 12
        ",
    );
}

#[traced]
fn two_calls() {
    let _ = read("disk full");
    let _ = read("disk full");
}

#[test]
fn an_error_of_another_call_is_another_error() {
    check(
        two_calls,
        "
        two_calls
          read error[disk full]
            * disk full
          read error[disk full]
            * disk full
        ",
    );
    check(
        || {
            let _ = read("disk full");
            let _ = read("disk full");
        },
        "
        read error[disk full]
          * disk full
        read error[disk full]
          * disk full
        ",
    );
}

#[traced(err = off)]
fn leaves_errors_out() -> io::Result<()> {
    read("disk full")
}

#[traced]
fn calls_through_other_spans() -> io::Result<()> {
    telemark::span("manual").in_scope(leaves_errors_out)
}

#[test]
fn a_span_between_that_records_no_error_changes_nothing() {
    check(
        || _ = calls_through_other_spans(),
        "
        calls_through_other_spans error[disk full]
          manual
            leaves_errors_out
              read error[disk full]
                * disk full
        ",
    );
}

#[traced]
fn stranger() -> io::Result<()> {
    telemark::span("unrelated").in_scope(|| ());
    Err(io::Error::other("disk full"))
}

#[test]
fn a_span_that_the_program_ends_itself_passes_nothing_to_a_stranger() {
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        let span = Context::current_with_span(telemetry.tracer("library").start("library"));
        {
            let _guard = span.clone().attach();
            let _ = read("disk full");
        }
        span.span().end();
        let _ = stranger();
    }
    let exceptions = |span: &SpanData| span.events.iter().count();
    let spans: Vec<_> = telemetry.spans().iter().map(|span| format!("{} {}", span.name, exceptions(span))).collect();
    assert_eq!(spans, ["read 1", "library 0", "unrelated 0", "stranger 1"]);
}

#[traced]
async fn fetch(text: &'static str, polls: usize) -> io::Result<()> {
    for _ in 0..polls {
        yield_now().await;
    }
    Err(io::Error::other(text))
}

#[traced]
async fn awaits() -> io::Result<()> {
    fetch("host is down", 2).await?;
    Ok(())
}

#[traced]
async fn joins() -> io::Result<()> {
    let (first, second) = futures_util::future::join(fetch("host is down", 3), fetch("disk full", 1)).await;
    first.and(second)
}

#[traced]
async fn joins_and_returns_the_second() -> Result<(), Wrapped> {
    let (_, second) = futures_util::future::join(fetch("host is down", 1), fetch("host is down", 3)).await;
    second.map_err(|error| Wrapped("second", error))
}

#[test]
fn asynchronous_errors_bubble_up_in_the_same_way() {
    check(
        || _ = block_on(awaits()),
        "
        awaits error[host is down]
          fetch error[host is down]
            * host is down
        ",
    );
    check(
        || _ = block_on(joins()),
        "
        joins error[host is down]
          fetch error[disk full]
            * disk full
          fetch error[host is down]
            * host is down
        ",
    );
    // Two concurrent children return different errors with the same message.
    check(
        || _ = block_on(joins_and_returns_the_second()),
        "
        joins_and_returns_the_second error[second: host is down]
          fetch error[host is down]
            * host is down
          fetch error[host is down]
            * host is down
        ",
    );
}

#[test]
fn an_error_is_recognized_on_another_thread() {
    #[traced]
    fn joins_a_thread() -> io::Result<()> {
        let work = telemark::propagate_fn(|| read("disk full"));
        std::thread::scope(|scope| scope.spawn(work).join().unwrap_or(Ok(())))
    }
    check(
        || _ = joins_a_thread(),
        "
        joins_a_thread error[disk full]
          read error[disk full]
            * disk full
        ",
    );
    // A future moves to another thread after its child has failed on the first one.
    #[traced]
    async fn moves() -> io::Result<()> {
        let result = fetch("host is down", 1).await;
        yield_now().await;
        result
    }
    check(
        || {
            let mut future = Box::pin(moves());
            loop {
                let context = Context::current();
                let poll = std::thread::scope(|scope| {
                    let polled = scope.spawn(|| {
                        let _guard = context.attach();
                        support::poll_once(future.as_mut())
                    });
                    polled.join().unwrap_or(Poll::Pending)
                });
                if poll.is_ready() {
                    break;
                }
            }
        },
        "
        moves error[host is down]
          fetch error[host is down]
            * host is down
        ",
    );
}

#[traced(iterator)]
fn numbers() -> impl Iterator<Item = io::Result<u32>> {
    [Ok(1), Err(io::Error::other("no number"))].into_iter()
}

#[traced]
fn sums() -> io::Result<u32> {
    numbers().sum()
}

#[test]
fn the_error_of_an_item_is_that_of_its_consumer() {
    check(
        || _ = sums(),
        "
        sums error[no number]
          numbers error[no number] telemark.items=2 telemark.outcome=cancelled
            * no number
        ",
    );
}

#[traced]
fn records_and_returns() -> io::Result<()> {
    let error = io::Error::other("disk full");
    telemark::record_error(&error);
    telemark::record_error(&error);
    Err(error)
}

#[traced]
fn records_the_error_of_a_call() {
    if let Err(error) = read("disk full") {
        telemark::record_error(&Wrapped("cannot save", error));
    }
}

#[test]
fn an_error_that_the_program_records_is_recorded_once() {
    check(
        || _ = records_and_returns(),
        "
        records_and_returns error[disk full]
          * disk full
        ",
    );
    check(
        records_the_error_of_a_call,
        "
        records_the_error_of_a_call error[cannot save: disk full]
          read error[disk full]
            * disk full
        ",
    );
}

#[test]
fn the_variable_can_move_exceptions_out_of_the_spans() {
    let expected = "
        passes error[disk full]
          read error[disk full]
        ";
    check_with(ExceptionSignal::Logs, || _ = passes(), expected);
}

/// Runs the scenario and returns the log records as text, after it has checked that each has the ids and the scope of the span
/// `name` and the severity.
#[track_caller]
fn logged(signal: ExceptionSignal, name: &str, scenario: impl FnOnce()) -> String {
    let telemetry = TestTelemetry::with(|builder| builder.with_exception_signal(signal));
    {
        let _guard = telemetry.attach();
        scenario();
    }
    let spans = telemetry.spans();
    let span = spans.iter().find(|span| span.name == name);
    for record in telemetry.log_records() {
        let ids = record.trace_context().map(|context| (context.trace_id, context.span_id, context.trace_flags));
        let of_span = span.map(|span| &span.context);
        assert_eq!(ids, of_span.map(|span| (span.trace_id(), span.span_id(), Some(span.trace_flags()))));
        assert_eq!(Some(record.scope()), span.map(|span| &span.scope));
        assert_eq!((record.severity_number(), record.event_name()), (Some(Severity::Error), Some("exception")));
        assert!(record.timestamp().is_some() && record.body().is_none());
    }
    telemetry.logs()
}

#[test]
fn an_exception_is_written_as_one_log_record_with_the_ids_of_its_span() {
    let expected = "ERROR (exception) exception.type=std::io::ErrorKind::Other exception.message=disk full\n";
    assert_eq!(logged(ExceptionSignal::Logs, "read", || _ = passes_further()), expected);
    assert_eq!(logged(ExceptionSignal::SpanEventsAndLogs, "read", || _ = passes_further()), expected);
    assert_eq!(logged(ExceptionSignal::SpanEvents, "read", || _ = passes_further()), "");
    let hidden = logged(ExceptionSignal::Logs, "text", || _ = text());
    assert_eq!(hidden, "ERROR (exception) exception.message=the cart is empty\n");
    let silent = logged(ExceptionSignal::Logs, "silent", || _ = calls_silent());
    assert_eq!(silent, "ERROR (exception) exception.type=exceptions::Silent\n");
}

#[traced]
fn records_twice() -> io::Result<()> {
    let error = io::Error::other("disk full");
    telemark::record_error(&error);
    telemark::record_error(&error);
    Err(error)
}

#[test]
fn an_error_that_the_program_records_is_one_log_record() {
    let expected = "ERROR (exception) exception.type=std::io::ErrorKind::Other exception.message=disk full\n";
    assert_eq!(logged(ExceptionSignal::Logs, "records_twice", || _ = records_twice()), expected);
}

/// A processor of log records that uses the current span and context, and calls a function that fails.
#[derive(Debug)]
struct Busy;

impl LogRecordProcessor for Busy {
    fn on_emit(&self, _: &mut SdkLogRecord, _: &Context) {
        telemark::set_attribute("processed", true);
        let _guard = Context::current().with_value(7).attach();
        let _ = read("within the processor");
    }
}

#[test]
fn a_processor_of_records_may_use_spans() {
    let telemetry = TestTelemetry::with(|builder| builder.with_exception_signal(ExceptionSignal::Logs));
    let telemetry = telemetry.with_logs(|builder| builder.with_processor(Busy));
    {
        let _guard = telemetry.attach();
        let _ = records_twice();
    }
    let expected = "ERROR (exception) exception.type=std::io::ErrorKind::Other exception.message=disk full\n";
    assert_eq!(telemetry.logs(), expected);
    let names: Vec<_> = telemetry.spans().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, ["read", "records_twice"]);
    assert!(telemetry.tree().contains("processed=true"), "{}", telemetry.tree());
}

#[derive(Debug)]
struct Silent;

#[traced]
fn silent() -> Result<(), Silent> {
    Err(Silent)
}

#[traced]
fn calls_silent() -> Result<(), Silent> {
    silent()
}

#[traced]
fn says_nothing() -> Result<(), fmt::Error> {
    let _ = calls_silent();
    Ok(())
}

#[traced]
fn text() -> anyhow::Result<()> {
    anyhow::bail!("the cart is empty")
}

#[test]
fn the_exception_has_the_type_and_the_message_with_its_causes() {
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        let _ = the_chain_appears_here();
        let _ = says_nothing();
        let _ = text();
    }
    let expected = "\
the_chain_appears_here error[cannot save: disk full] error.type=exceptions::Wrapped
  * exception exception.type=exceptions::Wrapped exception.message=cannot save: disk full
says_nothing
  calls_silent error error.type=exceptions::Silent
    silent error error.type=exceptions::Silent
      * exception exception.type=exceptions::Silent
text error[the cart is empty] error.type=_OTHER
  * exception exception.message=the cart is empty
";
    assert_eq!(telemetry.tree(), expected);
}

#[test]
fn many_errors_take_bounded_memory_and_the_last_ones_are_recognized() {
    #[traced]
    fn retries() -> io::Result<()> {
        let texts: Vec<&'static str> = (0..100).map(|n| &*format!("attempt {n}").leak()).collect();
        let mut result = Ok(());
        for text in texts {
            result = read(text);
        }
        result
    }
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        let _ = retries();
    }
    let spans = telemetry.spans();
    let exceptions = |name: &str| {
        let of_name = spans.iter().filter(|span| span.name == name);
        of_name.map(|span| span.events.iter().count()).sum::<usize>()
    };
    assert_eq!((exceptions("retries"), exceptions("read")), (0, 100));
}

#[test]
fn a_future_that_is_dropped_passes_on_what_failed_within() {
    #[traced]
    async fn hangs() {
        let _ = read("disk full");
        std::future::pending::<()>().await;
    }
    #[traced]
    fn gives_up() -> io::Result<()> {
        let mut future = Box::pin(hangs());
        let _ = support::poll_once(pin!(future.as_mut()).as_mut());
        drop(future);
        Err(io::Error::other("disk full"))
    }
    check(
        || _ = gives_up(),
        "
        gives_up error[disk full]
          hangs telemark.outcome=cancelled
            read error[disk full]
              * disk full
        ",
    );
}
