//! A runtime that does nothing on its own: a test runs the tasks, on the test's thread and in any order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{Asked, Driver, Request, Task, Wake, guarded, run_to_the_end, with_end};
use crate::error::ExportError;
use crate::sync::unpoisoned;
use crate::time::Deadline;

/// A runtime whose tasks run only when the test runs them explicitly. Clones share the same tasks.
#[derive(Clone, Debug, Default)]
pub struct ManualRuntime(Arc<Mutex<Vec<Arc<ManualDriver>>>>);

impl ManualRuntime {
    /// Creates a runtime without tasks.
    pub fn new() -> Self {
        ManualRuntime::default()
    }

    pub(super) fn start(&self, task: impl Task) -> Arc<ManualDriver> {
        let driver = Arc::new(ManualDriver { task: Mutex::new(Some(Box::new(task))), woken: AtomicBool::new(false) });
        unpoisoned(self.0.lock()).push(driver.clone());
        driver
    }

    /// Runs only the tasks that have been woken, and returns the number of those tasks.
    pub fn run_woken(&self) -> usize {
        self.run_where(Wake::Full, |driver| driver.woken.swap(false, Ordering::Relaxed))
    }

    /// Fires the timer of every task.
    pub fn run_timers(&self) {
        self.run_where(Wake::Timer, |_| true);
    }

    fn run_where(&self, why: Wake, wanted: impl Fn(&ManualDriver) -> bool) -> usize {
        let drivers = unpoisoned(self.0.lock()).clone();
        drivers.iter().filter(|driver| wanted(driver)).map(|driver| driver.run(why)).count()
    }
}

pub(super) struct ManualDriver {
    task: Mutex<Option<Box<dyn Task>>>,
    woken: AtomicBool,
}

impl ManualDriver {
    fn run(&self, why: Wake) {
        if let Some(task) = &mut *unpoisoned(self.task.lock()) {
            run_to_the_end(&mut **task, why);
        }
    }
}

impl std::fmt::Debug for ManualDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ManualDriver")
    }
}

impl Driver for ManualDriver {
    fn wake(&self) {
        self.woken.store(true, Ordering::Relaxed);
    }

    /// Handles the request immediately.
    fn ask(&self, request: Request, deadline: Deadline) -> Asked {
        Asked::Done(self.request(request, deadline))
    }

    fn wait(&self, _: Request, _: u64, _: Deadline) -> Result<(), ExportError> {
        // All requests finish immediately, so there are no tickets.
        Ok(())
    }
}

impl ManualDriver {
    fn request(&self, request: Request, deadline: Deadline) -> Result<(), ExportError> {
        let mut slot = unpoisoned(self.task.lock());
        let done = match (&mut *slot, request) {
            (None, Request::Shutdown) => return Ok(()),
            (None, _) => return Err(ExportError::shutdown()),
            (Some(task), Request::Run) => run_to_the_end(&mut **task, Wake::Full).map(Ok),
            (Some(task), Request::Flush) => guarded(|| task.flush(deadline)),
            (Some(task), Request::Shutdown) => {
                with_end(&Arc::new(AtomicBool::new(true)), || guarded(|| task.shutdown(deadline)))
            }
        };
        if request == Request::Shutdown {
            *slot = None;
        }
        done.unwrap_or_else(|| Err(ExportError::other("the background work panicked")))
    }
}
