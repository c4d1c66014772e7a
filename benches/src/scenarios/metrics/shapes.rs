//! The cost of a measurement under the thread patterns ("shapes") found in services.
//!
//! A shape defines the threads, which of them created the series, and which one is timed. All libraries use the same
//! threads, and each combination of shape and call has its own provider.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use tokio::runtime::Builder;

use crate::clock::thread_cpu;
use crate::lockstep::median;
use crate::meters::{Calls, Meter};

/// Makes calls on one series. Returns false if the library does not have the instrument.
pub(super) type Call = fn(&dyn Meter, Calls) -> bool;

/// Returns the CPU time per call in nanoseconds.
type Shape = fn(&Arc<dyn Meter>, Call) -> f64;

pub(super) const SHAPES: [(&str, Shape); 9] = [
    ("first thread", first_thread),
    ("second thread", second_thread),
    ("series of a thread that ended", series_of_an_ended_thread),
    ("thread after 32 others ended", after_others_ended),
    ("thread beside 32 that wait", beside_waiting_threads),
    ("threads that come and go", come_and_go),
    ("tokio, 2 workers", |meter, call| tokio_workers(meter, call, 2)),
    ("tokio, 8 workers", |meter, call| tokio_workers(meter, call, 8)),
    ("16 threads at once", |meter, call| at_once(meter, call, 16)),
];

const TURNS: usize = 200;
const CALLS: u64 = 2_000;
/// The number of initial turns that only warm up caches and branch predictors.
const WARM_UP: usize = 10;
const OTHERS: usize = 32;
const SHORT_THREADS: usize = 400;
const TASKS: usize = 64;
const POLLS: usize = 25;

fn calls(count: u64) -> Calls {
    Calls { count, first: 0, series: 1 }
}

/// Returns the CPU time per call, averaged over `count` calls on this thread.
fn turn(meter: &Arc<dyn Meter>, call: Call, count: u64) -> f64 {
    let started = thread_cpu();
    call(&**meter, calls(count));
    (thread_cpu() - started) as f64 / count as f64
}

fn turns(meter: &Arc<dyn Meter>, call: Call) -> Vec<f64> {
    (0..WARM_UP + TURNS).map(|_| turn(meter, call, CALLS)).skip(WARM_UP).collect()
}

/// Returns the median over this thread's turns, with nothing else running.
fn undisturbed(meter: &Arc<dyn Meter>, call: Call) -> f64 {
    let cost = median(turns(meter, call).into_iter());
    meter.upkeep();
    cost
}

/// Runs `work` on a new thread and waits for the thread to end.
fn on_new_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // Joined, because the end of the scope does not wait until the thread's local values are destroyed.
    thread::scope(|scope| scope.spawn(work).join()).expect("the calls do not panic")
}

fn first_thread(meter: &Arc<dyn Meter>, call: Call) -> f64 {
    undisturbed(meter, call)
}

fn second_thread(meter: &Arc<dyn Meter>, call: Call) -> f64 {
    call(&**meter, calls(1));
    on_new_thread(|| undisturbed(meter, call))
}

fn series_of_an_ended_thread(meter: &Arc<dyn Meter>, call: Call) -> f64 {
    on_new_thread(|| call(&**meter, calls(1)));
    undisturbed(meter, call)
}

/// The other threads exist at the same time, like the workers of a pool.
fn after_others_ended(meter: &Arc<dyn Meter>, call: Call) -> f64 {
    let together = Barrier::new(OTHERS);
    thread::scope(|scope| {
        let other = || {
            call(&**meter, calls(1));
            together.wait();
        };
        let others: Vec<_> = (0..OTHERS).map(|_| scope.spawn(other)).collect();
        others.into_iter().for_each(|other| other.join().expect("the calls do not panic"));
    });
    on_new_thread(|| undisturbed(meter, call))
}

/// The other threads have made a call and are sleeping. The thread that starts last is timed.
fn beside_waiting_threads(meter: &Arc<dyn Meter>, call: Call) -> f64 {
    let (there, timed) = (Barrier::new(OTHERS + 1), Barrier::new(OTHERS + 1));
    thread::scope(|scope| {
        for _ in 0..OTHERS {
            scope.spawn(|| {
                call(&**meter, calls(1));
                there.wait();
                timed.wait();
            });
        }
        there.wait();
        let cost = on_new_thread(|| undisturbed(meter, call));
        timed.wait();
        cost
    })
}

/// Short-lived threads run one after another, each for [`CALLS`] calls. The first call of each thread is included.
fn come_and_go(meter: &Arc<dyn Meter>, call: Call) -> f64 {
    let costs = (0..SHORT_THREADS).map(|_| on_new_thread(|| turn(meter, call, CALLS)));
    let cost = median(costs);
    meter.upkeep();
    cost
}

/// Each poll of a task makes calls and then yields. Returns the mean, because contention between workers on a cell is
/// part of the cost.
fn tokio_workers(meter: &Arc<dyn Meter>, call: Call, workers: usize) -> f64 {
    let runtime = Builder::new_multi_thread().worker_threads(workers).build().expect("the system has threads left");
    let (results, costs) = channel();
    for _ in 0..TASKS {
        let (meter, results) = (meter.clone(), results.clone());
        runtime.spawn(async move {
            for _ in 0..POLLS {
                let _ = results.send(turn(&meter, call, CALLS));
                tokio::task::yield_now().await;
            }
        });
    }
    drop(results);
    mean(&costs.iter().collect::<Vec<_>>())
}

/// More threads than cores, all of them busy. Returns the mean for the same reason.
fn at_once(meter: &Arc<dyn Meter>, call: Call, threads: usize) -> f64 {
    let together = Barrier::new(threads);
    let costs = thread::scope(|scope| {
        let work = || {
            together.wait();
            mean(&turns(meter, call))
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(|one| one.join().expect("the calls do not panic")).collect::<Vec<_>>()
    });
    meter.upkeep();
    mean(&costs)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
