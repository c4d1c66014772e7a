//! Times a call on one thread, or on several threads that start at the same moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::clock::{preemptions, stay_on_core, thread_cpu};
use crate::meters::Calls;

/// The cost of one call, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// The wall time from the start of the first thread to the end of the last one, divided by the number of calls per
    /// thread.
    pub(crate) wall: f64,
    /// The CPU time of a thread, divided by its number of calls.
    pub(crate) cpu: f64,
}

const TURNS: usize = 400;
const WARM_UP: usize = 3;
/// A turn takes at most a millisecond, so many turns end before the scheduler gives the core to another thread.
const CALLS: u64 = 10_000;
/// The minimum number of undisturbed turns for a meaningful median. With fewer, the machine was too busy.
const FEWEST: usize = 10;
/// The maximum number of attempts to get enough undisturbed turns.
const ATTEMPTS: usize = 8;

/// Returns the median cost of a call over many turns of `work`. In each turn, every thread makes many calls, which are
/// passed to `work`.
///
/// Counts only turns in which no thread was preempted and all threads started within the first twentieth of the turn, so
/// that they really ran at the same time. `between` runs after each turn and is not timed.
pub(crate) fn cost(threads: usize, series: usize, work: &Work, between: &Between) -> Cost {
    let (mut all, mut undisturbed) = (Vec::new(), Vec::new());
    for _ in 0..ATTEMPTS {
        let turns = turns(threads, series, work, between);
        undisturbed.extend(turns.iter().filter(|turn| turn.is_undisturbed).copied());
        all.extend(turns);
        if undisturbed.len() >= FEWEST {
            return Cost::median_of(&undisturbed);
        }
    }
    eprintln!("    only {} turns of {} were undisturbed: the shortest ones count", undisturbed.len(), all.len());
    all.sort_by(|one, other| one.wall.total_cmp(&other.wall));
    all.truncate(FEWEST);
    Cost::median_of(&all)
}

impl Cost {
    fn median_of(turns: &[Together]) -> Self {
        Self { wall: median(turns.iter().map(|turn| turn.wall)), cpu: median(turns.iter().map(|turn| turn.cpu)) }
    }
}

/// The work to time.
pub(crate) type Work = Arc<dyn Fn(Calls) + Send + Sync>;
/// The work to do between two turns.
pub(crate) type Between = Arc<dyn Fn() + Send + Sync>;

fn turns(threads: usize, series: usize, work: &Work, between: &Between) -> Vec<Together> {
    let gate = Arc::new(Gate { arrived: AtomicUsize::new(0), threads });
    let threads: Vec<Vec<Turn>> = if threads == 1 {
        // Run on this thread, where the caller's context is the current one.
        vec![run(0, series, &gate, work, between)]
    } else {
        let (results, of_all) = channel();
        for thread in 0..threads {
            let (gate, work, between, results) = (gate.clone(), work.clone(), between.clone(), results.clone());
            on_thread(
                thread,
                Box::new(move || {
                    let _ = results.send(run(thread, series, &gate, &work, &between));
                }),
            );
        }
        drop(results);
        of_all.iter().collect()
    };
    (WARM_UP..TURNS).map(|turn| Together::of(&threads.iter().map(|thread| &thread[turn]).collect::<Vec<_>>())).collect()
}

fn run(thread: usize, series: usize, gate: &Gate, work: &Work, between: &Between) -> Vec<Turn> {
    let calls = Calls { count: CALLS, first: thread * series / gate.threads, series };
    let mut turns = Vec::with_capacity(TURNS);
    for turn in 0..TURNS {
        gate.pass(2 * turn + 1);
        turns.push(Turn::time(|| work(calls)));
        gate.pass(2 * turn + 2);
        if thread == 0 {
            between();
        }
    }
    turns
}

type Job = Box<dyn FnOnce() + Send>;

/// Runs the job on the thread with this number. As in a server, the threads are reused for all measurements in this
/// process, so a library creates its per-thread state only once.
fn on_thread(number: usize, job: Job) {
    static THREADS: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    while threads.len() <= number {
        let (core, (jobs, inbox)) = (threads.len(), channel::<Job>());
        std::thread::spawn(move || {
            stay_on_core(core);
            inbox.into_iter().for_each(|job| job());
        });
        threads.push(jobs);
    }
    threads[number].send(job).expect("the thread waits for jobs");
}

/// Returns the median.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// One turn of one thread.
struct Turn {
    started: Instant,
    ended: Instant,
    cpu: u64,
    was_preempted: bool,
}

impl Turn {
    fn time(work: impl FnOnce()) -> Self {
        let (preempted, cpu, started) = (preemptions(), thread_cpu(), Instant::now());
        work();
        let (ended, cpu) = (Instant::now(), thread_cpu() - cpu);
        Self { started, ended, cpu, was_preempted: preemptions() != preempted }
    }
}

/// One turn of all threads, with times per call.
#[derive(Clone, Copy)]
struct Together {
    wall: f64,
    cpu: f64,
    is_undisturbed: bool,
}

impl Together {
    fn of(turns: &[&Turn]) -> Self {
        let first = turns.iter().map(|turn| turn.started).min().expect("there is a thread");
        let last_start = turns.iter().map(|turn| turn.started).max().expect("there is a thread");
        let end = turns.iter().map(|turn| turn.ended).max().expect("there is a thread");
        let cpu: u64 = turns.iter().map(|turn| turn.cpu).sum();
        let wall = end - first;
        Self {
            wall: wall.as_nanos() as f64 / CALLS as f64,
            cpu: cpu as f64 / turns.len() as f64 / CALLS as f64,
            is_undisturbed: !turns.iter().any(|turn| turn.was_preempted) && (last_start - first) * 20 <= wall,
        }
    }
}

/// Lets threads pass once all of them have arrived. Each spins on its own core, because a thread that yields would
/// resume too late.
struct Gate {
    arrived: AtomicUsize,
    threads: usize,
}

impl Gate {
    /// Waits for the other threads. `time` is 1 for a thread's first call, 2 for the second, and so on.
    fn pass(&self, time: usize) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        while self.arrived.load(Ordering::Acquire) < self.threads * time {
            std::hint::spin_loop();
        }
    }
}
