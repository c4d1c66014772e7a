//! Timing a call on one thread, or on several that begin at the same moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::clock::{preemptions, stay_on_core, thread_cpu};
use crate::meters::Calls;

/// What one call costs, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Wall time from the moment the first thread begins until the last one ends, over the calls of one thread.
    pub(crate) wall: f64,
    /// CPU time of a thread over its calls.
    pub(crate) cpu: f64,
}

const TURNS: usize = 400;
const WARM_UP: usize = 3;
/// A turn takes a millisecond at most: many are over before a scheduler gives the core to somebody else.
const CALLS: u64 = 10_000;
/// With fewer undisturbed turns than this, the machine was too busy for a median of them.
const FEWEST: usize = 10;
/// So often is it tried to have enough of them.
const ATTEMPTS: usize = 8;

/// The median cost of a call over many turns of `work`, each a great many calls on every thread, which gets its calls.
///
/// Only turns count in which no thread was taken off its core and all began within a twentieth of the turn: in them, the
/// threads did run at the same time. `between` runs after each turn and is not counted.
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

/// What is timed.
pub(crate) type Work = Arc<dyn Fn(Calls) + Send + Sync>;
/// What is done between two turns.
pub(crate) type Between = Arc<dyn Fn() + Send + Sync>;

fn turns(threads: usize, series: usize, work: &Work, between: &Between) -> Vec<Together> {
    let gate = Arc::new(Gate { arrived: AtomicUsize::new(0), threads });
    let threads: Vec<Vec<Turn>> = if threads == 1 {
        // Here, where the context of the caller is the current one.
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

/// Runs the job on the thread of that number, which is the same in all measurements of this process, like the threads of a
/// server: what a library keeps for each thread is there once.
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

/// The value in the middle.
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

/// The same turn of all threads, per call.
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

/// Lets threads through when all of them are there. They spin, each on its core: a thread that gives way comes back too
/// late.
struct Gate {
    arrived: AtomicUsize,
    threads: usize,
}

impl Gate {
    /// Waits for the others; `time` is 1 at the first call of a thread, then 2, and so on.
    fn pass(&self, time: usize) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        while self.arrived.load(Ordering::Acquire) < self.threads * time {
            std::hint::spin_loop();
        }
    }
}
