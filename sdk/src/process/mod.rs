//! The process: the signals that end it, its exit, and its forks.
//!
//! | file | owns |
//! |---|---|
//! | `files` | opens files without waiting |
//! | `fork` | distinguishes a forked child from the process that started the work |
//! | `unix` | signals, exit and forks on Unix; with `standard_error`, the only callers of libc |
//! | `standard_error` | lines on standard error that neither block nor end the program, on Unix |
//! | `elsewhere` | the same interface for other systems, on which nothing is watched |

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_vendor = "apple"
)))]
#[path = "elsewhere.rs"]
mod system;
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_vendor = "apple"
))]
#[path = "unix.rs"]
mod system;

mod files;
mod fork;

pub use files::open_regular_file;
pub use fork::PerProcess;
pub(crate) use fork::{Generation, after_fork, unless_stuck};
pub use system::kill_group;
pub(crate) use system::{
    Event, Signals, TerminationSignal, at_exit, with_signals_left_to_the_host, write_to_standard_error,
};
