//! Programs that interfere with the telemetry: signal masks, closed descriptors, held locks, and processors that hang.
#![allow(clippy::expect_used, reason = "the test sees that the scenario fails")]
#![allow(clippy::disallowed_methods, reason = "programs with threads of their own")]
#![allow(unsafe_code, reason = "std has neither masks nor handlers of signals")]

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use libc::{SIGINT, SIGUSR1, c_int};
use telemark::Guard;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{SpanData, SpanProcessor};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use super::ends::{init, wait_for_signal, work};
use super::exporters::Lines;

/// The ways in which a scenario can end.
pub(crate) enum End {
    Drop,
    Exit,
    Signal,
}

impl End {
    fn reach(self, telemetry: Guard) {
        match self {
            End::Drop => {
                let start = Instant::now();
                drop(telemetry);
                println!("drop returned in time: {}", start.elapsed() < Duration::from_secs(20));
            }
            End::Exit => {
                std::mem::forget(telemetry);
                std::process::exit(3);
            }
            End::Signal => wait_for_signal(),
        }
    }
}

/// Blocks signals after `init` and waits for them, like programs that reap children or use timers.
#[cfg(target_os = "linux")]
pub(crate) fn signals_for_sigwait(file: &Path) {
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;

    let _telemetry = init(file);
    for (name, signal) in [
        ("SIGCHLD", libc::SIGCHLD),
        ("SIGCONT", libc::SIGCONT),
        ("SIGIO", libc::SIGIO),
        ("SIGALRM", libc::SIGALRM),
        ("SIGRTMIN", libc::SIGRTMIN()),
    ] {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        let patience = libc::timespec { tv_sec: 5, tv_nsec: 0 };
        // SAFETY: `sigemptyset` initializes the set; the other calls only send a signal to this process and wait for it.
        let received = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), signal);
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), null_mut());
            libc::kill(libc::getpid(), signal);
            libc::sigtimedwait(set.as_ptr(), null_mut(), &patience)
        };
        println!("{name}: {}", received == signal);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn signals_for_sigwait(_: &Path) {}

/// Handles SIGINT, which arrives many times, and ends on SIGTERM. Exports over OTLP to a receiver that never responds.
pub(crate) fn storm_of_handled_signals() {
    extern "C" fn handler(_: c_int) {}
    handle(SIGINT, handler);
    let _telemetry = telemark::builder().with_flush_timeout(Duration::from_secs(2)).init().expect("the first init");
    // Keeps recording, so that each flush has something to export.
    let _recorder = std::thread::spawn(|| {
        loop {
            work();
            std::thread::park_timeout(Duration::from_millis(2));
        }
    });
    for _ in 0..20 {
        // SAFETY: the handler returns immediately.
        unsafe { libc::raise(SIGINT) };
    }
    wait_for_signal();
}

fn handle(signal: c_int, handler: extern "C" fn(c_int)) {
    // SAFETY: each handler does only what is safe at the point where its scenario raises the signal.
    unsafe { libc::signal(signal, handler as libc::sighandler_t) };
}

struct Fails;

impl Exporter<Traces> for Fails {
    fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        Err(ExportError::rejected("on purpose"))
    }
}

fn init_failing() -> Guard {
    telemark::builder()
        .with_span_exporter(Fails)
        .with_flush_timeout(Duration::from_secs(1))
        .init()
        .expect("the first init")
}

/// Replaces standard error with a full pipe that is not read until the telemetry has ended.
pub(crate) fn full_standard_error(end: End) {
    let telemetry = init_failing();
    let mut reader = fill_standard_error();
    work();
    end.reach(telemetry);
    let mut filling = vec![0; 1 << 20];
    let size = reader.read(&mut filling).expect("the pipe is full");
    println!("none of it is a message: {}", filling[..size].iter().all(|byte| *byte == b' '));
    // Logs a warning, because the guard has been dropped.
    work();
    let size = reader.read(&mut filling).expect("there is a message");
    let line = String::from_utf8_lossy(&filling[..size]);
    println!("counts the lost message: {}", line.ends_with("(1 message before this could not be written)\n"));
}

fn fill_standard_error() -> std::fs::File {
    let mut ends = [0; 2];
    // SAFETY: the descriptors come from a new pipe. Its writing end becomes standard error and is non-blocking only here.
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        assert_eq!(libc::dup2(ends[1], libc::STDERR_FILENO), libc::STDERR_FILENO);
        assert_eq!(libc::fcntl(ends[1], libc::F_SETFL, libc::O_NONBLOCK), 0);
        while libc::write(ends[1], [b' '; 4096].as_ptr().cast(), 4096) > 0 {}
        assert_eq!(libc::fcntl(ends[1], libc::F_SETFL, 0), 0);
        OwnedFd::from_raw_fd(ends[0]).into()
    }
}

/// Leaves another thread holding std's lock on standard error forever.
pub(crate) fn held_standard_error(end: End) {
    let telemetry = init_failing();
    let (holds, held) = std::sync::mpsc::channel();
    let _holder = std::thread::spawn(move || {
        let _lock = std::io::stderr().lock();
        holds.send(()).expect("the scenario waits");
        loop {
            std::thread::park();
        }
    });
    held.recv().expect("the thread runs");
    work();
    end.reach(telemetry);
}

/// Replaces standard error with a datagram socket, which shows each write separately.
pub(crate) fn one_message() {
    let telemetry = init_failing();
    let (written, read) = UnixDatagram::pair().expect("a pair of sockets");
    // SAFETY: both descriptors are open.
    assert_eq!(unsafe { libc::dup2(written.as_raw_fd(), libc::STDERR_FILENO) }, libc::STDERR_FILENO);
    work();
    drop(telemetry);
    let mut line = [0; 4096];
    let size = read.recv(&mut line).expect("there is a message");
    print!("{}", String::from_utf8_lossy(&line[..size]));
}

/// Gives standard error to a reader that goes away, a pipe or a socket, and restores the signal that says so. Messages come from a thread
/// of Telemark's and from this one.
pub(crate) fn broken_standard_error(is_socket: bool) {
    let telemetry = init_failing();
    let written: OwnedFd = match is_socket {
        true => UnixStream::pair().expect("a pair of sockets").0.into(),
        false => {
            let mut ends = [0; 2];
            // SAFETY: the array has room for both descriptors, which nothing else owns.
            unsafe {
                assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
                drop(OwnedFd::from_raw_fd(ends[0]));
                OwnedFd::from_raw_fd(ends[1])
            }
        }
    };
    // SAFETY: both descriptors are open, and the default action has no handler.
    unsafe {
        assert_eq!(libc::dup2(written.as_raw_fd(), libc::STDERR_FILENO), libc::STDERR_FILENO);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
    work();
    drop(telemetry);
    work();
    println!("still there");
}

/// Closes descriptors that it did not open, as daemons do, and then opens its own sockets.
pub(crate) fn closed_descriptors(file: &Path) {
    let _telemetry = init(file);
    work();
    // SAFETY: no memory is touched. The scenario deliberately closes descriptors that it does not own.
    (3..1024).for_each(|descriptor| assert!(unsafe { libc::close(descriptor) } <= 0));
    let sockets: Vec<_> = (0..8).map(|_| UnixDatagram::pair().expect("a pair of sockets")).collect();
    wait_for_signal();
    drop(sockets);
}

/// Exits from a signal handler during a flush, while the interrupted code holds a lock.
pub(crate) fn exit_in_a_signal_handler(file: &Path) {
    #[derive(Debug)]
    struct Interrupted(Mutex<()>);

    impl SpanProcessor for Interrupted {
        fn on_end(&self, _: SpanData) {}

        fn flush(&self, _: Deadline) -> Result<(), ExportError> {
            let _held = self.0.lock();
            // SAFETY: the handler exits.
            unsafe { libc::raise(SIGUSR1) };
            Ok(())
        }

        fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
            let _held = self.0.lock();
            Ok(())
        }
    }

    extern "C" fn handler(_: c_int) {
        std::process::exit(9);
    }
    handle(SIGUSR1, handler);
    let telemetry = hanging(file, Interrupted(Mutex::new(())));
    work();
    drop(telemetry.force_flush(Deadline::NEVER));
}

fn hanging(file: &Path, processor: impl SpanProcessor) -> Guard {
    telemark::builder()
        .with_span_processor(processor)
        .with_span_exporter(Lines::new(file))
        .with_flush_timeout(Duration::from_millis(300))
        .init()
        .expect("the first init of the process")
}

/// Adds a processor with a shutdown that never returns.
pub(crate) fn processor_hangs(file: &Path, end: End) {
    #[derive(Debug)]
    struct Hangs;

    impl SpanProcessor for Hangs {
        fn on_end(&self, _: SpanData) {}

        fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
            loop {
                std::thread::park();
            }
        }
    }

    let telemetry = hanging(file, Hangs);
    work();
    end.reach(telemetry);
    drop(std::io::stdout().flush());
}
