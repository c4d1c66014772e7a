//! The delay between two runs of a task, which may change while the task runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Handle;

/// The delay between two runs of a task, as the task sees it. Clones share one delay.
#[derive(Clone, Debug)]
pub(crate) struct Pace(Arc<AtomicU64>);

impl Pace {
    pub(crate) fn new(delay: Duration) -> Self {
        Pace(Arc::new(AtomicU64::new(nanos(delay))))
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Changes the pace of a task.
#[derive(Clone, Debug)]
pub struct Pacer {
    pace: Pace,
    task: Handle,
}

impl Pacer {
    pub(crate) fn new(pace: &Pace, task: &Handle) -> Self {
        Pacer { pace: pace.clone(), task: task.clone() }
    }

    /// Sets the delay and wakes the task, with [`Wake::Full`](super::Wake::Full), so that a shorter delay applies at once.
    pub(crate) fn set(&self, delay: Duration) {
        self.pace.0.store(nanos(delay), Ordering::Relaxed);
        self.task.wake();
    }
}

/// Returns the number of nanoseconds. More than 584 years are as good as 584 years.
fn nanos(delay: Duration) -> u64 {
    u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)
}
