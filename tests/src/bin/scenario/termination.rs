//! Programs that end without dropping their guard, or that drop it too early.
#![allow(clippy::expect_used, reason = "the test sees that the scenario fails")]
#![allow(clippy::let_underscore_must_use, reason = "the mistake that is shown")]

use std::path::Path;
use std::process::{Command, exit};
use std::time::Duration;

use telemark::Counter;
use telemark_sdk::config::Env;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Traces;
use telemark_sdk::stages::tail::{Policy, TailSampling};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use super::ends::{init, wait_for_signal, work};
use super::exporters::Lines;

static ORDERS: Counter<u64> = Counter::new("orders");

pub(crate) fn process_exit(file: &Path) {
    let _telemetry = init(file);
    work();
    exit(3);
}

pub(crate) fn leaked_guard(file: &Path) {
    std::mem::forget(init(file));
    work();
}

pub(crate) fn guard_dropped_at_once(file: &Path) {
    let _ = init(file);
    println!("is said below, once");
    work();
    work();
    telemark::span("by hand").in_scope(work);
}

/// Returns a telemetry that keeps all traces but `noise`, once their local roots have ended.
pub(super) fn with_tail_sampling(file: &Path) -> TelemetryBuilder {
    let tail = TailSampling::new().keep(Policy::root_name(["noise"]).not()).with_deadline(Duration::from_secs(3600));
    telemark::builder().with_span_exporter(Lines::new(file)).with_tail_sampling(tail)
}

/// Waits for a signal while a trace is held, whose local root is running.
pub(crate) fn signal_with_held_traces(file: &Path) {
    let _telemetry = with_tail_sampling(file).init().expect("the first init of the process");
    telemark::span("running").in_scope(|| {
        work();
        wait_for_signal();
    });
}

/// Exports only metrics, over OTLP to the endpoint from the environment.
pub(crate) fn measurements_after_the_guard() {
    let telemetry = telemark::init().expect("the first init of the process");
    ORDERS.add(1, ());
    drop(telemetry);
    ORDERS.add(1, ());
    ORDERS.add(1, ());
}

/// Exits the program in the middle of an export.
struct Exits;

impl Exporter<Traces> for Exits {
    fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        exit(4);
    }
}

/// Exits on the same thread that the exit handler would wait for.
pub(crate) fn exporter_exits(file: &Path) {
    let builder = telemark::builder().with_span_exporter(Lines::new(file)).with_span_exporter(Exits);
    let telemetry =
        builder.with_flush_timeout(Duration::from_secs(3600)).init().expect("the first init of the process");
    work();
    drop(telemetry.force_flush(Deadline::NEVER));
    println!("the flush returned");
}

/// Exports spans and metrics over OTLP to the endpoint from the environment.
pub(crate) fn signal_with_metrics() {
    let builder = telemark::builder().with_flush_timeout(Duration::from_secs(2));
    let _telemetry = builder.init().expect("the first init of the process");
    work();
    ORDERS.add(7, ());
    wait_for_signal();
}

pub(crate) fn signal_without_handler(file: &Path) {
    let builder = telemark::builder().with_span_exporter(Lines::new(file)).with_termination_handler(false);
    let _telemetry = builder.init().expect("the first init of the process");
    work();
    wait_for_signal();
}

/// Runs under a parent that ignores both signals, as `nohup` and background jobs do.
pub(crate) fn ignored_signals(file: &Path) {
    let _telemetry = init(file);
    work();
    for signal in ["-TERM", "-INT"] {
        let sent = Command::new("kill").arg(signal).arg(std::process::id().to_string()).status();
        println!("sent {signal}: {}", sent.expect("there is kill").success());
    }
    println!("caught: {:x}", caught_signals() & (1 << 14 | 1 << 1));
}

/// Returns the mask of signals with a handler in this process, or 0 if it cannot be read.
fn caught_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Runs in an environment that requests larger stacks than any machine can provide.
pub(crate) fn no_threads(file: &Path) {
    match telemark::builder().with_span_exporter(Lines::new(file)).init() {
        Ok(_) => println!("there was a thread"),
        Err(error) => println!("{}", error.to_string().split(" (").next().unwrap_or_default()),
    }
    work();
}

/// Runs in the same environment, with an exporter that does not need a thread.
pub(crate) fn no_thread_for_signals(file: &Path) {
    let telemetry = Telemetry::builder(Env::process())
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_span_exporter(Lines::new(file))
        .with_termination_handler(true)
        .build();
    let telemetry = telemetry.and_then(Telemetry::install);
    println!("installed: {}", telemetry.is_ok());
    work();
    std::mem::forget(telemetry);
}
