//! Programs that end, normally or otherwise.
#![allow(clippy::expect_used, clippy::panic, reason = "the test sees that the scenario fails")]
#![allow(clippy::disallowed_methods, reason = "a program with threads of its own")]

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use telemark::{Guard, traced};
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use super::exporters::Lines;

pub(crate) fn init(file: &Path) -> Guard {
    telemark::builder().with_span_exporter(Lines::new(file)).init().expect("the first init of the process")
}

#[traced]
pub(crate) fn work() {}

#[traced]
fn failing() {
    panic!("on purpose");
}

pub(crate) fn panic(file: &Path) {
    let _telemetry = init(file);
    work();
    failing();
}

/// Prints the variables of context that a program has which is started in a span; `OWN` is the id of that span.
pub(crate) fn starts_a_program(file: &Path) {
    let _telemetry = init(file);
    let _starter = telemark::propagation::extract_environment().attach();
    telemark::span("starts").in_scope(|| {
        let own = telemark::current_span_context();
        let mut command = std::process::Command::new("env");
        telemark::propagation::inject_environment(&mut command);
        let output = command.output().expect("`env` is there").stdout;
        let text = String::from_utf8_lossy(&output).into_owned();
        let mut lines: Vec<_> =
            text.lines().filter(|line| line.starts_with("TRACE") || line.starts_with("BAG")).collect();
        lines.sort_unstable();
        for line in lines {
            println!("{}", line.replace(&own.span_id().to_string(), "OWN"));
        }
    });
}

thread_local! {
    static GUARD: RefCell<Option<Guard>> = const { RefCell::new(None) };
}

pub(crate) fn guard_in_thread_local(file: &Path) {
    let telemetry = init(file);
    GUARD.set(Some(telemetry));
    work();
}

pub(crate) fn exit_with_guard_in_thread_local(file: &Path) {
    guard_in_thread_local(file);
    std::process::exit(3);
}

/// Records spans in its destructor.
struct Recording(Cell<bool>);

impl Drop for Recording {
    fn drop(&mut self) {
        telemark::span("in the destructor").in_scope(work);
        telemark::set_attribute("key", "value");
        println!("destructor ran");
    }
}

thread_local! {
    static RECORDING: Recording = const { Recording(Cell::new(false)) };
}

/// Creates the thread-local after the API's context. Thread-locals are destroyed in reverse order of first use, so its
/// destructor runs before the context's destructor.
pub(crate) fn spans_in_destructor(file: &Path) {
    let _telemetry = init(file);
    let thread = std::thread::spawn(|| {
        work();
        RECORDING.with(|recording| recording.0.set(true));
    });
    println!("thread ended well: {}", thread.join().is_ok());
}

/// Creates the thread-local before the API's context, so its destructor runs after the context's destructor.
pub(crate) fn spans_in_late_destructor(file: &Path) {
    let _telemetry = init(file);
    let thread = std::thread::spawn(|| {
        RECORDING.with(|recording| recording.0.set(true));
        work();
    });
    println!("thread ended well: {}", thread.join().is_ok());
}

/// Forgets the guard. Full batches are still exported immediately, and the rest after the delay.
pub(crate) fn forgotten_guard(file: &Path) {
    let batch = BatchConfig::SPANS.with_max_batch_size(2).with_schedule_delay(Duration::from_millis(20));
    let telemetry = telemark::builder().with_span_exporter(Lines::new(file)).with_span_batch(batch).init();
    std::mem::forget(telemetry.expect("the first init of the process"));
    for _ in 0..3 {
        work();
    }
    await_lines(file, 3);
}

fn await_lines(file: &Path, count: usize) {
    let deadline = Deadline::after(Duration::from_secs(20));
    while std::fs::read_to_string(file).unwrap_or_default().lines().count() < count && !deadline.has_passed() {
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Waits for a signal that the test sends once it has read `ready`.
pub(crate) fn signal(file: &Path) {
    let builder = telemark::builder().with_span_exporter(Lines::new(file));
    let _telemetry = builder.init().expect("the first init of the process");
    work();
    wait_for_signal();
}

/// Waits for the same signal, but exports over OTLP to the endpoint from the environment.
pub(crate) fn signal_with_hanging_receiver() {
    let builder = telemark::builder().with_flush_timeout(Duration::from_secs(3600));
    let _telemetry = builder.init().expect("the first init of the process");
    work();
    wait_for_signal();
}

pub(crate) fn wait_for_signal() {
    println!("ready");
    // Flush standard output, because it may be buffered and the test waits for this line.
    drop(std::io::stdout().flush());
    let deadline = Deadline::after(Duration::from_secs(40));
    while !deadline.has_passed() {
        std::thread::park_timeout(Duration::from_secs(1));
    }
    println!("no signal came");
}

/// Reports the start of each export, then exports slowly.
struct Slow(Lines, std::sync::mpsc::Sender<()>);

impl Exporter<Traces> for Slow {
    fn export(&mut self, batch: Batch<'_, Traces>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        self.1.send(()).expect("the scenario waits");
        let until = Deadline::after(Duration::from_millis(200));
        while let Some(left) = until.remaining().filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
        self.0.export(batch, deadline)
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shutdown(deadline)
    }
}

/// Ends `main` while another thread is still exporting, as happens during a flush on a signal. The program must not end
/// before the export has finished.
pub(crate) fn shutdown_on_two_threads(file: &Path) {
    let (begun, exporting) = std::sync::mpsc::channel();
    let telemetry = telemark::builder().with_span_exporter(Slow(Lines::new(file), begun)).init();
    let telemetry = telemetry.expect("the first init of the process");
    work();
    let tracers = telemetry.tracer_provider().clone();
    let _other = std::thread::spawn(move || tracers.shutdown(Deadline::NEVER));
    exporting.recv().expect("an export begins");
    drop(telemetry);
}

pub(crate) fn second_init(file: &Path) {
    let telemetry = init(file);
    match telemark::builder().with_span_exporter(Lines::new(&file.with_extension("second"))).init() {
        Ok(_) => println!("a second init succeeded"),
        Err(error) => println!("{error}"),
    }
    work();
    drop(telemetry);
    match telemark::init() {
        Ok(_) => println!("an init after the end succeeded"),
        Err(error) => println!("{error}"),
    }
    work();
}

pub(crate) fn disabled(file: &Path) {
    use std::collections::HashMap;

    let telemetry = init(file);
    work();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let incoming = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
    let mut outgoing = HashMap::new();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&propagator.extract(&incoming), &mut outgoing);
    });
    println!("{:?}", outgoing.get("traceparent").map(|header| header == parent));
    println!("{:?}", telemetry.health().traces);
    #[cfg(target_os = "linux")]
    println!("threads: {}", std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count));
}
