//! Requests to a task, and waiting for them.

use std::sync::Arc;

use crate::error::ExportError;
use crate::time::Deadline;

/// A running task. Any thread may call its methods, at any time and repeatedly.
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

    /// Runs the task as [`Self::wake`] does, and waits for it.
    ///
    /// # Errors
    /// The deadline passed first, or the task is shut down.
    pub fn run(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.ask(Request::Run, deadline).wait(deadline)
    }

    /// Lets the task finish all pending work, and waits for it.
    ///
    /// # Errors
    /// The task failed, the deadline passed first, or the task is shut down.
    pub fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.ask(Request::Flush, deadline).wait(deadline)
    }

    /// Ends the task and waits for it. A second call returns at once.
    ///
    /// # Errors
    /// The task failed, or the deadline passed first; the task then ends by itself later.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.ask(Request::Shutdown, deadline).wait(deadline)
    }

    /// Sends a request without waiting, for callers that ask several tasks and then wait for all of them with one deadline.
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

/// The driver behind a [`Handle`].
pub(super) trait Driver: Send + Sync {
    fn wake(&self);
    /// Sends a request without waiting.
    fn ask(&self, request: Request, deadline: Deadline) -> Asked;
    /// Waits for the request with this ticket.
    fn wait(&self, request: Request, ticket: u64, deadline: Deadline) -> Result<(), ExportError>;
}

/// A request to a task that a caller can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Run,
    Flush,
    Shutdown,
}

/// The state of a request after it was sent.
pub(super) enum Asked {
    Done(Result<(), ExportError>),
    Ticket(u64),
}

/// A request under way. Dropping this does not cancel it.
#[must_use = "the result of the request is lost"]
pub(crate) struct Waiting(Progress);

enum Progress {
    Done(Result<(), ExportError>),
    Pending { driver: Arc<dyn Driver>, request: Request, ticket: u64 },
}

impl Waiting {
    /// Creates a finished request.
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
