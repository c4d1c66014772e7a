//! A program that follows its configuration file, under load, and its children.
#![allow(clippy::expect_used, reason = "the test sees that the scenario fails")]
#![allow(clippy::disallowed_methods, reason = "a program with threads of its own")]
#![allow(unsafe_code, reason = "std has neither forks nor handlers")]

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use libc::{SIGHUP, c_int};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use telemark::Guard;
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::time::Deadline;

use super::exporters::Lines;
use super::forks::fork;

static HANGUPS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: c_int) {
    HANGUPS.fetch_add(1, Ordering::Relaxed);
}

fn say(line: &str) {
    println!("{line}");
    drop(std::io::stdout().flush());
}

/// Records 10,000 spans per second and thread, and says whenever the file has switched sampling on or off. With `has_handler`, the program
/// has a handler of SIGHUP of its own. Ends when its log level becomes `error`.
pub(crate) fn follows_its_file(file: &Path, has_handler: bool) {
    if has_handler {
        // SAFETY: the handler only counts.
        unsafe { libc::signal(SIGHUP, count as extern "C" fn(c_int) as libc::sighandler_t) };
    }
    let batch = BatchConfig::SPANS.with_max_queue_size(1 << 20).with_max_queue_bytes(usize::MAX);
    let telemetry = telemark::builder()
        .with_span_exporter(Lines::new(file))
        .with_span_batch(batch)
        .with_reload_on_sighup(true)
        .init()
        .expect("the first init of the process");
    let (sampled, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..10 {
                        let _span = telemark::span("span").enter();
                        let is_sampled = Context::current().span().span_context().is_sampled();
                        sampled.fetch_add(u64::from(is_sampled), Ordering::Relaxed);
                    }
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            });
        }
        report(&telemetry);
        stop.store(true, Ordering::Relaxed);
    });
    // The parent has read nothing for them, so they see what it had, and SIGHUP neither ends them nor is passed on.
    let before = telemetry.health().config;
    let status = fork(|| {
        // SAFETY: ends a child that waits forever, and sends a signal to the process itself.
        unsafe {
            libc::alarm(10);
            libc::kill(libc::getpid(), SIGHUP);
        }
        let error = telemetry.control().reload().expect_err("a child reloads nothing");
        println!("child: {}", error.to_string().starts_with("reload: telemetry is off in a forked child"));
        println!("child: same health: {}", telemetry.health().config == before);
    });
    println!("child: status {status}");
    let ended = telemetry.shutdown(Deadline::after(Duration::from_secs(20)));
    let sampled = sampled.into_inner();
    let written = std::fs::read_to_string(file).unwrap_or_default();
    let exported = written.lines().filter(|line| *line == "span").count() as u64;
    // The amount varies.
    drop(std::fs::remove_file(file));
    println!("shutdown: {}, spans lost: {}", ended.is_ok(), sampled.abs_diff(exported));
    println!("the program's handler was called: {}", HANGUPS.load(Ordering::Relaxed) > 0);
}

/// Says what the file does, until it asks for the end.
fn report(telemetry: &Guard) {
    say("ready");
    let mut before = None;
    loop {
        let health = telemetry.health().config;
        if before.as_ref() != Some(&health) {
            let is_sampled = telemark::span("look").in_scope(|| Context::current().span().span_context().is_sampled());
            say(&format!("{} applied, {} refused, sampled {is_sampled}", health.applied, health.refused));
            before = Some(health);
        }
        if !telemark_sdk::diag::is_shown(telemark_sdk::diag::Level::Warn) {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Has no file, or a file that nothing looks at.
pub(crate) fn hangs_up(file: &Path) {
    let _telemetry = telemark::builder()
        .with_span_exporter(Lines::new(file))
        .with_reload_on_sighup(true)
        .init()
        .expect("the first init of the process");
    // SAFETY: only sends a signal to the process itself.
    unsafe { libc::kill(libc::getpid(), SIGHUP) };
    say("goes on");
    super::ends::wait_for_signal();
}
