//! Termination signals, exit and forks on Unix. One of the two files with `unsafe`: libc has no safe interface to these.
//!
//! The handler of a signal tells [`Signals`] its number through a socket and then calls the handler that was there before it.
//! The program keeps its signals: when another handler is or was installed, that one decides when the program ends
//! ([`TerminationSignal::begin_end`]). Everything that runs in a handler is async-signal-safe: atomics, and functions from
//! the list of POSIX (signal-safety(7)).
#![allow(unsafe_code, reason = "signals, exit and forks are reached through libc alone; each use says why it is sound")]

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

use libc::{SIG_DFL, SIG_IGN, SIGINT, SIGTERM, c_int, c_void, sigaction, siginfo_t, sigset_t};

/// Calls `child` in every forked child.
pub(super) fn watch_forks(child: extern "C" fn()) {
    // SAFETY: the handler touches atomics and thread-locals without destructors only, which is allowed in the child of a
    // process with many threads. It can only fail for want of memory, and then forks are not noticed.
    unsafe { libc::pthread_atfork(None, None, Some(child)) };
}

/// Calls `hook` when the program returns from `main` or calls `exit`. Returns false when there is no room for it.
pub(crate) fn at_exit(hook: extern "C" fn()) -> bool {
    // SAFETY: the hook is a function of this library, which libc forgets when the library is unloaded.
    unsafe { libc::atexit(hook) == 0 }
}

/// Writes a line to standard error without the lock that std has for it. A failure has nowhere to be told.
pub(crate) fn write_to_standard_error(line: &str) {
    // SAFETY: the bytes are there for as long as the call; libc checks the descriptor.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}

/// Keeps signals that people send away from this thread, so that they reach a thread of the host, or whoever waits with
/// `sigwait` or `signalfd`.
pub(crate) fn leave_signals_to_the_host() {
    change_mask(libc::SIG_BLOCK, &[SIGTERM, SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2]);
}

fn change_mask(how: c_int, signals: &[c_int]) {
    let mut set = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: `sigemptyset` initializes the set before it is read; all four are async-signal-safe.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(how, set.as_ptr(), null_mut());
    }
}

/// The state of the handler, written before it is installed.
static WATCH: Watch = Watch {
    process: AtomicI32::new(0),
    socket: AtomicI32::new(-1),
    is_ending: AtomicBool::new(false),
    previous: [AtomicPtr::new(null_mut()), AtomicPtr::new(null_mut())],
};

struct Watch {
    /// The process whose thread listens; its forked children have no such thread.
    process: AtomicI32,
    socket: AtomicI32,
    /// The program ends by our doing: the next signal does not wait.
    is_ending: AtomicBool,
    /// For each of [`SIGNALS`] the action that was there before. Never freed, for a handler may be reading it.
    previous: [AtomicPtr<sigaction>; 2],
}

const SIGNALS: [c_int; 2] = [SIGTERM, SIGINT];

/// The termination signals that arrive.
#[derive(Debug)]
pub(crate) struct Signals(UnixStream);

impl Signals {
    /// Opens the way from the handler. Once in a process.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub(crate) fn open() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        // SAFETY: it only asks for a number.
        WATCH.process.store(unsafe { libc::getpid() }, Ordering::Relaxed);
        // As long as the program: the handler may write at any time.
        WATCH.socket.store(writer.into_raw_fd(), Ordering::Release);
        Ok(Signals(reader))
    }

    /// Installs the handler for SIGTERM and SIGINT. A signal that is ignored stays ignored.
    ///
    /// # Errors
    /// The operating system refuses.
    pub(crate) fn catch() -> io::Result<()> {
        SIGNALS.iter().zip(&WATCH.previous).try_for_each(|(&signal, previous)| catch(signal, previous))
    }

    /// Waits for the next signal. `None` when there is no way from the handler any more.
    pub(crate) fn next(&mut self) -> Option<TerminationSignal> {
        let mut signal = [0];
        // It is called again when a handler interrupts it.
        self.0.read_exact(&mut signal).ok()?;
        Some(TerminationSignal(signal[0].into()))
    }
}

fn catch(signal: c_int, previous: &AtomicPtr<sigaction>) -> io::Result<()> {
    let current = action(signal)?;
    // A handler with SA_RESETHAND wants one call; from ours it would get every one.
    if current.sa_sigaction == SIG_IGN || current.sa_flags & libc::SA_RESETHAND != 0 {
        return Ok(());
    }
    let is_handled = current.sa_sigaction != SIG_DFL;
    // The previous handler runs as it asked to: its mask, its stack, and whether it interrupts system calls.
    let flags = if is_handled { current.sa_flags & !libc::SA_NOCLDSTOP } else { libc::SA_RESTART | libc::SA_ONSTACK };
    let mut ours = current;
    ours.sa_sigaction = handler();
    ours.sa_flags = flags | libc::SA_SIGINFO;
    previous.store(Box::into_raw(Box::new(current)), Ordering::Release);
    // SAFETY: the action is a valid one with a handler that is async-signal-safe and lives as long as the library.
    match unsafe { libc::sigaction(signal, &ours, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The present action of a signal.
fn action(signal: c_int) -> io::Result<sigaction> {
    let mut action = MaybeUninit::<sigaction>::zeroed();
    // SAFETY: nothing is changed; on success the action is initialized, and zeroes are a valid one already.
    unsafe {
        match libc::sigaction(signal, null(), action.as_mut_ptr()) {
            0 => Ok(action.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[inline(never)]
fn handler() -> usize {
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_signal;
    handler as usize
}

/// The action that the handler replaced.
#[derive(Clone, Copy)]
enum Previous {
    Default,
    Ignore,
    Handler(sigaction),
}

fn previous(signal: c_int) -> Previous {
    let Some(at) = SIGNALS.iter().position(|&known| known == signal) else { return Previous::Default };
    // SAFETY: the pointer is null or of a box that is never freed.
    match unsafe { WATCH.previous[at].load(Ordering::Acquire).as_ref() } {
        None => Previous::Default,
        Some(action) if action.sa_sigaction == SIG_DFL => Previous::Default,
        Some(action) if action.sa_sigaction == SIG_IGN => Previous::Ignore,
        Some(action) => Previous::Handler(*action),
    }
}

/// Tells of the signal, then lets the previous handler do what it would have done.
extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let errno = Errno::save();
    // SAFETY: async-signal-safe, and it only asks for a number.
    let is_watched = unsafe { libc::getpid() } == WATCH.process.load(Ordering::Relaxed);
    let previous = previous(signal);
    match previous {
        // A forked child has no thread that listens: there the signal does what it would do without us.
        Previous::Default if !is_watched || WATCH.is_ending.load(Ordering::Acquire) => end_process(signal),
        _ => {}
    }
    if is_watched {
        let byte = signal as u8;
        // SAFETY: one byte from the stack. `send` never waits here, and fails if the host has closed the socket and the number
        // is that of a file now. When the buffer is full, there are signals enough to be read.
        unsafe { libc::send(WATCH.socket.load(Ordering::Acquire), (&raw const byte).cast(), 1, libc::MSG_DONTWAIT) };
    }
    if let Previous::Handler(action) = previous {
        // SAFETY: the kernel would have called this address with these arguments; SA_SIGINFO says which of the two kinds of
        // handler it is.
        unsafe {
            if action.sa_flags & libc::SA_SIGINFO != 0 {
                let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                    std::mem::transmute(action.sa_sigaction);
                handler(signal, info, context);
            } else {
                let handler: extern "C" fn(c_int) = std::mem::transmute(action.sa_sigaction);
                handler(signal);
            }
        }
    }
    errno.restore();
}

/// Ends the process the way the signal does without a handler. Async-signal-safe.
fn end_process(signal: c_int) -> ! {
    // SAFETY: the default action is valid for every signal, and all of these are async-signal-safe.
    unsafe {
        libc::signal(signal, SIG_DFL);
        change_mask(libc::SIG_UNBLOCK, &[signal]);
        libc::raise(signal);
        // The kernel keeps the default action from the first process of a container. Shells report a signal this way.
        libc::_exit(128 + signal)
    }
}

/// The caller's `errno`, which a handler must leave as it was.
struct Errno(c_int);

impl Errno {
    fn save() -> Self {
        // SAFETY: the place belongs to this thread.
        Errno(unsafe { *errno_place() })
    }

    fn restore(self) {
        // SAFETY: as above.
        unsafe { *errno_place() = self.0 };
    }
}

#[cfg(target_os = "linux")]
use libc::__errno_location as errno_place;

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as errno_place;

#[cfg(any(target_os = "freebsd", target_vendor = "apple"))]
use libc::__error as errno_place;

/// A signal that asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminationSignal(c_int);

impl TerminationSignal {
    /// The name.
    pub(crate) fn name(self) -> &'static str {
        if self.0 == SIGINT { "SIGINT" } else { "SIGTERM" }
    }

    /// Returns true when no other handler is or was installed for the signal, so that it would have ended the program; from
    /// then on another signal ends it at once.
    pub(crate) fn begin_end(self) -> bool {
        let is_present = action(self.0).is_ok_and(|action| action.sa_sigaction == handler());
        let is_ours = is_present && matches!(previous(self.0), Previous::Default);
        if is_ours {
            WATCH.is_ending.store(true, Ordering::Release);
        }
        is_ours
    }

    /// Ends the process the way the signal does without a handler.
    pub(crate) fn end_process(self) -> ! {
        end_process(self.0)
    }
}
