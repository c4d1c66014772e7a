//! Sends requests to a task and waits until they have finished.

use std::sync::Arc;

use crate::error::ExportError;
use crate::time::Deadline;

/// A handle to a running task. All methods can be called on any thread, at any time and repeatedly.
#[derive(Clone)]
pub struct Handle(Arc<dyn Driver>);

impl Handle {
    pub(super) fn new(driver: Arc<dyn Driver>) -> Self {
        Handle(driver)
    }

    /// Requests that the task run soon, without waiting for the run.
    #[inline]
    pub fn wake(&self) {
        self.0.wake();
    }

    /// Runs the task like [`Self::wake`], but waits until it has finished the run.
    ///
    /// # Errors
    /// Returns an error if the deadline passed first, or if the task has been shut down.
    pub fn run(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.ask(Request::Run, deadline).wait(deadline)
    }

    /// Causes the task to finish all pending work, and waits until it has done so.
    ///
    /// # Errors
    /// Returns an error if the task failed, the deadline passed first, or the task has been shut down.
    pub fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.ask(Request::Flush, deadline).wait(deadline)
    }

    /// Shuts the task down, and waits until it has ended. A second call returns immediately.
    ///
    /// # Errors
    /// Returns an error if the task failed, or if the deadline passed first. In the latter case, the task ends on its
    /// own later.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.ask(Request::Shutdown, deadline).wait(deadline)
    }

    /// Sends a request without waiting, so that a caller can send requests to several tasks and wait for all of them
    /// with one deadline.
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

/// The driver of the task behind a [`Handle`].
pub(super) trait Driver: Send + Sync {
    fn wake(&self);
    /// Sends a request without waiting.
    fn ask(&self, request: Request, deadline: Deadline) -> Asked;
    /// Waits until the request with this ticket has finished.
    fn wait(&self, request: Request, ticket: u64, deadline: Deadline) -> Result<(), ExportError>;
}

/// A request to a task; callers can wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Run,
    Flush,
    Shutdown,
}

/// The state of a request that has been sent.
pub(super) enum Asked {
    Done(Result<(), ExportError>),
    Ticket(u64),
}

/// A request in progress. Dropping this value does not cancel the request.
#[must_use = "the result of the request is lost"]
pub(crate) struct Waiting(Progress);

enum Progress {
    Done(Result<(), ExportError>),
    Pending { driver: Arc<dyn Driver>, request: Request, ticket: u64 },
}

impl Waiting {
    /// Creates a request that has already finished.
    pub(crate) fn done(result: Result<(), ExportError>) -> Self {
        Waiting(Progress::Done(result))
    }

    /// Waits until the request has finished.
    pub(crate) fn wait(self, deadline: Deadline) -> Result<(), ExportError> {
        match self.0 {
            Progress::Done(result) => result,
            Progress::Pending { driver, request, ticket } => driver.wait(request, ticket, deadline),
        }
    }
}
