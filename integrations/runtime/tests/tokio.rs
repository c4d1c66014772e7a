//! Checks that all metrics of a tokio runtime are present and that their values change.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::hint::black_box;
use support::Collected;
use telemark_runtime::{TokioMetrics, register_tokio};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).build().unwrap()
}

#[test]
fn all_instruments() {
    let runtime = runtime(2);
    let collected = Collected::new(|meter| register_tokio(meter, runtime.handle()));
    assert_eq!(
        collected.list(),
        "\
tokio.global_queue.size up-down counter {task}
  -
tokio.task.count up-down counter {task}
  -
tokio.worker.busy_time counter s
  -
tokio.worker.count up-down counter {worker}
  tokio.worker.state=active
  tokio.worker.state=parked
tokio.worker.parks counter {park}
  -
"
    );
}

#[test]
fn runtimes_are_told_apart_by_name() {
    let (main, background) = (runtime(3), Builder::new_current_thread().build().unwrap());
    let collected = Collected::new(|meter| {
        TokioMetrics::new().with_name("main").register(meter, main.handle());
        TokioMetrics::new().with_name("background").register(meter, background.handle());
    });
    let idle = "tokio.runtime.name=main,tokio.worker.state=parked";
    collected.await_value("tokio.worker.count", idle, || {}, |parked| parked == 3.0);
    assert_eq!(collected.value("tokio.worker.count", "tokio.runtime.name=main,tokio.worker.state=active"), 0.0);
    let one = "tokio.runtime.name=background,tokio.worker.state=active";
    assert_eq!(collected.value("tokio.worker.count", one), 1.0);
    assert_eq!(collected.value("tokio.task.count", "tokio.runtime.name=background"), 0.0);
}

#[test]
fn tasks_are_counted_until_they_end() {
    let runtime = runtime(2);
    let collected = Collected::new(|meter| register_tokio(meter, runtime.handle()));
    assert_eq!(collected.value("tokio.task.count", ""), 0.0);
    let (senders, tasks): (Vec<_>, Vec<_>) = (0..5)
        .map(|_| {
            let (sender, receiver) = oneshot::channel::<()>();
            (sender, runtime.spawn(receiver))
        })
        .unzip();
    assert_eq!(collected.value("tokio.task.count", ""), 5.0);
    drop(senders);
    for task in tasks {
        runtime.block_on(task).unwrap().unwrap_err();
    }
    collected.await_value("tokio.task.count", "", || {}, |tasks| tasks == 0.0);
}

#[test]
fn a_worker_that_is_blocked_is_active_and_lets_the_queue_grow() {
    let runtime = runtime(1);
    let collected = Collected::new(|meter| register_tokio(meter, runtime.handle()));
    let (started, begun) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let blocked = runtime.spawn(async move {
        started.send(()).unwrap();
        released.recv().unwrap_err();
    });
    begun.recv().unwrap();
    let others: Vec<_> = (0..7).map(|_| runtime.spawn(async {})).collect();
    assert_eq!(collected.value("tokio.worker.count", "tokio.worker.state=active"), 1.0);
    assert_eq!(collected.value("tokio.worker.count", "tokio.worker.state=parked"), 0.0);
    assert_eq!(collected.value("tokio.global_queue.size", ""), 7.0);
    drop(release);
    for task in others.into_iter().chain([blocked]) {
        runtime.block_on(task).unwrap();
    }
    assert_eq!(collected.value("tokio.global_queue.size", ""), 0.0);
    collected.await_value("tokio.worker.count", "tokio.worker.state=parked", || {}, |parked| parked == 1.0);
}

#[test]
fn busy_time_and_parks_grow_with_work() {
    let runtime = runtime(2);
    let collected = Collected::new(|meter| register_tokio(meter, runtime.handle()));
    let busy = collected.value("tokio.worker.busy_time", "");
    let parks = collected.value("tokio.worker.parks", "");
    let work = || {
        let task =
            runtime.spawn(async { black_box((0..1_000_000_u64).fold(0_u64, |sum, number| black_box(sum ^ number))) });
        runtime.block_on(task).unwrap();
    };
    collected.await_value("tokio.worker.busy_time", "", work, |after| after >= busy + 0.05);
    collected.await_value("tokio.worker.parks", "", work, |after| after > parks);
}

#[test]
fn a_runtime_that_was_shut_down_is_still_observed() {
    let runtime = runtime(2);
    let collected = Collected::new(|meter| register_tokio(meter, runtime.handle()));
    drop(runtime);
    assert_eq!(collected.value("tokio.task.count", ""), 0.0);
}
