//! Programs in the situations that `tests/lifecycle.rs` and `tests/termination.rs` describe: `scenario NAME FILE`.
//! Exported spans go to the file, one per line, unless the scenario sends them over OTLP.

mod attacks;
mod children;
mod ends;
mod exporters;
mod faults;
mod forks;
mod load;
mod memory;
mod reloads;
mod runtimes;
mod server;
mod termination;

use std::path::PathBuf;
use std::process::ExitCode;

use attacks::End;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(file)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        eprintln!("usage: scenario NAME FILE");
        return ExitCode::from(2);
    };
    match &*name {
        "tokio main" => runtimes::tokio_main(),
        "one worker" => runtimes::one_worker(),
        "current thread" => runtimes::current_thread(),
        "guard outside of the runtime" => runtimes::guard_outside(),
        "without tokio" => runtimes::without_tokio(),

        "panic" => ends::panic(&file),
        "guard in a thread-local" => ends::guard_in_thread_local(&file),
        "process exit with the guard in a thread-local" => ends::exit_with_guard_in_thread_local(&file),
        "spans in a thread-local's destructor" => ends::spans_in_destructor(&file),
        "spans in a destructor after the context's" => ends::spans_in_late_destructor(&file),
        "program that starts a program" => ends::starts_a_program(&file),
        "forgotten guard" => ends::forgotten_guard(&file),
        "signal" => ends::signal(&file),
        "signal while traces are held" => termination::signal_with_held_traces(&file),
        "signal while the receiver hangs" => ends::signal_with_hanging_receiver(),
        "process exit" => termination::process_exit(&file),
        "leaked guard" => termination::leaked_guard(&file),
        "guard dropped at once" => termination::guard_dropped_at_once(&file),
        "measurements after the guard" => termination::measurements_after_the_guard(),
        "exporter exits" => termination::exporter_exits(&file),
        "signal with metrics" => termination::signal_with_metrics(),
        "signal without a handler" => termination::signal_without_handler(&file),
        "ignored signals" => termination::ignored_signals(&file),
        "no threads" => termination::no_threads(&file),
        "no thread for signals" => termination::no_thread_for_signals(&file),

        "signals for sigwait" => attacks::signals_for_sigwait(&file),
        "storm of handled signals" => attacks::storm_of_handled_signals(),
        "full standard error, drop" => attacks::full_standard_error(End::Drop),
        "full standard error, exit" => attacks::full_standard_error(End::Exit),
        "full standard error, signal" => attacks::full_standard_error(End::Signal),
        "held standard error, drop" => attacks::held_standard_error(End::Drop),
        "held standard error, exit" => attacks::held_standard_error(End::Exit),
        "held standard error, signal" => attacks::held_standard_error(End::Signal),
        "broken pipe as standard error" => attacks::broken_standard_error(false),
        "broken socket as standard error" => attacks::broken_standard_error(true),
        "one message" => attacks::one_message(),
        "closed descriptors" => attacks::closed_descriptors(&file),
        "exit in a signal handler" => attacks::exit_in_a_signal_handler(&file),
        "processor hangs, drop" => attacks::processor_hangs(&file, End::Drop),
        "processor hangs, exit" => attacks::processor_hangs(&file, End::Exit),
        "processor hangs, signal" => attacks::processor_hangs(&file, End::Signal),

        "draining server, its handler first" => server::drains(&file, true),
        "draining server, telemetry first" => server::drains(&file, false),

        "handler before" => forks::handler_before(&file, false),
        "handler with information before" => forks::handler_before(&file, true),
        "handler after" => forks::handler_after(&file),
        "forked children" => forks::children(&file),
        "children of a span" => forks::child_of_a_span(&file),
        "children that measure" => forks::child_that_measures(),
        "children that use tracing" => forks::child_that_says(),
        "children that fail" => children::child_that_fails(),
        "children of a program with a viewer" => children::child_without_a_viewer(),
        "children during changes" => children::child_during_changes(),
        "children of a program that holds traces" => children::child_without_held_traces(&file),
        "init after the fork" => forks::init_after(&file),
        "signal to a child" => forks::signal_to_a_child(&file),

        "shutdown on two threads" => ends::shutdown_on_two_threads(&file),
        "second init" => ends::second_init(&file),
        "disabled" => ends::disabled(&file),

        "exporter hangs" => faults::hangs(&file),
        "receiver hangs" => faults::receiver_hangs(),
        "nobody listens" => faults::nobody_listens(),
        "exporter panics" => faults::panics(&file),
        "exporter records" => faults::records(&file),
        "exporter flushes" => faults::flushes(&file),

        "128 attributes of 8 KB, http/protobuf" => memory::receiver_hangs(memory::attributes, "http/protobuf"),
        "128 attributes of 8 KB, grpc" => memory::receiver_hangs(memory::attributes, "grpc"),
        "128 events of 8 KB, http/protobuf" => memory::receiver_hangs(memory::events, "http/protobuf"),
        "128 events of 8 KB, grpc" => memory::receiver_hangs(memory::events, "grpc"),
        "one attribute of 1 MB, http/protobuf" => memory::receiver_hangs(memory::one_attribute, "http/protobuf"),
        "one attribute of 1 MB, grpc" => memory::receiver_hangs(memory::one_attribute, "grpc"),

        "reloads" => reloads::follows_its_file(&file, false),
        "reloads with a handler" => reloads::follows_its_file(&file, true),
        "hangs up" => reloads::hangs_up(&file),

        "flushes while threads record" => load::flushes(&file),
        "shutdown while threads record" => load::shutdown(&file),
        _ => {
            eprintln!("there is no scenario {name:?}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
