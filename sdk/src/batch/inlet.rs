//! The producer side of a processor, called by the application.

use std::sync::Arc;

use super::queue::{Pushed, Queue};
use crate::error::{ConfigError, ExportError};
use crate::process::Generation;
use crate::runtime::{Handle, OFF_IN_A_FORKED_CHILD, Runtime, Task};
use crate::signal::Signal;
use crate::sync::thread_index;
use crate::time::Deadline;

/// A queue and the task that drains it.
pub(super) struct Inlet<S: Signal> {
    queue: Arc<Queue<S>>,
    worker: Handle,
    /// In a forked child, the queue may stay locked forever, and no thread drains it.
    home: Generation,
}

impl<S: Signal> Inlet<S> {
    /// Starts `worker`, which drains `queue`, on a thread called `name`.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    pub(super) fn start(
        queue: Arc<Queue<S>>,
        worker: impl Task,
        name: &str,
        runtime: &Runtime,
    ) -> Result<Self, ConfigError> {
        Ok(Inlet { queue, worker: runtime.start(name, worker)?, home: Generation::current() })
    }

    /// Queues an item without waking the worker.
    #[inline]
    pub(super) fn push(&self, item: S::Item) -> Pushed {
        self.push_or_lose(item, |_| ())
    }

    /// Queues an item without waking the worker. Calls `lose`, without a lock, if the item is refused.
    #[inline]
    pub(super) fn push_or_lose(&self, item: S::Item, lose: impl FnOnce(&S::Item)) -> Pushed {
        if self.home.is_past() {
            return refuse_in_child();
        }
        self.queue.push_or_lose(thread_index(), item, lose)
    }

    #[inline]
    pub(super) fn worker(&self) -> &Handle {
        &self.worker
    }

    /// Returns the number of items in the queue.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns true if at least half of the queue is in use.
    pub(super) fn is_half_full(&self) -> bool {
        self.queue.is_half_full()
    }

    /// Closes the queue, then shuts the worker down. A second call does nothing.
    ///
    /// # Errors
    /// Returns an error if some items could not be delivered before the deadline.
    pub(super) fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        if !self.home.is_past() {
            self.queue.close();
        }
        self.worker.shutdown(deadline)
    }
}

#[cold]
fn refuse_in_child() -> Pushed {
    crate::__warn!("fork", "{OFF_IN_A_FORKED_CHILD}");
    Pushed::Closed
}
