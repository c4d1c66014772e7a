//! The messages about lost items: each signal and each reason has its own, no item is left out, and the end does not claim that
//! everything was exported. There is only one test, because a process has only one message sink.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc::{Receiver as Receiving, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::logs::Logger;
use opentelemetry::trace::{Status, TraceContextExt, Tracer};
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::Env;
use telemark_sdk::diag;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::{Logs, Signal};
use telemark_sdk::stages::limits::ItemLimits;
use telemark_sdk::stages::tail::{Policy, TailSampling};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

/// An exporter that fails as long as `is_down`.
struct Receiver {
    is_down: bool,
}

impl<S: Signal> Exporter<S> for Receiver {
    fn export(&mut self, batch: Batch<'_, S>, _: Deadline) -> Result<ExportReport, ExportError> {
        match (self.is_down, batch.len()) {
            (true, _) => Err(ExportError::unavailable("the receiver is down")),
            (false, 3) => Ok(ExportReport::partial(2, "too old")),
            (false, _) => Ok(ExportReport::accepted()),
        }
    }
}

/// An exporter that hangs until the test ends.
struct Hanging {
    hold: SyncSender<()>,
    wait: Receiving<()>,
}

impl Exporter<Logs> for Hanging {
    fn export(&mut self, _: Batch<'_, Logs>, _: Deadline) -> Result<ExportReport, ExportError> {
        self.hold.send(()).unwrap();
        let _ = self.wait.recv();
        Ok(ExportReport::accepted())
    }
}

#[test]
fn each_signal_and_reason_reports_all_that_was_lost() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&said);
    assert!(diag::set_sink(move |level, text| sink.lock().unwrap().push(format!("{level}: {text}"))));
    let said = || {
        let mut said: Vec<String> = std::mem::take(&mut *said.lock().unwrap());
        said.retain(|line| !line.starts_with("debug: exported") && !line.starts_with("info: started"));
        // The duration.
        said.iter_mut().filter(|line| line.starts_with("debug: ")).for_each(|line| {
            let (start, rest) = line.split_once(" after ").unwrap();
            let end = rest.find([':', ';']).unwrap();
            *line = format!("{start}{}", &rest[end..]);
        });
        said
    };
    let start = |queue: BatchConfig, is_down: bool, runtime: &ManualRuntime| {
        let builder: TelemetryBuilder = Telemetry::builder(Env::from_pairs([("OTEL_LOG_LEVEL", "debug")]));
        builder
            .with_span_exporter(Receiver { is_down })
            .with_log_exporter(Receiver { is_down })
            .with_span_batch(queue)
            .with_log_batch(queue)
            .with_runtime(Runtime::Manual(runtime.clone()))
            .build()
            .unwrap()
    };
    let record = |telemetry: &Telemetry, spans: usize, records: usize| {
        let (tracer, logger) = (telemetry.tracer("test"), telemetry.logger("test"));
        (0..spans).for_each(|_| tracer.in_span("work", |_| ()));
        (0..records).for_each(|_| logger.emit(logger.create_log_record()));
    };
    let small = BatchConfig::SPANS.with_max_queue_size(8).with_max_batch_size(8);

    // Dropped because of the number of items.
    let runtime = ManualRuntime::new();
    let telemetry = start(small, false, &runtime);
    record(&telemetry, 10, 11);
    runtime.run_timers();
    let dropped = |items: &str, signal, variable| {
        format!("warning: {items} dropped because 8 {signal} were already waiting (OTEL_{variable}_MAX_QUEUE_SIZE)")
    };
    assert_eq!(
        said(),
        [dropped("2 spans were", "spans", "BSP"), dropped("3 log records were", "log records", "BLRP")],
        "one message for each signal"
    );
    record(&telemetry, 20, 9);
    runtime.run_timers();
    record(&telemetry, 9, 0);
    telemetry.flush(Duration::from_secs(60)).unwrap();
    assert_eq!(said(), ["debug: flushed; since the start, 15 spans were dropped, 4 log records were dropped"]);
    telemetry.shutdown(Deadline::NEVER).unwrap();
    assert_eq!(
        said(),
        [
            dropped("13 more spans were", "spans", "BSP"),
            dropped("1 more log record was", "log records", "BLRP"),
            "debug: shut down; since the start, 15 spans were dropped, 4 log records were dropped".to_owned(),
        ],
        "the rest is reported at the end"
    );

    // Dropped because of their bytes.
    let runtime = ManualRuntime::new();
    let telemetry = start(BatchConfig::SPANS.with_max_queue_bytes(1), false, &runtime);
    record(&telemetry, 2, 0);
    telemetry.shutdown(Deadline::NEVER).unwrap();
    let why = "those that were waiting or being exported took most of 1 bytes (OTEL_RUST_BSP_MAX_QUEUE_BYTES)";
    assert_eq!(
        said(),
        [
            format!("warning: 2 spans were dropped because {why}"),
            "debug: shut down; since the start, 2 spans were dropped".to_owned()
        ]
    );

    // Not exported, or rejected.
    let runtime = ManualRuntime::new();
    let telemetry = start(small, true, &runtime);
    for _ in 0..2 {
        record(&telemetry, 1, 2);
        runtime.run_timers();
    }
    let down = "the receiver is down";
    let first = ["error: 1 span was not exported: ", "error: 2 log records were not exported: "];
    assert_eq!(said(), first.map(|line| format!("{line}{down}")));
    record(&telemetry, 3, 0);
    drop(telemetry);
    assert_eq!(
        said(),
        [
            "error: 4 more spans were not exported, the last of them because: the receiver is down",
            "error: 2 more log records were not exported, the last of them because: the receiver is down",
            "debug: shut down: not everything was exported; since the start, 5 spans were not exported, 4 log records were not \
             exported",
        ],
        "the reason of the end is not repeated"
    );
    let runtime = ManualRuntime::new();
    let telemetry = start(small, false, &runtime);
    for spans in [3, 3, 1] {
        record(&telemetry, spans, 0);
        runtime.run_timers();
    }
    drop(telemetry);
    assert_eq!(
        said(),
        [
            "warning: the receiver rejected 2 of 3 spans: too old",
            "warning: the receiver rejected 2 more spans, the last of them because: too old",
            "debug: shut down; since the start, 4 spans were not exported",
        ]
    );

    // Each signal has its own reason.
    let (release, wait) = sync_channel::<()>(0);
    let (hold, held) = sync_channel(1);
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_LOG_LEVEL", "debug")]))
        .with_span_exporter(Receiver { is_down: true })
        .with_log_exporter(Hanging { hold, wait })
        .build()
        .unwrap();
    record(&telemetry, 1, 1);
    // The spans get three fifths of it, which is enough on a busy machine too.
    let deadline = Deadline::after(Duration::from_secs(3));
    assert!(telemetry.shutdown(deadline).unwrap_err().to_string().contains(down));
    let lines = said();
    let of_records: Vec<_> = lines.iter().filter(|line| line.starts_with("error: 1 log record was")).collect();
    assert!(of_records.len() == 1 && !of_records[0].contains(down), "{lines:?}");
    held.recv().unwrap();
    drop(release);
    drop(telemetry);
    said();

    // Nothing was lost.
    let runtime = ManualRuntime::new();
    let telemetry = start(small, false, &runtime);
    record(&telemetry, 1, 1);
    drop(telemetry);
    assert_eq!(said(), ["debug: shut down: everything was exported"]);

    // What tail sampling and the limits dropped is not lost, and is said at the end.
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_LOG_LEVEL", "debug")]))
        .with_span_exporter(Receiver { is_down: false })
        .with_tail_sampling(TailSampling::new().keep(Policy::errors()))
        .with_item_limits(ItemLimits::new().with_max_spans_per_second(3))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .build()
        .unwrap();
    telemetry.tracer("test").in_span("fails", |context| context.span().set_status(Status::error("no")));
    record(&telemetry, 4, 0);
    drop(telemetry);
    let decisions = "tail sampling kept 1 trace (1 with an error) and dropped 2; limits dropped 2 spans";
    assert_eq!(said(), [format!("debug: shut down: everything was exported; {decisions}")]);
}
