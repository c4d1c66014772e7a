//! Runs scenarios in their own telemetry and compares the recorded spans.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll, Waker};

use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::trace::ExceptionSignal;

/// Runs `scenario` and compares its span tree with `expected`, without the common indentation. The spans have no exceptions,
/// which `exceptions.rs` tests.
#[track_caller]
pub fn check(scenario: impl FnOnce(), expected: &str) {
    let telemetry = TestTelemetry::with(|builder| builder.with_exception_signal(ExceptionSignal::Logs));
    {
        let _guard = telemetry.attach();
        scenario();
    }
    let lines: Vec<_> = expected.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let indent = lines.first().map_or(0, |line| line.len() - line.trim_start().len());
    let expected: String = lines.iter().map(|line| format!("{}\n", &line[indent.min(line.len())..])).collect();
    assert_eq!(telemetry.tree(), expected);
}

/// Does the same as [`check`] for a future.
#[track_caller]
pub fn check_async(scenario: impl Future<Output = ()>, expected: &str) {
    check(|| block_on(scenario), expected);
}

/// Polls until ready. The futures of these tests become ready after a few polls.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
    }
}

/// Polls once.
pub fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut TaskContext::from_waker(Waker::noop()))
}

/// Returns pending once.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut yielded, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}
