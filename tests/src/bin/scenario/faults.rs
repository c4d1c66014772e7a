//! Exporters that misbehave.
#![allow(clippy::expect_used, clippy::panic, reason = "the test sees that the scenario fails")]
#![allow(clippy::disallowed_methods, reason = "a program that looks at the clock")]

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use opentelemetry::trace::Tracer;
use telemark::{Guard, traced};
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SdkTracerProvider;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use super::exporters::Lines;

#[traced]
fn work() {}

/// Calls a function before each export.
struct Before<F>(Lines, F);

impl<F: FnMut() + Send + 'static> Exporter<Traces> for Before<F> {
    fn export(&mut self, batch: Batch<'_, Traces>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        (self.1)();
        self.0.export(batch, deadline)
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shutdown(deadline)
    }
}

fn init(file: &Path, before: impl FnMut() + Send + 'static) -> Guard {
    telemark::builder()
        .with_span_exporter(Before(Lines::new(file), before))
        .with_flush_timeout(Duration::from_millis(300))
        .init()
        .expect("the first init of the process")
}

fn print_health(telemetry: &Guard) {
    for health in telemetry.health().traces {
        println!("exported {}, failed {}", health.exported, health.failed);
    }
}

pub(crate) fn hangs(file: &Path) {
    let telemetry = init(file, || {
        loop {
            std::thread::park();
        }
    });
    work();
    let deadline = Deadline::after(Duration::from_millis(50));
    println!("flush: {:?}", telemetry.force_flush(deadline).map_err(|error| error.error_type()));
    work();
    drop_in_time(telemetry);
}

fn drop_in_time(telemetry: Guard) {
    let start = Instant::now();
    drop(telemetry);
    let took = start.elapsed();
    // Spans get at least three fifths of the timeout. The upper limit is generous, because the machine may be busy.
    println!("drop returned in time: {}", took >= Duration::from_millis(180) && took < Duration::from_secs(5));
}

/// Exports over OTLP to the endpoint from the environment, which accepts connections and never responds.
pub(crate) fn receiver_hangs() {
    let telemetry = telemark::builder().with_flush_timeout(Duration::from_millis(300)).init();
    let telemetry = telemetry.expect("the first init of the process");
    work();
    drop_in_time(telemetry);
}

/// Exports over OTLP to an endpoint without a listener and shuts down while a batch is being retried.
pub(crate) fn nobody_listens() {
    /// The value of `OTEL_BSP_MAX_QUEUE_SIZE` in the test.
    const QUEUE: u64 = 8;
    let telemetry = telemark::builder().with_flush_timeout(Duration::from_secs(60)).init();
    let telemetry = telemetry.expect("the first init of the process");
    // Once more spans have been accepted than the queue holds, some of them are being exported.
    let mut made = 0;
    while made - telemetry.health().traces[0].dropped_queue_full <= QUEUE {
        work();
        made += 1;
        std::thread::yield_now();
    }
    let start = Instant::now();
    drop(telemetry);
    println!("drop returned soon: {}", start.elapsed() < Duration::from_secs(20));
}

pub(crate) fn panics(file: &Path) {
    let mut first = true;
    let telemetry = init(file, move || {
        if std::mem::take(&mut first) {
            panic!("on purpose");
        }
    });
    // The worker exports once when it starts. After this flush, it exports only on request.
    println!("flush: {:?}", telemetry.force_flush(Deadline::NEVER).is_ok());
    work();
    println!("flush: {:?}", telemetry.force_flush(Deadline::NEVER).map_err(|error| error.to_string()));
    work();
    println!("flush: {:?}", telemetry.force_flush(Deadline::NEVER).map_err(|error| error.to_string()));
    print_health(&telemetry);
}

/// Records spans inside the exporter. Exporting those would record more spans, in an endless loop.
pub(crate) fn records(file: &Path) {
    let telemetry = init(file, || {
        work();
        telemark::span("by hand").in_scope(work);
        opentelemetry::global::tracer("exporter").in_span("by the API", |_| work());
    });
    for _ in 0..3 {
        work();
        println!("flush: {:?}", telemetry.force_flush(Deadline::NEVER).is_ok());
    }
    print_health(&telemetry);
}

pub(crate) fn flushes(file: &Path) {
    static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();
    let telemetry = init(file, || {
        let provider = PROVIDER.get().expect("set before the first span");
        println!("in the exporter: {:?}", provider.force_flush(Deadline::NEVER).map_err(|error| error.to_string()));
    });
    // The cell is empty, so `set` succeeds.
    drop(PROVIDER.set(telemetry.tracer_provider().clone()));
    work();
    println!("flush: {:?}", telemetry.force_flush(Deadline::NEVER).is_ok());
    print_health(&telemetry);
}
