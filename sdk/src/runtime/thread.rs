//! A task on a dedicated thread, which sleeps until the timer fires, the task is woken or a request arrives.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::background::is_task;
use super::{
    Asked, Driver, Next, OFF_IN_A_FORKED_CHILD, Request, Task, Wake, guarded, run_to_the_end, spawn, with_end,
};
use crate::error::{ConfigError, ExportError, Kind};
use crate::process::Generation;
use crate::sync::unpoisoned;
use crate::time::{self, Deadline};

/// Delay before the next run of a task that panicked.
const AFTER_PANIC: Duration = Duration::from_secs(1);

pub(super) struct ThreadDriver {
    shared: Arc<Shared>,
    /// In a forked child, the thread does not exist, and the lock may stay locked forever.
    home: Generation,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Notifies the worker that `state` or `woken` has changed.
    to_worker: Condvar,
    /// Notifies the callers that a request has finished.
    to_callers: Condvar,
    /// Set without the lock, so that waking a worker that is already awake costs only one atomic operation.
    woken: AtomicBool,
    /// Set once shutdown has been requested; the task should then finish its current work soon.
    ending: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    /// Pending requests, no more than one of each kind. Later callers join the existing request.
    pending: [Option<Pending>; 3],
    /// The last ticket issued. `done` holds the last result of each kind of request.
    tickets: u64,
    done: [Option<Done>; 3],
    /// True while the worker waits on the condition variable and must be notified.
    sleeps: bool,
    ended: bool,
}

struct Pending {
    /// Callers with a ticket up to this number are waiting for the request.
    ticket: u64,
    deadline: Deadline,
}

struct Done {
    ticket: u64,
    result: Result<(), Failure>,
}

/// The failure of a request, which is passed to every waiting caller. `ExportError` itself cannot be cloned.
#[derive(Clone)]
struct Failure {
    kind: Kind,
    message: Arc<str>,
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        Failure { kind: error.kind(), message: error.to_string().into() }
    }
}

impl From<Failure> for ExportError {
    fn from(failure: Failure) -> Self {
        ExportError::new(failure.kind, failure.message.to_string())
    }
}

fn timed_out() -> ExportError {
    ExportError::timeout("the deadline passed before everything was exported")
}

impl ThreadDriver {
    pub(super) fn start(name: &str, task: impl Task) -> Result<Self, ConfigError> {
        let (shared, home) = (Arc::new(Shared::default()), Generation::current());
        let workers = shared.clone();
        spawn(name, move || workers.work(task))?;
        Ok(ThreadDriver { shared, home })
    }
}

impl Driver for ThreadDriver {
    #[inline]
    fn wake(&self) {
        if !self.home.is_past() && !self.shared.woken.swap(true, Ordering::AcqRel) {
            self.shared.notify_worker();
        }
    }

    fn ask(&self, request: Request, deadline: Deadline) -> Asked {
        if self.home.is_past() {
            // A forked child has nothing to export or to shut down.
            let is_shutdown = request == Request::Shutdown;
            return Asked::Done(if is_shutdown { Ok(()) } else { Err(ExportError::other(OFF_IN_A_FORKED_CHILD)) });
        }
        if is_task(&self.shared.ending) {
            return Asked::Done(Err(ExportError::other("an exporter cannot wait for its own thread")));
        }
        self.shared.ask(request, deadline)
    }

    fn wait(&self, request: Request, ticket: u64, deadline: Deadline) -> Result<(), ExportError> {
        if self.home.is_past() {
            return Err(ExportError::other(OFF_IN_A_FORKED_CHILD));
        }
        self.shared.wait(request, ticket, deadline)
    }
}

impl Drop for ThreadDriver {
    /// Ends the thread without waiting for it, unless it has already been shut down.
    fn drop(&mut self) {
        if !self.home.is_past() && !is_task(&self.shared.ending) {
            let _ = self.shared.ask(Request::Shutdown, Deadline::after(Duration::ZERO));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }

    fn notify_worker(&self) {
        if self.lock().sleeps {
            self.to_worker.notify_one();
        }
    }

    fn ask(&self, request: Request, deadline: Deadline) -> Asked {
        let mut state = self.lock();
        if state.ended {
            return Asked::Done(if request == Request::Shutdown { Ok(()) } else { Err(ExportError::shutdown()) });
        }
        if request == Request::Shutdown {
            self.ending.store(true, Ordering::Relaxed);
        }
        state.tickets += 1;
        let ticket = state.tickets;
        let slot = request as usize;
        let deadline_of_all = match &state.pending[slot] {
            Some(earlier) => later(earlier.deadline, deadline),
            None => deadline,
        };
        state.pending[slot] = Some(Pending { ticket, deadline: deadline_of_all });
        self.to_worker.notify_one();
        Asked::Ticket(ticket)
    }

    fn wait(&self, request: Request, ticket: u64, deadline: Deadline) -> Result<(), ExportError> {
        let mut state = self.lock();
        loop {
            match &state.done[request as usize] {
                // A second shutdown request waits for the first to finish.
                Some(done) if done.ticket >= ticket || (state.ended && request == Request::Shutdown) => {
                    return done.result.clone().map_err(ExportError::from);
                }
                // The task has already been shut down, and the shutdown has done the requested work.
                _ if state.ended => {
                    let shutdown = state.done[Request::Shutdown as usize].as_ref();
                    return shutdown.map_or(Ok(()), |done| done.result.clone()).map_err(ExportError::from);
                }
                _ => {}
            }
            state = match deadline.remaining() {
                None => unpoisoned(self.to_callers.wait(state)),
                Some(left) if left.is_zero() => return Err(timed_out()),
                Some(left) => unpoisoned(self.to_callers.wait_timeout(state, left)).0,
            };
        }
    }

    /// The main function of the worker thread.
    fn work(&self, mut task: impl Task) {
        let (pending, result) = with_end(&self.ending, || self.serve(&mut task));
        // Drop the task here rather than in a caller, so that an exporter and its fields are never dropped on any
        // other thread.
        guarded(|| drop(task));
        self.complete(Request::Shutdown, pending, result);
    }

    /// Runs the task until it is shut down. Returns the shutdown request and its result.
    fn serve(&self, task: &mut impl Task) -> (Pending, Option<Result<(), ExportError>>) {
        time::discipline();
        // `None` if the task has more to do immediately.
        let mut timer = Some(Deadline::after(task.first()));
        loop {
            let step = self.next(timer);
            time::discipline();
            match step {
                Step::Run(why) => {
                    timer = match guarded(|| task.run(why)).unwrap_or(Next::After(AFTER_PANIC)) {
                        Next::Now => None,
                        Next::After(wait) => Some(Deadline::after(wait)),
                    };
                }
                Step::Serve(Request::Run, pending) => {
                    let result = run_to_the_end(task, Wake::Full).map(Ok);
                    self.complete(Request::Run, pending, result);
                }
                Step::Serve(Request::Flush, pending) => {
                    let result = guarded(|| task.flush(pending.deadline));
                    self.complete(Request::Flush, pending, result);
                }
                Step::Serve(Request::Shutdown, pending) => {
                    let result = guarded(|| task.shutdown(pending.deadline));
                    return (pending, result);
                }
            }
        }
    }

    /// Passes the result of a request to every waiting caller. `None` means that the task panicked.
    fn complete(&self, request: Request, pending: Pending, result: Option<Result<(), ExportError>>) {
        let result = result.unwrap_or_else(|| Err(ExportError::other("the background work panicked")));
        let mut state = self.lock();
        state.done[request as usize] = Some(Done { ticket: pending.ticket, result: result.map_err(Failure::from) });
        state.ended |= request == Request::Shutdown;
        self.to_callers.notify_all();
    }

    /// Waits for the next step. Returns immediately if there is no timer.
    fn next(&self, timer: Option<Deadline>) -> Step {
        let mut state = self.lock();
        loop {
            for request in [Request::Shutdown, Request::Flush, Request::Run] {
                if let Some(pending) = state.pending[request as usize].take() {
                    return Step::Serve(request, pending);
                }
            }
            let Some(timer) = timer else { return Step::Run(Wake::More) };
            if self.woken.swap(false, Ordering::AcqRel) {
                return Step::Run(Wake::Full);
            }
            state.sleeps = true;
            state = match timer.remaining() {
                None => unpoisoned(self.to_worker.wait(state)),
                Some(left) if left.is_zero() => {
                    state.sleeps = false;
                    return Step::Run(Wake::Timer);
                }
                Some(left) => unpoisoned(self.to_worker.wait_timeout(state, left)).0,
            };
            state.sleeps = false;
        }
    }
}

enum Step {
    Run(Wake),
    Serve(Request, Pending),
}

/// Returns the later of two deadlines, because one request serves all waiting callers.
fn later(a: Deadline, b: Deadline) -> Deadline {
    if a.min(b) == a { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::is_ending;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    /// Records all calls, and lets the test control when a flush finishes.
    struct Probe {
        calls: Sender<String>,
        on_flush: Box<dyn FnMut(Deadline) -> Result<(), ExportError> + Send>,
    }

    impl Task for Probe {
        fn first(&self) -> Duration {
            Duration::ZERO
        }

        fn run(&mut self, why: Wake) -> Next {
            let _ = self.calls.send(format!("{why:?}"));
            Next::After(Duration::from_secs(3600))
        }

        fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
            let _ = self.calls.send("flush".to_owned());
            (self.on_flush)(deadline)
        }

        fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
            let _ = self.calls.send("shutdown".to_owned());
            (self.on_flush)(deadline)
        }
    }

    fn start(
        on_flush: impl FnMut(Deadline) -> Result<(), ExportError> + Send + 'static,
    ) -> (ThreadDriver, Receiver<String>) {
        let (calls, log) = channel();
        let driver = ThreadDriver::start("probe", Probe { calls, on_flush: Box::new(on_flush) }).unwrap();
        assert_eq!(log.recv().unwrap(), "Timer");
        (driver, log)
    }

    const SOON: Duration = Duration::from_secs(20);

    impl ThreadDriver {
        fn request(&self, request: Request, deadline: Deadline) -> Result<(), ExportError> {
            match self.ask(request, deadline) {
                Asked::Done(result) => result,
                Asked::Ticket(ticket) => self.wait(request, ticket, deadline),
            }
        }
    }

    #[test]
    fn a_task_learns_that_its_end_is_asked_for() {
        let (release, held) = channel::<()>();
        let (seen, sees) = channel();
        let (driver, _log) = start(move |_| {
            let _ = seen.send(is_ending());
            let _ = held.recv();
            let _ = seen.send(is_ending());
            Ok(())
        });
        assert!(matches!(driver.ask(Request::Flush, Deadline::after(SOON)), Asked::Ticket(_)));
        assert!(!sees.recv().unwrap());
        // This request is sent during the flush.
        let Asked::Ticket(end) = driver.ask(Request::Shutdown, Deadline::after(SOON)) else { panic!("it works") };
        drop(release);
        assert!(sees.recv().unwrap());
        driver.wait(Request::Shutdown, end, Deadline::after(SOON)).unwrap();
        assert!(!is_ending(), "this thread runs no task");
    }

    /// Has more work after each run that is asked for. A run ends when the test lets it.
    struct Endless {
        runs: Sender<()>,
        goes_on: Receiver<()>,
    }

    impl Task for Endless {
        fn first(&self) -> Duration {
            Duration::from_secs(3600)
        }

        fn run(&mut self, _: Wake) -> Next {
            let _ = self.runs.send(());
            let _ = self.goes_on.recv();
            Next::Now
        }

        fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
            Ok(())
        }

        fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
            Ok(())
        }
    }

    #[test]
    fn a_shutdown_does_not_wait_until_a_run_that_was_asked_for_has_done_all_work() {
        let ((runs, has_run), (go_on, goes_on)) = (channel(), channel());
        let driver = ThreadDriver::start("endless", Endless { runs, goes_on }).unwrap();
        assert!(matches!(driver.ask(Request::Run, Deadline::after(SOON)), Asked::Ticket(_)));
        has_run.recv().unwrap();
        let Asked::Ticket(end) = driver.ask(Request::Shutdown, Deadline::after(SOON)) else { panic!("it works") };
        go_on.send(()).unwrap();
        driver.wait(Request::Shutdown, end, Deadline::after(SOON)).unwrap();
    }

    #[test]
    fn a_wake_runs_the_task() {
        let (driver, log) = start(|_| Ok(()));
        driver.wake();
        assert_eq!(log.recv().unwrap(), "Full");
    }

    #[test]
    fn a_flush_waits_for_its_result() {
        let (driver, _log) = start(|_| Err(ExportError::rejected("no")));
        let error = driver.request(Request::Flush, Deadline::after(SOON)).unwrap_err();
        assert_eq!(error.to_string(), "no");
    }

    #[test]
    fn a_timeout_of_an_export_is_not_the_deadline_of_the_flush() {
        let (driver, _log) = start(|_| Err(ExportError::timeout("no response from http://collector in time")));
        let error = driver.request(Request::Flush, Deadline::after(SOON)).unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(error.to_string(), "no response from http://collector in time");
    }

    #[test]
    fn a_flush_returns_at_its_deadline_though_the_task_hangs() {
        let (release, held) = channel::<()>();
        let (driver, _log) = start(move |_| {
            let _ = held.recv();
            Ok(())
        });
        let error = driver.request(Request::Flush, Deadline::after(Duration::from_millis(10))).unwrap_err();
        assert!(error.is_timeout());
        drop(release);
        driver.request(Request::Flush, Deadline::after(SOON)).unwrap();
    }

    #[test]
    fn a_shutdown_that_is_asked_for_while_another_is_under_way_ends_as_that_one_does() {
        let (release, held) = channel::<()>();
        let (driver, log) = start(move |_| {
            let _ = held.recv();
            Err(ExportError::rejected("no"))
        });
        let ask = || match driver.ask(Request::Shutdown, Deadline::after(SOON)) {
            Asked::Ticket(ticket) => ticket,
            Asked::Done(result) => panic!("{result:?}"),
        };
        let first = ask();
        assert_eq!(log.recv().unwrap(), "shutdown");
        let second = ask();
        drop(release);
        for ticket in [first, second] {
            let error = driver.wait(Request::Shutdown, ticket, Deadline::after(SOON)).unwrap_err();
            assert_eq!(error.to_string(), "no");
        }
    }

    #[test]
    fn a_flush_that_a_shutdown_overtakes_ends_as_the_shutdown_does() {
        let (release, held) = channel::<()>();
        let (driver, log) = start(move |_| {
            let _ = held.recv();
            Ok(())
        });
        let ask = |request| match driver.ask(request, Deadline::after(SOON)) {
            Asked::Ticket(ticket) => ticket,
            Asked::Done(result) => panic!("{result:?}"),
        };
        ask(Request::Flush);
        assert_eq!(log.recv().unwrap(), "flush");
        let overtaken = ask(Request::Flush);
        ask(Request::Shutdown);
        drop(release);
        driver.wait(Request::Flush, overtaken, Deadline::after(SOON)).unwrap();
        assert_eq!(log.iter().collect::<Vec<_>>(), ["shutdown"]);
    }

    #[test]
    fn a_panic_is_reported_and_the_thread_goes_on() {
        let mut first = true;
        let (driver, _log) = start(move |_| if std::mem::take(&mut first) { panic!("on purpose") } else { Ok(()) });
        let error = driver.request(Request::Flush, Deadline::after(SOON)).unwrap_err();
        assert_eq!(error.to_string(), "the background work panicked");
        driver.request(Request::Flush, Deadline::after(SOON)).unwrap();
    }

    #[test]
    fn after_shutdown_a_second_one_is_fine_and_a_flush_is_an_error() {
        let (driver, log) = start(|_| Ok(()));
        driver.request(Request::Shutdown, Deadline::after(SOON)).unwrap();
        driver.request(Request::Shutdown, Deadline::after(SOON)).unwrap();
        assert!(driver.request(Request::Flush, Deadline::after(SOON)).unwrap_err().is_shutdown());
        driver.wake();
        assert_eq!(log.iter().collect::<Vec<_>>(), ["shutdown"]);
    }

    #[test]
    fn dropping_the_driver_ends_the_thread() {
        let (driver, log) = start(|_| Ok(()));
        drop(driver);
        assert_eq!(log.iter().collect::<Vec<_>>(), ["shutdown"]);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test of several threads")]
    fn many_threads_may_flush_at_once() {
        let (driver, _log) = start(|_| Ok(()));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| driver.request(Request::Flush, Deadline::after(SOON)).unwrap());
            }
        });
    }
}
