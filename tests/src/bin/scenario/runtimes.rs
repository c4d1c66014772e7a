//! The same work under different runtimes, exported over OTLP to the endpoint from the environment.

use telemark::traced;

#[traced]
async fn work() {
    tokio::task::yield_now().await;
    let spawned = tokio::spawn(telemark::propagate(async { step() }));
    // The task is never aborted, so it cannot fail.
    drop(spawned.await);
}

#[traced]
fn step() {}

#[tokio::main]
pub(crate) async fn tokio_main() {
    let _telemetry = init();
    work().await;
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
pub(crate) async fn one_worker() {
    let _telemetry = init();
    // Runs on the only worker thread, where the guard is also dropped.
    let ended = tokio::spawn(async {
        work().await;
        telemark::span("flush").in_scope(|| ());
    });
    drop(ended.await);
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn current_thread() {
    let telemetry = init();
    work().await;
    drop(telemetry);
    tokio::task::yield_now().await;
}

pub(crate) fn guard_outside() {
    let _telemetry = init();
    #[tokio::main]
    async fn main() {
        work().await;
    }
    main();
}

pub(crate) fn without_tokio() {
    let _telemetry = init();
    telemark::span("work").in_scope(step);
}

#[allow(clippy::expect_used, reason = "the test sees that the scenario fails")]
fn init() -> telemark::Guard {
    telemark::init().expect("the first init of the process")
}
