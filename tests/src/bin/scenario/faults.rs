//! Exporters that do what an exporter should not.
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
    // Not before the four fifths of the timeout that spans have, and not for ever: the machine may be busy.
    println!("drop returned in time: {}", took >= Duration::from_millis(240) && took < Duration::from_secs(5));
}

/// OTLP to where the environment says, which takes connections and never answers.
pub(crate) fn receiver_hangs() {
    let telemetry = telemark::builder().with_flush_timeout(Duration::from_millis(300)).init();
    let telemetry = telemetry.expect("the first init of the process");
    work();
    drop_in_time(telemetry);
}

/// OTLP to where nobody listens: the end comes while a batch is tried again and again.
pub(crate) fn nobody_listens() {
    /// As `OTEL_BSP_MAX_QUEUE_SIZE` says.
    const QUEUE: u64 = 8;
    let telemetry = telemark::builder().with_flush_timeout(Duration::from_secs(60)).init();
    let telemetry = telemetry.expect("the first init of the process");
    // When more have been taken than the queue holds, some are on their way.
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
    // The worker exports whatever is there when it starts; from here on it does when it is asked.
    println!("flush: {:?}", telemetry.force_flush(Deadline::NEVER).is_ok());
    work();
    println!("flush: {:?}", telemetry.force_flush(Deadline::NEVER).map_err(|error| error.to_string()));
    work();
    println!("flush: {:?}", telemetry.force_flush(Deadline::NEVER).map_err(|error| error.to_string()));
    print_health(&telemetry);
}

/// The exporter's own spans would be exported, which makes spans, which are exported ...
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
    // The first call stays.
    drop(PROVIDER.set(telemetry.tracer_provider().clone()));
    work();
    println!("flush: {:?}", telemetry.force_flush(Deadline::NEVER).is_ok());
    print_health(&telemetry);
}
