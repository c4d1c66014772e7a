//! The background work of the SDK as a state machine, and what drives it: a thread of its own, or a test by hand.
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
pub(crate) use background::{apart, is_background};
use background::{guarded, with_end};
pub use handle::Handle;
use handle::{Asked, Driver};
pub(crate) use handle::{Request, Waiting};
pub use manual::ManualRuntime;

use crate::error::{ConfigError, ExportError};
use crate::process::leave_signals_to_the_host;
use crate::time::Deadline;

/// Why a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The time it asked for has come.
    Timer,
    /// Somebody called [`Handle::wake`]: there is enough to do.
    Full,
    /// It said that there is more to do, and nobody asked for anything else meanwhile.
    More,
}

/// When a task wants to run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once, with [`Wake::More`], but after whoever asks for a flush or a shutdown.
    Now,
    /// With [`Wake::Timer`] after this time, if nothing wakes it before.
    After(Duration),
}

/// Background work. Every method is called by one thread at a time, with telemetry suppressed and panics caught.
pub trait Task: Send + 'static {
    /// How long after its start its timer fires first.
    fn first(&self) -> Duration;

    /// Does one step of what is due: about as much as a caller of [`Handle::flush`] may be made to wait for.
    fn run(&mut self, why: Wake) -> Next;

    /// Does everything that is there.
    ///
    /// # Errors
    /// Not all of it could be done by the deadline.
    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError>;

    /// Does everything that is there and releases what the task holds; the last call.
    ///
    /// # Errors
    /// Not all of it could be done by the deadline.
    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError>;
}

/// Where tasks run.
#[derive(Clone, Debug, Default)]
pub enum Runtime {
    /// Each on a thread of its own.
    #[default]
    Thread,
    /// On the thread of a test, when it says so.
    Manual(ManualRuntime),
}

impl Runtime {
    /// Starts a task; `name` is the name of its thread.
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

/// Starts a thread of the SDK's own, which takes no signals that are meant for the program.
///
/// # Errors
/// The operating system refuses to start another thread.
#[allow(clippy::disallowed_methods, reason = "this module owns the threads")]
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ConfigError> {
    let work = move || {
        leave_signals_to_the_host();
        work();
    };
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| {
        let problem = "cannot start this background thread; the limit of threads or of memory may be reached";
        ConfigError::state(name.to_owned(), problem).with_source(error)
    })
}

/// Lets a task run until it has nothing more to do for now; `None` when it panicked.
fn run_to_the_end(task: &mut dyn Task, mut why: Wake) -> Option<()> {
    while guarded(|| task.run(why))? == Next::Now {
        why = Wake::More;
    }
    Some(())
}
