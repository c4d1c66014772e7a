//! The SDK's background work as state machines, each driven by a thread, or manually by a test.
//!
//! A [`Task`] never waits for time to pass, but returns the time of its next run. This allows the same batching code
//! to run on a program's `telemark-traces` thread and, step by step, in a test that never sleeps.

mod background;
mod handle;
mod manual;
mod pace;
mod thread;

use std::sync::Arc;
use std::time::Duration;

/// The reason why a forked child exports nothing, as shown in messages.
pub(crate) const OFF_IN_A_FORKED_CHILD: &str = "telemetry is off in a forked child process, which has no thread to export it; \
    call `init` after the fork, in each process";

pub use background::is_ending;
pub(crate) use background::{apart, is_background, runs_a_task};
use background::{guarded, with_end};
pub use handle::Handle;
use handle::{Asked, Driver};
pub(crate) use handle::{Request, Waiting};
pub use manual::ManualRuntime;
pub(crate) use pace::{Pace, Pacer};

use crate::error::{ConfigError, ExportError};
use crate::process::with_signals_left_to_the_host;
#[doc(hidden)]
pub use crate::process::{kill_group, open_regular_file};
use crate::time::Deadline;

/// The reason why a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The task's timer fired.
    Timer,
    /// [`Handle::wake`] was called because there is enough work.
    Full,
    /// The task returned [`Next::Now`], and no request has arrived since then.
    More,
}

/// The time of a task's next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run immediately with [`Wake::More`], but after any pending requests to flush or shut down.
    Now,
    /// Run after this delay with [`Wake::Timer`], unless the task is woken earlier.
    After(Duration),
}

/// Background work. Every method is called by one thread at a time, with telemetry suppressed and panics caught.
pub trait Task: Send + 'static {
    /// Returns the delay between the start and the first run.
    fn first(&self) -> Duration;

    /// Performs one step of the pending work, which must be small enough that a caller of [`Handle::flush`] can wait
    /// for it.
    fn run(&mut self, why: Wake) -> Next;

    /// Finishes all pending work.
    ///
    /// # Errors
    /// Returns an error if some work could not be finished by the deadline.
    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError>;

    /// Finishes all pending work and releases resources. This is the last call.
    ///
    /// # Errors
    /// Returns an error if some work could not be finished by the deadline.
    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError>;
}

/// Where tasks run: on their own threads, or on a test's thread.
#[derive(Clone, Debug, Default)]
pub enum Runtime {
    /// Runs each task on a dedicated thread.
    #[default]
    Thread,
    /// Runs all tasks on a test's thread, when the test runs them explicitly.
    Manual(ManualRuntime),
}

impl Runtime {
    /// Starts a task on a thread called `name`.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    pub fn start(&self, name: &str, task: impl Task) -> Result<Handle, ConfigError> {
        let driver: Arc<dyn Driver> = match self {
            Runtime::Thread => Arc::new(thread::ThreadDriver::start(name, task)?),
            Runtime::Manual(runtime) => runtime.start(task),
        };
        Ok(Handle::new(driver))
    }
}

/// Starts an SDK thread, which blocks the program's signals.
///
/// # Errors
/// Returns an error if the operating system refuses to start another thread.
#[allow(clippy::disallowed_methods, reason = "this module owns the threads")]
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ConfigError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    // Block signals before the thread starts. The thread inherits the mask, so it can never receive a signal.
    let started = with_signals_left_to_the_host(|| thread.spawn(work));
    started.map(drop).map_err(|error| {
        let problem = "cannot start this background thread; the limit of threads or of memory may be reached";
        ConfigError::state(name.to_owned(), problem).with_source(error)
    })
}

/// Runs a task until it has no more work for now, or until its shutdown is asked for, which has a deadline and does what is left. Returns
/// `None` if the task panicked.
fn run_to_the_end(task: &mut dyn Task, mut why: Wake) -> Option<()> {
    while guarded(|| task.run(why))? == Next::Now && !is_ending() {
        why = Wake::More;
    }
    Some(())
}
