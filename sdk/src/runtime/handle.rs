//! How a task is asked for something, and how it is waited for.

use std::sync::Arc;

use crate::error::ExportError;
use crate::time::Deadline;

/// A running task. Its methods may be called from any thread, at any time, again and again.
#[derive(Clone)]
pub struct Handle(Arc<dyn Driver>);

impl Handle {
    pub(super) fn new(driver: Arc<dyn Driver>) -> Self {
        Handle(driver)
    }

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

/// What a driver offers to the holders of a [`Handle`].
pub(super) trait Driver: Send + Sync {
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
pub(super) enum Asked {
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
