//! Forks and signal handlers, created in the same way as by C libraries.
#![allow(clippy::expect_used, reason = "the test sees that the scenario fails")]
#![allow(clippy::disallowed_methods, reason = "a program that looks at the clock")]
#![allow(unsafe_code, reason = "std has neither forks nor handlers")]

use std::collections::HashSet;
use std::io::Write;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use libc::{SIGTERM, c_int, c_void, siginfo_t};
use telemark::Counter;
use telemark_sdk::id::{IdGenerator, RandomIds};
use telemark_sdk::time::Deadline;

use super::ends::{init, wait_for_signal, work};
use super::exporters::Nowhere;

/// The last signal that the program's own handler received, and the process that sent it.
static SEEN: AtomicI32 = AtomicI32::new(0);
static SENDER: AtomicI32 = AtomicI32::new(0);

extern "C" fn handler(signal: c_int) {
    SEEN.store(signal, Ordering::Relaxed);
}

extern "C" fn handler_with_information(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: for this signal, the kernel passes a valid `siginfo_t`.
    SENDER.store(unsafe { (*info).si_pid() }, Ordering::Relaxed);
    SEEN.store(signal, Ordering::Relaxed);
}

fn install(address: usize, flags: c_int) {
    // SAFETY: an all-zero `sigaction` is valid, and the handlers touch only atomics.
    unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = address;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(SIGTERM, &action, std::ptr::null_mut()), 0);
    }
}

/// Returns normally after the program's own handler has seen the signal.
fn end_when_seen(file: &Path) {
    println!("ready");
    drop(std::io::stdout().flush());
    let deadline = Deadline::after(Duration::from_secs(40));
    while SEEN.load(Ordering::Relaxed) == 0 && !deadline.has_passed() {
        std::thread::park_timeout(Duration::from_millis(2));
    }
    println!("the program's handler saw {}", SEEN.load(Ordering::Relaxed));
    // Once the file exists, the flush on the signal is over, so the order of the lines is always the same.
    while !file.exists() && !deadline.has_passed() {
        std::thread::park_timeout(Duration::from_millis(2));
    }
    work();
}

pub(crate) fn handler_before(file: &Path, with_information: bool) {
    if with_information {
        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = handler_with_information;
        install(handler as usize, libc::SA_SIGINFO);
    } else {
        let handler: extern "C" fn(c_int) = handler;
        install(handler as usize, 0);
    }
    let _telemetry = init(file);
    work();
    end_when_seen(file);
    println!("knows the sender: {}", (SENDER.load(Ordering::Relaxed) != 0) == with_information);
}

/// Installs a handler that does not call the previous one, as libc's `signal` and the ctrlc crate do.
pub(crate) fn handler_after(file: &Path) {
    let telemetry = init(file);
    let handler: extern "C" fn(c_int) = handler;
    install(handler as usize, 0);
    work();
    // This handler replaces Telemark's, so the signal causes no flush that could be awaited.
    telemetry.force_flush(Deadline::NEVER).expect("a file");
    end_when_seen(file);
}

/// Runs `child` in a forked process that then calls `exit`. Returns its wait status.
pub(super) fn fork(child: impl FnOnce()) -> c_int {
    drop(std::io::stdout().flush());
    // SAFETY: the child may run arbitrary code, which is what the scenario demonstrates.
    match unsafe { libc::fork() } {
        0 => {
            child();
            drop(std::io::stdout().flush());
            std::process::exit(0);
        }
        id => {
            assert!(id > 0, "no child");
            let mut status = 0;
            // SAFETY: `id` is the child created above.
            assert_eq!(unsafe { libc::waitpid(id, &mut status, 0) }, id);
            status
        }
    }
}

pub(super) fn ids() -> Vec<String> {
    (0..3).map(|_| RandomIds.trace_id().to_string()).collect()
}

pub(crate) fn children(file: &Path) {
    let telemetry = init(file);
    work();
    let ids_file = file.with_extension("ids");
    for child in ["first", "second"] {
        let status = fork(|| {
            std::fs::write(ids_file.with_extension(child), ids().join("\n")).expect("a file");
            let start = Instant::now();
            work();
            work();
            let flushed = telemetry.force_flush(Deadline::NEVER);
            println!("{child}: flushed: {}", flushed.is_ok());
            println!("{child}: {}", telemark::init().map(|_| "a second init").expect_err("it cannot start"));
            println!("{child}: shut down: {}", telemetry.shutdown(Deadline::NEVER).is_ok());
            println!("{child}: soon: {}", start.elapsed() < Duration::from_secs(3));
        });
        println!("{child}: status {status}");
    }
    let mut seen: HashSet<_> = ids().into_iter().collect();
    for child in ["first", "second"] {
        let ids = std::fs::read_to_string(ids_file.with_extension(child)).expect("the child's ids");
        seen.extend(ids.lines().map(str::to_owned));
        drop(std::fs::remove_file(ids_file.with_extension(child)));
    }
    println!("different ids: {}", seen.len());
    work();
}

/// Forks children that end one of the parent's spans and drop their copy of the guard.
pub(crate) fn child_of_a_span(file: &Path) {
    let mut telemetry = Some(init(file));
    telemark::span("of the parent").in_scope(|| {
        // Other threads keep recording, so that a lock may be held at the moment of a fork.
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        telemark::span("noise").in_scope(|| ());
                        // Holds the lock on standard error.
                        eprintln!("noise");
                    }
                });
            }
            let ended_well = (0..50).filter(|_| {
                let status = fork(|| {
                    let entered = telemark::span("of the child").enter();
                    drop(entered);
                    drop(telemetry.take());
                });
                status == 0
            });
            println!("children that ended well: {}", ended_well.count());
            stop.store(true, Ordering::Relaxed);
        });
    });
    drop(telemetry);
    // Remove the noise, because the amount that fits into the queue varies.
    drop(std::fs::remove_file(file));
}

static ORDERS: Counter<u64> = Counter::new("orders");

/// Forks while several threads create series, through a static and through the API, and another thread keeps collecting.
pub(crate) fn child_that_measures() {
    let telemetry = telemark::builder()
        .with_span_exporter(Nowhere)
        .with_metric_exporter(Nowhere)
        .with_flush_timeout(Duration::from_millis(100))
        .init()
        .expect("the first init of the process");
    let histogram = opentelemetry::global::meter("scenario").u64_histogram("sizes").build();
    let measure = |value: u64| {
        ORDERS.add(1, ("number", value as i64));
        histogram.record(value, &[opentelemetry::KeyValue::new("number", value as i64)]);
        opentelemetry::global::meter("scenario").f64_counter(format!("made.{}", value % 7)).build().add(1.0, &[]);
    };
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (measure, stop) = (&measure, &stop);
            scope.spawn(move || {
                (0..).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(|number| measure(number * 3 + thread));
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(telemetry.meter_provider().force_flush(Deadline::NEVER));
            }
        });
        let ended_well = (0..50).filter(|_| fork(|| (0..50).for_each(|value| measure(1_000_000 + value))) == 0);
        println!("children that ended well: {}", ended_well.count());
        stop.store(true, Ordering::Relaxed);
    });
}

/// Events at many call sites, so that threads look them up in the table that they share.
macro_rules! say {
    ($($word:literal)*) => { $(tracing::info!(said = $word, "said");)* };
}

fn say_much() {
    say!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
    say!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
    say!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
}

/// Forks while several threads emit events. Each child emits events at call sites that the program has not used before.
pub(crate) fn child_that_says() {
    let _telemetry = telemark::builder()
        .with_span_exporter(Nowhere)
        .with_log_exporter(Nowhere)
        .with_flush_timeout(Duration::from_millis(100))
        .with_instrumentation(telemark::tracing::install)
        .init()
        .expect("the first init of the process");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    say_much();
                }
            });
        }
        let ended_well = (0..200).take_while(|_| {
            let status = fork(|| {
                // SAFETY: ends a child that waits forever.
                unsafe { libc::alarm(10) };
                say!(0 1 2 3 4 5 6 7 8 9);
                tracing::info_span!("child").in_scope(say_much);
            });
            status == 0
        });
        println!("children that ended well: {}", ended_well.count());
        stop.store(true, Ordering::Relaxed);
    });
}

pub(crate) fn init_after(file: &Path) {
    // Creates ids and starts spans before any telemetry exists.
    let before = ids();
    work();
    let status = fork(|| {
        let _telemetry = init(file);
        work();
        println!("same ids: {}", ids() == before);
    });
    println!("status {status}");
}

/// Signals a child that has inherited the handler. The parent keeps running.
pub(crate) fn signal_to_a_child(file: &Path) {
    let _telemetry = init(file);
    let status = fork(|| {
        // SAFETY: this only sends a signal to the process itself.
        unsafe { libc::kill(libc::getpid(), SIGTERM) };
        wait_for_signal();
    });
    println!("the child ended by signal {}", libc::WTERMSIG(status));
    work();
}
