//! Children that are forked while other threads of the parent use its telemetry.
#![allow(clippy::expect_used, reason = "the test sees that the scenario fails")]
#![allow(unsafe_code, reason = "std has neither forks nor alarms")]

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::logs::Logger;
use opentelemetry::trace::{TraceContextExt, Tracer};
use telemark::Configurator;
use telemark::logs::LoggerConfig;
use telemark::metrics::MeterConfig;
use telemark::sampling::TraceIdRatio;
use telemark::trace::TracerConfig;
use telemark_sdk::config::Env;
use telemark_sdk::span_filter::{self, Level, SpanFilter};
use telemark_sdk::time::Deadline;

use super::ends::work;
use super::exporters::Nowhere;
use super::forks::{fork, ids};
use super::termination::with_tail_sampling;

/// Defines an error with many variants, and a function that returns one of them.
macro_rules! failure {
    ($name:ident $fail:ident) => {
        enum $name {
            Number(usize),
            #[allow(dead_code, reason = "a type with one variant has no name for it")]
            Other,
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $name::Number(number) => write!(f, "Number{number}("),
                    $name::Other => f.write_str("Other"),
                }
            }
        }

        #[telemark::traced]
        fn $fail(number: usize) -> Result<(), $name> {
            Err($name::Number(number))
        }
    };
}

failure!(Failure fail);
failure!(ParentFailure fail_in_parent);

/// Fails on two threads at the same time with one variant after another. Returns how many spans name another `error.type`.
fn misnamed_failures() -> usize {
    const VARIANTS: usize = 100;
    let arrived = std::sync::atomic::AtomicUsize::new(0);
    let run = || {
        let telemetry = telemark::testing::TestTelemetry::new();
        let _attached = telemetry.attach();
        for number in 0..VARIANTS {
            arrived.fetch_add(1, Ordering::Relaxed);
            while arrived.load(Ordering::Relaxed) < 2 * (number + 1) {
                std::thread::yield_now();
            }
            drop(fail(number));
        }
        let spans = telemetry.spans();
        let names = |number: usize| {
            let is_type = |one: &&opentelemetry::KeyValue| one.key.as_str() == "error.type";
            spans[number].attributes().find(is_type).map(|one| one.value.to_string())
        };
        let is_named = |number: &usize| names(*number).is_some_and(|name| name.ends_with(&format!("::Number{number}")));
        VARIANTS - (0..VARIANTS).filter(is_named).count()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(run);
        run() + other.join().expect("the failures")
    })
}

/// Forks while another thread names errors. Each child names errors on two threads.
pub(crate) fn child_that_fails() {
    // Notices forks from now on, and prepares what processes do only once.
    drop(ids());
    let fail_for_a_while = || {
        let telemetry = telemark::testing::TestTelemetry::new();
        let _attached = telemetry.attach();
        (0..1000).for_each(|number| drop(fail_in_parent(number)));
    };
    fail_for_a_while();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                fail_for_a_while();
            }
        });
        let ended_well = (0..20).filter(|_| {
            let status = fork(|| {
                // SAFETY: ends a child that waits forever.
                unsafe { libc::alarm(30) };
                let misnamed = misnamed_failures();
                if misnamed > 0 {
                    println!("misnamed: {misnamed}");
                }
            });
            status == 0
        });
        println!("children that ended well: {}", ended_well.count());
        stop.store(true, Ordering::Relaxed);
    });
}

/// Forks while several threads ask for the link of the viewer and start spans that it follows.
pub(crate) fn child_without_a_viewer() {
    let variables = [("OTEL_TRACES_EXPORTER", "viewer"), ("OTEL_RUST_VIEWER_ADDRESS", "127.0.0.1:0")];
    let telemetry = telemark::builder()
        .with_env(Env::from_pairs(variables))
        .with_flush_timeout(Duration::from_millis(100))
        .init()
        .expect("the first init of the process");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    telemark::span("noise").in_scope(|| assert!(telemark::viewer().is_some()));
                }
            });
        }
        let ended_well = (0..50).filter(|_| {
            let status = fork(|| {
                // SAFETY: ends a child that waits forever.
                unsafe { libc::alarm(10) };
                work();
                // The page belongs to the parent.
                assert_eq!(telemark::viewer(), None);
            });
            status == 0
        });
        println!("children that ended well: {}", ended_well.count());
        stop.store(true, Ordering::Relaxed);
    });
    drop(telemetry);
}

/// Forks while the parent holds a trace, whose local root is running, and other threads start and end local roots. The telemetry is
/// not installed, and so is not switched off in the children.
pub(crate) fn child_without_held_traces(file: &Path) {
    let telemetry = with_tail_sampling(file).build().expect("a telemetry");
    let tracer = telemetry.tracer("scenario");
    let root = Context::new().with_span(tracer.start_with_context("of the parent", &Context::new()));
    drop(tracer.start_with_context("held", &root));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop(tracer.start_with_context("noise", &Context::new()));
                }
            });
        }
        let ended_well = (0..100).take_while(|_| {
            let status = fork(|| {
                // SAFETY: ends a child that waits forever.
                unsafe { libc::alarm(10) };
                (0..200).for_each(|_| drop(tracer.start_with_context("of the child", &Context::new())));
                root.span().end();
                drop(telemetry.tracer_provider().force_flush(Deadline::NEVER));
                drop(telemetry.tracer_provider().shutdown(Deadline::NEVER));
            });
            status == 0
        });
        println!("children that ended well: {}", ended_well.count());
        stop.store(true, Ordering::Relaxed);
    });
    // The noise may have filled the queue.
    drop(telemetry.force_flush(Deadline::NEVER));
    root.span().end();
    drop(telemetry);
}

/// Forks while several threads change a telemetry that is not installed, and so is not switched off in the children.
pub(crate) fn child_during_changes() {
    let telemetry = telemark::builder()
        .with_span_exporter(Nowhere)
        .with_log_exporter(Nowhere)
        .with_metric_exporter(Nowhere)
        .with_flush_timeout(Duration::from_millis(100))
        .build()
        .expect("a telemetry");
    let control = telemetry.control();
    let change = |is_enabled: bool| {
        control.set_sampler(TraceIdRatio::new(0.5));
        control.set_tracer_config(Configurator::default().with_scopes("a*", TracerConfig::new().with_enabled(false)));
        control.set_meter_config(Configurator::new(MeterConfig::new().with_enabled(is_enabled)));
        control.set_logger_config(Configurator::new(LoggerConfig::new().with_enabled(is_enabled)));
        control.set_traces_enabled(is_enabled);
        control.set_span_filter(SpanFilter::up_to(is_enabled.then_some(Level::Info)));
        control.set_log_filter(is_enabled.then(SpanFilter::default));
        control.disable();
        control.enable();
    };
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(|n| change(n % 2 == 0)));
        }
        let ended_well = (0..200).take_while(|_| {
            let status = fork(|| {
                // SAFETY: ends a child that waits forever.
                unsafe { libc::alarm(10) };
                for name in ["a", "b"] {
                    drop(telemetry.tracer(name).start("of the child"));
                    let logger = telemetry.logger(name);
                    logger.emit(logger.create_log_record());
                    telemetry.meter(name).u64_counter("children").build().add(1, &[]);
                }
                change(true);
                // Also without the control, which does nothing in a child.
                work();
                span_filter::set(SpanFilter::default());
                span_filter::records::set(Some((*span_filter::records::current()).clone()));
                drop(telemetry.tracer_provider().shutdown(Deadline::after(Duration::from_secs(1))));
            });
            status == 0
        });
        println!("children that ended well: {}", ended_well.count());
        stop.store(true, Ordering::Relaxed);
    });
}
