//! The background work of the SDK as a state machine, and what drives it: a thread of its own, or a test by hand.
//!
//! A [`Task`] never waits for time to pass; it says when it wants to run next. So the same batching code runs on the
//! `telemark-traces` thread of a program and step by step in a test that never sleeps.

mod manual;
mod thread;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

pub use manual::ManualRuntime;
use opentelemetry::Context;

use crate::error::{ConfigError, ExportError};
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
    /// The operating system has no thread to give.
    pub fn start(&self, name: &str, task: impl Task) -> Result<Handle, ConfigError> {
        let driver: Arc<dyn Driver> = match self {
            Runtime::Thread => Arc::new(thread::ThreadDriver::start(name, task)?),
            Runtime::Manual(runtime) => runtime.start(task),
        };
        Ok(Handle(driver))
    }
}

/// What a driver offers to the holders of a [`Handle`].
trait Driver: Send + Sync {
    fn wake(&self);
    /// Asks and does not wait.
    fn ask(&self, request: Request, deadline: Deadline) -> Asked;
    /// Waits for what was asked for and got this ticket.
    fn wait(&self, request: Request, ticket: u64, deadline: Deadline) -> Result<(), ExportError>;
}

/// What a caller may ask a task for and wait until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Run,
    Flush,
    Shutdown,
}

/// What became of a request so far.
enum Asked {
    Done(Result<(), ExportError>),
    Ticket(u64),
}

/// A request that is under way. Dropping it does not take it back.
#[must_use = "nobody learns how the request ended"]
pub(crate) struct Waiting(Progress);

enum Progress {
    Done(Result<(), ExportError>),
    Pending { driver: Arc<dyn Driver>, request: Request, ticket: u64 },
}

impl Waiting {
    /// One that has nothing to wait for.
    pub(crate) fn done(result: Result<(), ExportError>) -> Self {
        Waiting(Progress::Done(result))
    }

    /// Waits until the request is done.
    pub(crate) fn wait(self, deadline: Deadline) -> Result<(), ExportError> {
        match self.0 {
            Progress::Done(result) => result,
            Progress::Pending { driver, request, ticket } => driver.wait(request, ticket, deadline),
        }
    }
}

/// A running task. Its methods may be called from any thread, at any time, again and again.
#[derive(Clone)]
pub struct Handle(Arc<dyn Driver>);

impl Handle {
    /// Asks the task to run soon. Never waits.
    #[inline]
    pub fn wake(&self) {
        self.0.wake();
    }

    /// Lets the task run as after [`Self::wake`] and waits until it has.
    ///
    /// # Errors
    /// The deadline passed first, or the task is shut down.
    pub fn run(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.ask(Request::Run, deadline).wait(deadline)
    }

    /// Lets the task do everything that is there and waits for it.
    ///
    /// # Errors
    /// The task's error; the deadline passed first; the task is shut down.
    pub fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.ask(Request::Flush, deadline).wait(deadline)
    }

    /// Ends the task and waits for it. A second call returns at once.
    ///
    /// # Errors
    /// The task's error, or the deadline passed first; the task then ends by itself later.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.ask(Request::Shutdown, deadline).wait(deadline)
    }

    /// Asks without waiting, for those who ask several tasks and wait for all of them until one deadline.
    pub(crate) fn ask(&self, request: Request, deadline: Deadline) -> Waiting {
        match self.0.ask(request, deadline) {
            Asked::Done(result) => Waiting::done(result),
            Asked::Ticket(ticket) => Waiting(Progress::Pending { driver: self.0.clone(), request, ticket }),
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

/// Whether the SDK's own work runs on this thread now, of which no telemetry is made.
///
/// That the current context says so is not enough: h2 for one has spans of `tracing` without a parent, for which
/// tracing-opentelemetry starts from an empty context, and each export would cause the next.
#[inline]
pub(crate) fn is_background() -> bool {
    BACKGROUND.get()
}

thread_local! {
    static BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// Marks the thread until it is dropped.
struct Background {
    before: bool,
}

impl Background {
    fn enter() -> Self {
        Background { before: BACKGROUND.replace(true) }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        BACKGROUND.set(self.before);
    }
}

/// Does the SDK's own work on somebody else's thread: nothing of the caller is current meanwhile, neither span nor
/// baggage, and no telemetry is made of it.
pub(crate) fn apart<T>(work: impl FnOnce() -> T) -> T {
    let _background = Background::enter();
    let empty = || Context::new().with_telemetry_suppressed().attach();
    // The API panics while a look at its context is open, and when the thread is ending.
    let _context = std::panic::catch_unwind(empty).ok();
    work()
}

/// Runs a step of a task: telemetry suppressed, a panic caught and reported.
fn guarded<T>(step: impl FnOnce() -> T) -> Option<T> {
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    let _background = Background::enter();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(step));
    if result.is_err() {
        crate::__warn!("runtime.panic", "the background work panicked; it goes on with the next batch");
    }
    result.ok()
}

/// Lets a task run until it has nothing more to do for now; `None` when it panicked.
fn run_to_the_end(task: &mut dyn Task, mut why: Wake) -> Option<()> {
    while guarded(|| task.run(why))? == Next::Now {
        why = Wake::More;
    }
    Some(())
}
