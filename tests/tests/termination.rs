//! Programs that end without dropping their guard: on signals, at exit, as the first process of a container, and in
//! forked children. Each scenario runs in its own process; see `src/bin/scenario`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]
#![allow(clippy::disallowed_methods, reason = "tests that wait for processes")]

mod program;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use program::{PATIENCE, Running, await_condition, check};
use telemark_tests::{Script, Sink, skip};

#[test]
fn exit_exports_everything() {
    check("process exit", "\nexit 3\n> work\n> (shut down)\n");
}

#[test]
fn a_leaked_guard_exports_at_exit() {
    check("leaked guard", "\nexit 0\n> work\n> (shut down)\n");
}

/// Otherwise, the exit would wait an hour for its own thread.
#[test]
fn an_exporter_that_exits_does_not_wait_for_itself() {
    let said = "! telemark error: 1 span was not exported: an exporter cannot wait for its own thread\n";
    check("exporter exits", &format!("\nexit 4\n> work\n> (shut down)\n{said}"));
}

const GUARD_IS_GONE: &str = "later ones are lost; keep it in a named variable until the end of main: \
    `let _telemetry = telemark::init()?;` (`let _ =` drops it at once)\n";

#[test]
fn a_guard_that_is_dropped_at_once_is_said_once() {
    check(
        "guard dropped at once",
        &format!(
            "
exit 0
is said below, once
> (shut down)
! telemark warning: telemetry ended when its guard was dropped, so this span and {GUARD_IS_GONE}"
        ),
    );
}

#[test]
fn a_measurement_after_the_guard_is_said_once() {
    let sink = Sink::start(Script::Take).unwrap();
    let end =
        Running::start("measurements after the guard", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint())]).end();
    let said = "telemark warning: telemetry ended when its guard was dropped, so this measurement and";
    assert_eq!(end, format!("exit 0\n! {said} {GUARD_IS_GONE}"));
}

/// The receiver for spans accepts connections but never responds. There must still be enough time to export the metrics.
#[test]
fn a_signal_leaves_time_for_the_metrics() {
    let (silent, sink) = (Sink::start(Script::Silence).unwrap(), Sink::start(Script::Take).unwrap());
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*silent.endpoint()),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &*format!("{}/v1/metrics", sink.endpoint())),
    ];
    let running = Running::start("signal with metrics", &variables);
    running.await_line("ready");
    running.send("-TERM");
    let end = running.end();
    assert!(end.starts_with("signal 15\n"), "{end}");
    assert!(end.contains("1 span was not exported: "), "{end}");
    let points = format!("{:?}", sink.points());
    assert!(points.contains("orders"), "the metrics arrived: {points}");
}

#[test]
fn it_can_be_switched_off_in_code_and_by_a_variable() {
    let off = [("OTEL_RUST_TERMINATION_HANDLER_DISABLED", "true")];
    for (scenario, variables) in [("signal without a handler", &[][..]), ("signal", &off)] {
        let running = Running::start(scenario, variables);
        running.await_line("ready");
        running.send("-TERM");
        assert_eq!(running.end(), "signal 15\nready\n", "{scenario}");
    }
}

/// Background jobs and programs under `nohup` are meant to survive these signals.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap "" TERM INT; exec "$0" "$@""#, env!("CARGO_BIN_EXE_scenario"), "ignored signals"]);
    assert_eq!(
        Running::start_command(command, "ignored signals", &[]).end(),
        "exit 0\nsent -TERM: true\nsent -INT: true\ncaught: 0\n> work\n> (shut down)\n"
    );
}

/// The program's own handler runs undisturbed, and Telemark does not end the program.
#[test]
fn a_handler_of_the_programs_is_left_to_do_its_work() {
    let check = |scenario: &str, expected: &str| {
        let running = Running::start(scenario, &[]);
        running.await_line("ready");
        running.send("-TERM");
        assert_eq!(running.end(), format!("exit 0\nready\nthe program's handler saw 15\n{expected}"), "{scenario}");
    };
    check("handler before", "knows the sender: true\n> work\n> work\n> (shut down)\n");
    check("handler with information before", "knows the sender: true\n> work\n> work\n> (shut down)\n");
    check("handler after", "> work\n> work\n> (shut down)\n");
}

#[test]
fn a_server_that_drains_answers_what_is_under_way_and_exports_it() {
    for scenario in ["draining server, its handler first", "draining server, telemetry first"] {
        let running = Running::start(scenario, &[("OTEL_METRICS_EXPORTER", "none")]);
        running.await_line("ready");
        let printed = running.read("printed");
        let port = printed.lines().find_map(|line| line.strip_prefix("port ")).unwrap().to_owned();
        let mut client = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        running.await_line("in flight");
        running.send("-TERM");
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("drained"), "{scenario}: {answer:?}");
        let expected = format!("exit 0\nport {port}\nready\nin flight\ndrained\n> work\n> GET /\n> (shut down)\n");
        assert_eq!(running.end(), expected, "{scenario}");
    }
}

/// Programs that reap children or use timers call `sigwait`, but the kernel may deliver a signal to any thread that has
/// not blocked it.
#[cfg(target_os = "linux")]
#[test]
fn signals_that_the_program_waits_for_reach_it() {
    let received = "SIGCHLD: true\nSIGCONT: true\nSIGIO: true\nSIGALRM: true\nSIGRTMIN: true\n";
    assert_eq!(Running::start("signals for sigwait", &[]).end(), format!("exit 0\n{received}> (shut down)\n"));
}

/// The receiver accepts connections but never responds, so each flush would use its whole timeout.
#[test]
fn signals_that_the_program_handles_do_not_delay_one_that_ends_it() {
    let silent = Sink::start(Script::Silence).unwrap();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*silent.endpoint()), ("OTEL_METRICS_EXPORTER", "none")];
    let running = Running::start("storm of handled signals", &variables);
    running.await_line("ready");
    let start = Instant::now();
    running.send("-TERM");
    assert!(running.end().starts_with("signal 15\n"));
    // With 20 signals before this one and a flush timeout of 2 s, one flush per signal would take 40 s.
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

/// Runs a scenario with each of three endings and checks that the program reaches it.
#[track_caller]
fn check_ends(scenario: &str, drop_prints: &str, exported: &str, says: &str) {
    let is_said = |end: &str| if says.is_empty() { !end.contains("! ") } else { end.contains(says) };
    let dropped = Running::start(&format!("{scenario}, drop"), &[]).end();
    let expected = format!("exit 0\ndrop returned in time: true\n{drop_prints}{exported}");
    assert!(dropped.starts_with(&expected) && is_said(&dropped), "{scenario}: {dropped}");
    let exit = Running::start(&format!("{scenario}, exit"), &[]).end();
    assert!(exit.starts_with(&format!("exit 3\n{exported}")) && is_said(&exit), "{scenario}: {exit}");
    let running = Running::start(&format!("{scenario}, signal"), &[]);
    running.await_line("ready");
    running.send("-TERM");
    let signal = running.end();
    assert!(signal.starts_with(&format!("signal 15\nready\n{exported}")) && is_said(&signal), "{scenario}: {signal}");
}

#[test]
fn a_standard_error_that_nobody_reads_holds_up_no_end() {
    let prints = "none of it is a message: true\ncounts the lost message: true\n";
    check_ends("full standard error", prints, "", "");
}

#[test]
fn a_lock_of_standard_error_that_is_held_holds_up_no_end_and_no_message() {
    check_ends("held standard error", "", "", "! telemark error: 1 span was not exported: on purpose\n");
}

#[test]
fn a_reader_of_standard_error_that_is_gone_ends_no_program() {
    for end in ["pipe", "socket"] {
        check(&format!("broken {end} as standard error"), "\nexit 0\nstill there\n");
    }
}

#[test]
fn a_message_is_written_in_one_piece() {
    check("one message", "\nexit 0\ntelemark error: 1 span was not exported: on purpose\n");
}

#[test]
fn a_signal_is_heard_after_the_program_closed_all_descriptors() {
    let running = Running::start("closed descriptors", &[]);
    running.await_line("ready");
    running.send("-TERM");
    assert_eq!(running.end(), "signal 15\nready\n> work\n> (shut down)\n");
}

const HELD_UP: &str = "! telemark error: not everything was exported at the end: a span processor, a sampler or a lock held it \
    up beyond the flush timeout\n";

/// POSIX does not allow `exit` in a signal handler, but programs call it there.
#[test]
fn an_exit_in_a_signal_handler_waits_no_longer_than_the_flush_timeout() {
    let end = Running::start("exit in a signal handler", &[]).end();
    assert!(end.starts_with("exit 9\n") && end.contains(HELD_UP), "{end}");
}

/// An exporter added after the processor still gets every span.
#[test]
fn a_processor_that_hangs_holds_the_program_no_longer_than_the_flush_timeout() {
    check_ends("processor hangs", "", "> work\n> (shut down)\n", HELD_UP);
}

/// For the first process in a container, the kernel ignores a signal's default action.
#[cfg(target_os = "linux")]
#[test]
fn the_first_process_of_a_container_exports_everything_and_ends() {
    let unshare = ["--pid", "--fork", "--mount-proc"];
    if !Command::new("unshare").args(unshare).arg("true").stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
        return skip("no namespace of processes can be made: this needs `unshare` and root");
    }
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut command = Command::new("unshare");
        command.args(unshare).args(["--kill-child", env!("CARGO_BIN_EXE_scenario"), "signal"]);
        let running = Running::start_command(command, "first process", &[]);
        running.await_line("ready");
        let parent = running.child.id();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        assert!(Command::new("kill").args([signal, children.trim()]).status().unwrap().success());
        assert_eq!(running.end(), format!("exit {code}\nready\n> work\n> (shut down)\n"), "{signal}");
    }
}

#[test]
fn forked_children_have_ids_of_their_own_and_no_telemetry() {
    let end = Running::start("forked children", &[]).end();
    let child = |name: &str| {
        format!(
            "{name}: flushed: false
{name}: init: telemetry was started before this process was forked, and cannot start again in it; call `init` after the fork, in each process
{name}: shut down: true
{name}: soon: true
{name}: status 0
"
        )
    };
    let off = "! telemark warning: telemetry is off in a forked child process, which has no thread to export it; call `init` after \
        the fork, in each process\n";
    let (first, second) = (child("first"), child("second"));
    assert_eq!(end, format!("exit 0\n{first}{second}different ids: 9\n> work\n> work\n> (shut down)\n{off}{off}"));
}

#[test]
fn a_child_that_ends_a_span_of_its_parents_waits_for_nothing() {
    let end = Running::start("children of a span", &[]).end();
    assert!(end.starts_with("exit 0\nchildren that ended well: 50\n"), "{end}");
}

#[test]
fn a_child_that_measures_waits_for_nothing() {
    let end = Running::start("children that measure", &[]).end();
    assert!(end.starts_with("exit 0\nchildren that ended well: 50\n"), "{end}");
}

#[test]
fn a_child_that_uses_tracing_waits_for_nothing() {
    let end = Running::start("children that use tracing", &[("RUST_LOG", "off")]).end();
    assert!(end.starts_with("exit 0\nchildren that ended well: 200\n"), "{end}");
}

/// What an error is called does not depend on whether another thread of the child names one at the same time.
#[test]
fn a_child_names_errors_as_its_parent_does_and_waits_for_nothing() {
    let end = Running::start("children that fail", &[]).end();
    assert_eq!(end, "exit 0\nchildren that ended well: 20\n");
}

#[test]
fn a_child_of_a_program_with_a_viewer_has_none_and_waits_for_nothing() {
    let end = Running::start("children of a program with a viewer", &[]).end();
    assert!(end.starts_with("exit 0\nchildren that ended well: 50\n"), "{end}");
}

#[test]
fn a_child_of_a_program_that_holds_traces_exports_none_and_waits_for_nothing() {
    let end = Running::start("children of a program that holds traces", &[]).end();
    // Each span of the parent once, and none of a child.
    let expected = "exit 0\nchildren that ended well: 100\n> held\n> of the parent\n> (shut down)\n";
    assert!(end.starts_with(expected), "{end}");
}

#[test]
fn a_signal_decides_about_held_traces() {
    let running = Running::start("signal while traces are held", &[]);
    running.await_line("ready");
    running.send("-TERM");
    assert_eq!(running.end(), "signal 15\nready\n> work\n> (shut down)\n");
}

#[test]
fn a_child_of_a_process_that_changes_its_telemetry_waits_for_nothing() {
    let end = Running::start("children during changes", &[]).end();
    assert!(end.starts_with("exit 0\nchildren that ended well: 200\n"), "{end}");
}

#[test]
fn init_after_a_fork_works() {
    check("init after the fork", "\nexit 0\nsame ids: false\nstatus 0\n> work\n> (shut down)\n");
}

#[test]
fn a_signal_to_a_forked_child_ends_the_child_alone() {
    check(
        "signal to a child",
        "
exit 0
the child ended by signal 15
> work
> (shut down)
",
    );
}

/// Requests thread stacks of 64 TiB, so that no thread can start.
const NO_THREADS: (&str, &str) = ("RUST_MIN_STACK", "70368744177664");

#[test]
fn without_a_thread_init_says_so_and_the_program_goes_on() {
    let problem = "cannot start this background thread; the limit of threads or of memory may be reached";
    let end = Running::start("no threads", &[NO_THREADS]).end();
    assert_eq!(end, format!("exit 0\ntelemark-traces: {problem}\n"));
}

#[test]
fn without_a_thread_for_signals_telemetry_works() {
    let end = Running::start("no thread for signals", &[NO_THREADS]).end();
    assert!(
        end.starts_with("exit 0\ninstalled: true\n> work\n> (shut down)\n! telemark warning: cannot watch for signals"),
        "{end}"
    );
}

#[test]
fn the_log_level_shows_what_was_started_and_what_is_done() {
    let sink = Sink::start(Script::Take).unwrap();
    let endpoint = sink.endpoint();
    let said = |level: &str| {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_LOG_LEVEL", level)];
        let running = Running::start("signal with metrics", &variables);
        running.await_line("ready");
        running.send("-TERM");
        running.end().lines().filter(|line| line.starts_with("! ")).map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(said("warn"), "");
    let info = said("info");
    assert!(info.starts_with("! telemark info: started: traces: http/protobuf to "), "{info}");
    assert!(info.contains(", sampler parentbased_always_on; logs: http/protobuf to "), "{info}");
    assert!(info.contains("; metrics: http/protobuf to "), "{info}");
    assert_eq!(info.lines().count(), 1, "{info}");
    let debug = said("debug");
    assert!(debug.starts_with("! telemark info: started: "), "{debug}");
    for part in
        ["SIGTERM: exports what is left", "exported 1 span in ", "exported 1 metric data point in ", "shut down after "]
    {
        assert!(debug.contains(part), "{part}: {debug}");
    }
}

/// Runs the README's exact program, whose `main` never returns.
#[test]
fn the_program_of_the_readme_exports_everything_on_ctrl_c() {
    let sink = Sink::start(Script::Take).unwrap();
    // Use a host name, like the default endpoint. It is resolved only at the end, with the first connection.
    let endpoint = sink.endpoint().replace("127.0.0.1", "localhost");
    let mut program = None;
    // Another program may be using the port.
    await_condition("the README's program listens", || {
        let running = program.get_or_insert_with(|| ReadmeProgram::start(&endpoint));
        if running.0.try_wait().unwrap().is_some() {
            program = None;
            return false;
        }
        listens(running.0.id(), 3000) && get("/users/7").is_some_and(|answer| answer.ends_with("user 7"))
    });
    let mut program = program.unwrap();
    assert!(Command::new("kill").args(["-INT", &program.0.id().to_string()]).status().unwrap().success());
    let mut status = None;
    await_condition("it ends", || {
        status = program.0.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().signal(), Some(2));
    let names: Vec<_> = sink.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["name", "GET /users/{id}"]);
}

/// Returns true if the process with this id listens on the port, rather than another program that gives the same response.
fn listens(process: u32, port: u16) -> bool {
    let local = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let listening = rows.filter(|row| row.get(1) == Some(&&*local) && row.get(3) == Some(&"0A"));
    let sockets: Vec<_> = listening.filter_map(|row| Some(format!("socket:[{}]", row.get(9)?))).collect();
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    let targets = descriptors.flatten().filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    targets.into_iter().any(|target| sockets.iter().any(|socket| target.as_os_str() == &**socket))
}

struct ReadmeProgram(Child);

impl ReadmeProgram {
    fn start(endpoint: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_readme"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        // Prevents exports before the end.
        let delay = "3600000";
        command.envs([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", delay),
            ("OTEL_BLRP_SCHEDULE_DELAY", delay),
            ("RUST_LOG", "off"),
        ]);
        ReadmeProgram(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for ReadmeProgram {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Returns the complete response from the README's program, if it responds.
fn get(path: &str) -> Option<String> {
    let mut stream = TcpStream::connect("127.0.0.1:3000").ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
