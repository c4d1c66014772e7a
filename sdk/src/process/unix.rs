//! Termination signals, exit and forks on Unix. One of the files with `unsafe`, because libc offers no safe interface for
//! them.
//!
//! The signal handler records the signal, wakes [`Signals`] through a semaphore and then calls the previous handler.
//! It uses no file descriptor, because the host could close the descriptor and reuse its number for another file. The
//! program keeps control of its signals: if another handler was installed, before or after, the program decides when
//! to exit ([`TerminationSignal::begin_end`]). Everything that runs in a handler is async-signal-safe: it uses only
//! atomics and the functions listed in signal-safety(7).
#![allow(unsafe_code, reason = "signals, exit and forks are reached through libc alone; each use says why it is sound")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, Ordering};

use libc::{SIG_DFL, SIG_IGN, SIGHUP, SIGINT, SIGTERM, c_int, c_void, sem_t, sigaction, siginfo_t, sigset_t};

#[path = "standard_error.rs"]
mod standard_error;

pub(crate) use standard_error::write_to_standard_error;

/// Calls `child` in every forked child.
pub(super) fn watch_forks(child: extern "C" fn()) {
    // SAFETY: the handler only touches atomics and thread-locals without destructors, which is allowed in the child of a
    // multi-threaded process. The call fails only if memory runs out; forks are then not detected.
    unsafe { libc::pthread_atfork(None, None, Some(child)) };
}

/// Calls `hook` when the program returns from `main` or calls `exit`. Returns false if libc cannot register another hook.
pub(crate) fn at_exit(hook: extern "C" fn()) -> bool {
    // SAFETY: the hook is a function of this library, and libc unregisters it when the library is unloaded.
    unsafe { libc::atexit(hook) == 0 }
}

/// Kills the group that this child leads. Call it before the child is waited for: later, the number may be that of another group.
pub fn kill_group(leader: u32) {
    if let Some(leader) = c_int::try_from(leader).ok().filter(|leader| *leader > 1) {
        // SAFETY: this only sends a signal.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// Runs `spawn` with all signals blocked, so that the threads started by `spawn` never receive a signal that the host
/// blocks for `sigwait` or `signalfd`. Fault signals stay unblocked, because blocking them would end the process
/// without calling their handler.
pub(crate) fn with_signals_left_to_the_host<T>(spawn: impl FnOnce() -> T) -> T {
    const FAULTS: [c_int; 7] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS];
    let (mut set, mut before) = (MaybeUninit::<sigset_t>::uninit(), MaybeUninit::<sigset_t>::uninit());
    // SAFETY: `sigfillset` initializes the set and `pthread_sigmask` the previous mask, each before it is read.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in FAULTS {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
    }
    let result = spawn();
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut()) };
    result
}

/// State shared with the handler, written before the handler is installed.
static WATCH: Watch = Watch {
    process: AtomicI32::new(0),
    semaphore: AtomicPtr::new(null_mut()),
    pending: AtomicU8::new(0),
    is_ending: AtomicBool::new(false),
    previous: [const { AtomicPtr::new(null_mut()) }; SIGNALS.len()],
};

struct Watch {
    /// Id of the process whose thread is listening, or 0. Forked children do not have that thread.
    process: AtomicI32,
    /// The semaphore that wakes the thread. It is null until the thread starts, and then valid for the rest of the
    /// program, because the handler may post at any time.
    semaphore: AtomicPtr<sem_t>,
    /// One bit for each of [`SIGNALS`] that has arrived, and one for [`END`]. Repeated signals of one kind are merged.
    pending: AtomicU8,
    /// True if the SDK is ending the program, in which case the next signal ends it immediately.
    is_ending: AtomicBool,
    /// The previous action for each of [`SIGNALS`]. Never freed, because a handler may be reading it.
    previous: [AtomicPtr<sigaction>; SIGNALS.len()],
}

/// The termination signals, and the signal for a reload.
const SIGNALS: [c_int; 3] = [SIGTERM, SIGINT, SIGHUP];

/// The bit for [`Event::End`].
const END: u8 = 1 << SIGNALS.len();

impl Watch {
    /// Passes an event to the listening thread. Returns false if no thread is listening. Async-signal-safe.
    fn pass(&self, event: u8) -> bool {
        // SAFETY: `getpid` is async-signal-safe and only returns a number.
        if self.process.load(Ordering::Acquire) != unsafe { libc::getpid() } {
            return false;
        }
        if self.pending.fetch_or(event, Ordering::AcqRel) & event != 0 {
            // The thread has been woken but has not taken the event yet.
            return true;
        }
        // SAFETY: a listening process has a semaphore, which is never destroyed, and posting is async-signal-safe.
        let is_woken = unsafe { libc::sem_post(self.semaphore.load(Ordering::Acquire)) } == 0;
        if !is_woken {
            self.pending.fetch_and(!event, Ordering::AcqRel);
        }
        is_woken
    }

    /// Takes the first pending event.
    fn take(&self) -> Option<Event> {
        let is_taken = |event: u8| self.pending.fetch_and(!event, Ordering::AcqRel) & event != 0;
        let mut signals = SIGNALS.iter().enumerate();
        match signals.find(|(at, _)| is_taken(1 << at)) {
            Some((_, &SIGHUP)) => Some(Event::Reload),
            Some((_, signal)) => Some(Event::Signal(TerminationSignal(*signal))),
            None => is_taken(END).then_some(Event::End),
        }
    }
}

/// A request to the thread that shuts the telemetry down.
#[derive(Debug)]
pub(crate) enum Event {
    /// One or more signals of the same kind arrived.
    Signal(TerminationSignal),
    /// SIGHUP arrived, once or more often.
    Reload,
    /// [`Signals::ask_for_the_end`] was called.
    End,
}

/// Receives the termination signals. If no `Signals` exists, signals act as they would without the SDK.
#[derive(Debug)]
pub(crate) struct Signals(());

impl Signals {
    /// Sets up the connection from the handler. Called once per process.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses.
    pub(crate) fn open() -> io::Result<Self> {
        WATCH.semaphore.store(new_semaphore()?, Ordering::Release);
        // SAFETY: `getpid` only returns a number.
        WATCH.process.store(unsafe { libc::getpid() }, Ordering::Release);
        Ok(Signals(()))
    }

    /// Installs the handler for SIGTERM and SIGINT. An ignored signal stays ignored.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses.
    pub(crate) fn catch() -> io::Result<()> {
        let all = SIGNALS.iter().zip(&WATCH.previous).filter(|(signal, _)| **signal != SIGHUP);
        all.into_iter().try_for_each(|(&signal, previous)| catch(signal, previous).map(drop))
    }

    /// Installs the handler for SIGHUP, as [`Self::catch`] does for the others. Returns false if the signal is ignored.
    pub(crate) fn catch_hangup() -> io::Result<bool> {
        let mut all = SIGNALS.iter().zip(&WATCH.previous).filter(|(signal, _)| **signal == SIGHUP);
        all.try_fold(false, |_, (&signal, previous)| catch(signal, previous))
    }

    /// Sends [`Event::End`]. Returns false if no thread is listening in this process. Takes no lock and allocates no memory.
    pub(crate) fn ask_for_the_end() -> bool {
        WATCH.pass(END)
    }

    /// Waits for the next event. Returns `None` if the semaphore has failed.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = WATCH.take() {
                return Some(event);
            }
            // SAFETY: `open` has created the semaphore.
            let is_woken = unsafe { libc::sem_wait(WATCH.semaphore.load(Ordering::Acquire)) } == 0;
            if !is_woken && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                // From now on, signals act as they would without the SDK. One last signal may have arrived before.
                WATCH.process.store(0, Ordering::Release);
                return WATCH.take();
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        WATCH.process.store(0, Ordering::Release);
    }
}

/// Creates a semaphore that lives as long as the program.
#[cfg(not(target_vendor = "apple"))]
fn new_semaphore() -> io::Result<*mut sem_t> {
    let semaphore = Box::into_raw(Box::new(MaybeUninit::<sem_t>::zeroed())).cast();
    // SAFETY: the memory is large enough and never freed.
    match unsafe { libc::sem_init(semaphore, 0, 0) } {
        0 => Ok(semaphore),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Creates a semaphore that lives as long as the program. Apple requires a name, which is removed immediately.
#[cfg(target_vendor = "apple")]
fn new_semaphore() -> io::Result<*mut sem_t> {
    let name = std::ffi::CString::new(format!("/telemark.{}", std::process::id()))?;
    let mode: libc::c_uint = 0o600;
    // SAFETY: the name is null-terminated and outlives both calls.
    unsafe {
        let semaphore = libc::sem_open(name.as_ptr(), libc::O_CREAT | libc::O_EXCL, mode, 0 as libc::c_uint);
        if semaphore == libc::SEM_FAILED {
            return Err(io::Error::last_os_error());
        }
        libc::sem_unlink(name.as_ptr());
        Ok(semaphore)
    }
}

fn catch(signal: c_int, previous: &AtomicPtr<sigaction>) -> io::Result<bool> {
    let current = action(signal)?;
    // A handler with SA_RESETHAND expects to be called once, but the SDK's handler would forward every signal to it.
    if current.sa_sigaction == SIG_IGN || current.sa_flags & libc::SA_RESETHAND != 0 {
        return Ok(false);
    }
    let is_handled = current.sa_sigaction != SIG_DFL;
    // The previous handler keeps its mask, its stack, and its choice of whether to interrupt system calls.
    let flags = if is_handled { current.sa_flags & !libc::SA_NOCLDSTOP } else { libc::SA_RESTART | libc::SA_ONSTACK };
    let mut ours = current;
    ours.sa_sigaction = handler();
    ours.sa_flags = flags | libc::SA_SIGINFO;
    previous.store(Box::into_raw(Box::new(current)), Ordering::Release);
    // SAFETY: the action is valid, and its handler is async-signal-safe and lives as long as the library.
    match unsafe { libc::sigaction(signal, &ours, null_mut()) } {
        0 => Ok(true),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns the current action of a signal.
fn action(signal: c_int) -> io::Result<sigaction> {
    let mut action = MaybeUninit::<sigaction>::zeroed();
    // SAFETY: nothing is changed. On success the action is initialized, and even all zeroes are a valid action.
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

/// The action that the SDK's handler replaced.
#[derive(Clone, Copy)]
enum Previous {
    Default,
    Ignore,
    Handler(sigaction),
}

fn previous(signal: c_int) -> Previous {
    let Some(at) = SIGNALS.iter().position(|&known| known == signal) else { return Previous::Default };
    // SAFETY: the pointer is either null or comes from a box that is never freed.
    match unsafe { WATCH.previous[at].load(Ordering::Acquire).as_ref() } {
        None => Previous::Default,
        Some(action) if action.sa_sigaction == SIG_DFL => Previous::Default,
        Some(action) if action.sa_sigaction == SIG_IGN => Previous::Ignore,
        Some(action) => Previous::Handler(*action),
    }
}

/// Passes the signal to [`Signals`], then calls the previous handler.
extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let errno = Errno::save();
    // Read this first, because the listening thread sets it in response to the signal that is being handled.
    let is_ending = WATCH.is_ending.load(Ordering::Acquire);
    let at = SIGNALS.iter().position(|&known| known == signal);
    let is_heard = at.is_some_and(|at| WATCH.pass(1 << at));
    let previous = previous(signal);
    match previous {
        // Whoever asks for reloads does not mean to end the program, nor its children, which share its terminal and its group.
        Previous::Default if signal == SIGHUP => {}
        // Without a listening thread, as in a forked child, the signal acts as it would without the SDK.
        Previous::Default if !is_heard || is_ending => end_process(signal),
        _ => {}
    }
    if let Previous::Handler(action) = previous {
        // SAFETY: the kernel would have called this address with these arguments. SA_SIGINFO determines the signature.
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

/// Ends the process as the signal would without a handler. Async-signal-safe.
fn end_process(signal: c_int) -> ! {
    // SAFETY: the default action is valid for every signal, and all of these functions are async-signal-safe.
    unsafe {
        libc::signal(signal, SIG_DFL);
        let mut set = MaybeUninit::<sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), null_mut());
        libc::raise(signal);
        // The kernel ignores the default action in the first process of a container. Shells use this exit code for a signal.
        libc::_exit(128 + signal)
    }
}

/// The `errno` of the interrupted code, which a handler must preserve.
struct Errno(c_int);

impl Errno {
    fn save() -> Self {
        // SAFETY: the address belongs to this thread.
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

/// A signal that requests termination of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminationSignal(c_int);

impl TerminationSignal {
    /// Returns the name of the signal.
    pub(crate) fn name(self) -> &'static str {
        if self.0 == SIGINT { "SIGINT" } else { "SIGTERM" }
    }

    /// Returns true if no other handler is or was installed for the signal, so the signal would have ended the program.
    /// After that, another signal ends the program immediately.
    pub(crate) fn begin_end(self) -> bool {
        let is_present = action(self.0).is_ok_and(|action| action.sa_sigaction == handler());
        let is_ours = is_present && matches!(previous(self.0), Previous::Default);
        if is_ours {
            WATCH.is_ending.store(true, Ordering::Release);
        }
        is_ours
    }

    /// Ends the process as the signal would without a handler.
    pub(crate) fn end_process(self) -> ! {
        end_process(self.0)
    }
}
