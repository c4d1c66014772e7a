//! Panics as log records. The file has only one test, because the panic hook and the installed telemetry are the process's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "a panic on another thread is part of the test")]

use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::logs::{AnyValue, LogRecord, Logger};
use opentelemetry::trace::{TraceContextExt, Tracer};
use telemark_sdk::config::Env;
use telemark_sdk::control::Configurator;
use telemark_sdk::diag;
use telemark_sdk::install::Telemetry;
use telemark_sdk::logs::{LogRecordProcessor, LoggerConfig, SdkLogRecord};
use telemark_sdk::signal::{Logs, Traces};
use telemark_sdk::testing::{InMemoryExporter, TestTelemetry};
use telemark_sdk::time::Deadline;

type Said = Arc<Mutex<Vec<String>>>;

/// Notes each record, and misbehaves where a record says so.
#[derive(Debug)]
struct Processor {
    said: Said,
    release: Mutex<Receiver<()>>,
}

impl LogRecordProcessor for Processor {
    fn on_emit(&self, record: &mut SdkLogRecord, _: &Context) {
        let Some(AnyValue::String(body)) = record.body() else { return };
        self.said.lock().unwrap().push(format!("record {}", body.as_str().chars().take(40).collect::<String>()));
        match body.as_str() {
            "a bad record" | "the processor panics as well" => panic!("the processor"),
            "the processor hangs" => drop(self.release.lock().unwrap().recv()),
            _ => {}
        }
    }
}

fn text(record: &SdkLogRecord, key: &str) -> String {
    match record.attribute(key) {
        Some(AnyValue::String(text)) => text.as_str().to_owned(),
        Some(AnyValue::Int(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// A value of a context.
struct Held(#[allow(dead_code, reason = "counts the context")] Arc<i32>);

fn take(said: &Said) -> Vec<String> {
    std::mem::take(&mut *said.lock().unwrap())
}

/// Returns the number of panics that messages have reported as not recorded.
fn missed(messages: &Said) -> usize {
    let number = |text: &String| {
        let (number, rest) = text.split_once(' ')?;
        rest.contains("not recorded, because the records of others").then(|| number.parse::<usize>().unwrap())
    };
    messages.lock().unwrap().iter().filter_map(number).sum()
}

#[test]
fn panics_are_recorded_and_then_the_earlier_hook_runs() {
    let said = Said::default();
    let heard = said.clone();
    panic::set_hook(Box::new(move |info| {
        eprintln!("{info}");
        let text = info.payload().downcast_ref::<&str>().copied().unwrap_or("no text");
        heard.lock().unwrap().push(format!("hook {}", text.chars().take(40).collect::<String>()));
    }));
    let messages = Said::default();
    let sink = messages.clone();
    assert!(diag::set_sink(move |_, text| sink.lock().unwrap().push(text.to_owned())));
    let (release, wait): (SyncSender<()>, _) = sync_channel(1);
    let (records, spans) = (InMemoryExporter::<Logs>::new(), InMemoryExporter::<Traces>::new());
    let processor = Processor { said: said.clone(), release: Mutex::new(wait) };
    let panics = Arc::new(AtomicBool::new(false));
    let config_panics = panics.clone();
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_RUST_PANICS", "true")]))
        .with_log_exporter(records.clone())
        .with_span_exporter(spans)
        .with_log_processor(processor)
        .with_logger_config(Configurator::from_fn(move |_| {
            if config_panics.swap(false, Ordering::Relaxed) { panic!("the config") } else { LoggerConfig::new() }
        }))
        .init()
        .unwrap();
    let fails = |work: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(work)).is_err());

    // In a span: with its ids, the place, and a stack trace that shows this function.
    let line = line!() + 4;
    let ids = Mutex::new(None);
    fails(&|| {
        telemetry.tracer("shop").in_span("order", |context| {
            *ids.lock().unwrap() = Some(context.span().span_context().clone());
            panic!("out of stock")
        })
    });
    assert_eq!(take(&said), ["record out of stock", "hook out of stock"]);
    telemetry.force_flush(Deadline::NEVER).unwrap();
    let record = &records.items()[0];
    let span = ids.lock().unwrap().take().unwrap();
    let trace = record.trace_context().unwrap();
    assert_eq!((trace.trace_id, trace.span_id), (span.trace_id(), span.span_id()));
    assert_eq!((record.severity_text(), record.event_name()), (Some("ERROR"), Some("exception")));
    let thread = std::thread::current();
    let shown = ["exception.type", "exception.message", "code.file.path", "thread.name"].map(|key| text(record, key));
    assert_eq!(shown, ["panic", "out of stock", file!(), thread.name().unwrap()]);
    assert_eq!(text(record, "code.line.number").parse::<u32>().unwrap().abs_diff(line), 1);
    assert!(text(record, "exception.stacktrace").contains("panics_are_recorded"));
    assert_eq!(format!("ThreadId({})", text(record, "thread.id")), format!("{:?}", thread.id()));

    // On another thread, with text that is not static, and with a payload that is no text.
    assert!(std::thread::spawn(|| panic!("{}", "x".repeat(1 << 20))).join().is_err());
    assert_eq!(take(&said), [format!("record {}", "x".repeat(40)), "hook no text".to_owned()]);
    fails(&|| panic::panic_any(7));
    assert_eq!(take(&said), ["record the payload is not text", "hook no text"]);

    // A processor that panics or hangs at the record of a panic.
    fails(&|| panic!("the processor panics as well"));
    let heard = take(&said);
    assert_eq!(
        heard,
        ["record the processor panics as well", "hook the processor", "hook the processor panics as well"]
    );
    fails(&|| panic!("the processor hangs"));
    assert_eq!(take(&said), ["record the processor hangs", "hook the processor hangs"]);
    release.send(()).unwrap();

    // Code that configures loggers panics too.
    panics.store(true, Ordering::Relaxed);
    fails(&|| panic!("with a bad config"));
    assert_eq!(take(&said), ["hook the config", "record with a bad config", "hook with a bad config"]);

    // A panic within a processor is the processor's, and no record.
    let mut bad = telemetry.logger("shop").create_log_record();
    bad.set_body("a bad record".into());
    telemetry.logger("shop").emit(bad);
    assert_eq!(take(&said), ["record a bad record", "hook the processor"]);

    // In the context of a test, the record is the test's.
    let test = TestTelemetry::new();
    fails(&|| {
        let _attached = test.attach();
        panic!("in a test")
    });
    assert_eq!(take(&said), ["hook in a test"]);
    assert_eq!(test.log_records().len(), 1);

    // A span that ends with its last context has ended when the panic is caught, because the record no longer holds the context.
    for number in 0..100 {
        let alive = Arc::new(number);
        let context = Context::new().with_value(Held(alive.clone()));
        fails(&|| {
            let _attached = context.clone().attach();
            panic!("in a context")
        });
        drop(context);
        assert_eq!(Arc::strong_count(&alive), 1, "{number}");
    }

    // A processor that hangs has a bounded number of threads, and the panics that are not recorded are counted.
    take(&said);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| fails(&|| panic!("the processor hangs")));
        }
    });
    let number = |what: &str| said.lock().unwrap().iter().filter(|said| *said == what).count();
    let until = |is_so: &dyn Fn() -> bool| {
        let deadline = Deadline::after(Duration::from_secs(60));
        while !is_so() {
            // The hook takes the lock as well.
            let so_far = said.lock().unwrap().clone();
            assert!(!deadline.has_passed(), "{so_far:?}");
            std::thread::yield_now();
        }
    };
    until(&|| number("record the processor hangs") >= 16);
    assert_eq!([number("record the processor hangs"), number("hook the processor hangs")], [16, 20]);
    drop(release);
    until(&|| {
        fails(&|| panic!("no longer"));
        number("record no longer") > 0
    });
    until(&|| missed(&messages) > 0);
    // The threads that hung, one of them before these, still have to emit their records.
    until(&|| {
        telemetry.force_flush(Deadline::NEVER).unwrap();
        let exported =
            |body: &str| records.items().iter().filter(|record| text(record, "exception.message") == body).count();
        [exported("the processor hangs"), exported("no longer")] == [17, number("record no longer")]
    });
    let all_missed = 4 + number("hook no longer") - number("record no longer");

    // A panic in main drops the guard, which exports the record.
    records.clear();
    fails(&|| panic!("before the end"));
    assert!(
        catch_unwind(AssertUnwindSafe(move || {
            let _telemetry = telemetry;
            panic!("in main")
        }))
        .is_err()
    );
    let mut bodies: Vec<_> = records.items().iter().map(|record| text(record, "exception.message")).collect();
    // Records of two threads have no order.
    bodies.sort();
    assert_eq!(bodies, ["before the end", "in main"]);
    // Whatever no message has reported yet is reported at the end.
    assert_eq!(missed(&messages), all_missed);
    take(&said);
    fails(&|| panic!("after the end"));
    assert_eq!(take(&said), ["hook after the end"]);
    assert_eq!(records.items().len(), 2);
}
