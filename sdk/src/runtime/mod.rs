//! The background work of the SDK as a state machine, and its drivers: a thread, or a test by hand.
//!
//! A [`Task`] never waits for time to pass; it says when it wants to run next. So the same batching code runs on the
//! `telemark-traces` thread of a program and step by step in a test that never sleeps.

mod background;
mod handle;
mod manual;
mod thread;

use std::sync::Arc;
use std::time::Duration;

/// The reason why a forked child exports nothing.
pub(crate) const OFF_IN_A_FORKED_CHILD: &str = "telemetry is off in a forked child process, which has no thread to export it; \
    call `init` after the fork, in each process";

pub use background::is_ending;
pub(crate) use background::{apart, is_background, runs_a_task};
use background::{guarded, with_end};
pub use handle::Handle;
use handle::{Asked, Driver};
pub(crate) use handle::{Request, Waiting};
pub use manual::ManualRuntime;

use crate::error::{ConfigError, ExportError};
use crate::process::with_signals_left_to_the_host;
use crate::time::Deadline;

/// The reason for a run of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The task's timer fired.
    Timer,
    /// [`Handle::wake`] was called: there is enough to do.
    Full,
    /// The task returned [`Next::Now`], and no request came in between.
    More,
}

/// The time of a task's next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once, with [`Wake::More`], but after requests for a flush or a shutdown.
    Now,
    /// After this time, with [`Wake::Timer`], unless the task is woken earlier.
    After(Duration),
}

/// Background work. Every method is called by one thread at a time, with telemetry suppressed and panics caught.
pub trait Task: Send + 'static {
    /// Returns the time from the start to the first run.
    fn first(&self) -> Duration;

    /// Does one step of the due work, small enough for a caller of [`Handle::flush`] to wait for.
    fn run(&mut self, why: Wake) -> Next;

    /// Finishes all pending work.
    ///
    /// # Errors
    /// Some work could not be finished by the deadline.
    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError>;

    /// Finishes all pending work and releases resources. The last call.
    ///
    /// # Errors
    /// Some work could not be finished by the deadline.
    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError>;
}

/// The threads that tasks run on: their own, or that of a test.
#[derive(Clone, Debug, Default)]
pub enum Runtime {
    /// Each task on a thread of its own.
    #[default]
    Thread,
    /// All tasks on the thread of a test, when the test says so.
    Manual(ManualRuntime),
}

impl Runtime {
    /// Starts a task on a thread called `name`.
    ///
    /// # Errors
    /// The operating system refuses to start another thread.
    pub fn start(&self, name: &str, task: impl Task) -> Result<Handle, ConfigError> {
        let driver: Arc<dyn Driver> = match self {
            Runtime::Thread => Arc::new(thread::ThreadDriver::start(name, task)?),
            Runtime::Manual(runtime) => runtime.start(task),
        };
        Ok(Handle::new(driver))
    }
}

/// Starts a thread of the SDK, which blocks the signals of the program.
///
/// # Errors
/// The operating system refuses to start another thread.
#[allow(clippy::disallowed_methods, reason = "this module owns the threads")]
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ConfigError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    // Before it runs: it inherits the mask, so there is no moment in which it takes a signal.
    let started = with_signals_left_to_the_host(|| thread.spawn(work));
    started.map(drop).map_err(|error| {
        let problem = "cannot start this background thread; the limit of threads or of memory may be reached";
        ConfigError::state(name.to_owned(), problem).with_source(error)
    })
}

/// Runs a task until it has nothing more to do for now. Returns `None` if it panicked.
fn run_to_the_end(task: &mut dyn Task, mut why: Wake) -> Option<()> {
    while guarded(|| task.run(why))? == Next::Now {
        why = Wake::More;
    }
    Some(())
}
