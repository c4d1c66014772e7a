//! Lines on standard error, which neither block nor end the program. One of the files with `unsafe`, because libc offers no safe interface for
//! them.
#![allow(
    unsafe_code,
    reason = "descriptors and signal masks are reached through libc alone; each use says why it is sound"
)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::{c_int, c_void, sigset_t};

/// Writes a line to standard error, atomically up to `PIPE_BUF` bytes. Returns false if the reader does not accept it
/// within a few milliseconds, so that neither an unread pipe or terminal nor the standard library's lock can block a
/// thread. Polls instead of locking, because a signal handler that calls `exit` may have interrupted the lock's owner.
pub(crate) fn write_to_standard_error(line: &str) -> bool {
    const TURNS: u32 = 20;
    // SAFETY: this only returns a number.
    let process = unsafe { libc::getpid() };
    // Only one thread may write at a time, because another thread could otherwise fill the pipe between `poll` and
    // `write`. A writer from before a fork does not exist in the child.
    let take_turn = || {
        let writer = WRITER.load(Ordering::Acquire);
        writer != process && WRITER.compare_exchange(writer, process, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    };
    let mut turns = 0;
    while !take_turn() {
        turns += 1;
        if turns > TURNS {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let is_written = line.as_bytes().chunks(libc::PIPE_BUF).all(write_piece);
    WRITER.store(0, Ordering::Release);
    is_written
}

/// Process id of the process that is writing to standard error; 0 if none is.
static WRITER: AtomicI32 = AtomicI32::new(0);

fn write_piece(piece: &[u8]) -> bool {
    /// Maximum wait in milliseconds.
    const PATIENCE: c_int = 10;
    let (bytes, size) = (piece.as_ptr().cast::<c_void>(), piece.len());
    let mut state = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: `poll` gets one valid entry, the bytes outlive the calls, and libc checks the descriptor.
    let write = || unsafe {
        // On Apple systems, device files do not support `poll`, but can still be written to.
        if libc::poll(&mut state, 1, PATIENCE) != 1 || state.revents & (libc::POLLOUT | libc::POLLNVAL) == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // This never blocks on a socket, even if another process has filled it since the poll.
        let written = match libc::send(libc::STDERR_FILENO, bytes, size, libc::MSG_DONTWAIT) {
            -1 if io::Error::last_os_error().raw_os_error() == Some(libc::ENOTSOCK) => {
                libc::write(libc::STDERR_FILENO, bytes, size)
            }
            sent => sent,
        };
        usize::try_from(written).map_err(|_| io::Error::last_os_error())
    };
    without_broken_pipe(write).is_ok_and(|written| written == size)
}

/// Runs `write` without the signal of a broken pipe. Rust programs ignore SIGPIPE, but
/// those that have restored its default would be ended by a message that nobody reads.
fn without_broken_pipe(write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    let mut set = MaybeUninit::<sigset_t>::uninit();
    let (mut before, mut pending) = (MaybeUninit::<sigset_t>::uninit(), MaybeUninit::<sigset_t>::uninit());
    // SAFETY: `sigemptyset` initializes the set, and the other calls the masks that they return, each before it is read.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
        let mut is_pending = || {
            libc::sigemptyset(pending.as_mut_ptr());
            libc::sigpending(pending.as_mut_ptr());
            libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
        };
        // One that is pending already is the host's.
        let was_pending = is_pending();
        let written = write();
        let is_broken = written.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPIPE));
        // With this error, the signal is pending for this thread, so this does not wait. One that is pending for the process might be
        // taken by another thread first.
        if is_broken && !was_pending && is_pending() {
            libc::sigwait(set.as_ptr(), &mut 0);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut());
        written
    }
}
