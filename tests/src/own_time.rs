//! A clock for bounds on what a thread does, which other work of the machine does not move.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Longer than the time for which a thread may have waited before the first call.
const BEFORE: Duration = Duration::from_secs(86_400);

/// Returns the time since an arbitrary moment, without the time for which this thread has waited for a CPU. Waits for a lock, a socket or
/// another thread count. A test that compares it with a bound does not fail because the machine is busy. Elsewhere than on Linux, all time
/// counts.
#[allow(clippy::disallowed_methods, reason = "tests have no clock of the sdk")]
pub fn own_time() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let mut waited = waited_for_a_cpu();
    loop {
        let passed = START.get_or_init(Instant::now).elapsed();
        // The thread may have waited between the two looks.
        let now = waited_for_a_cpu();
        if now == waited {
            return (BEFORE + passed).saturating_sub(waited);
        }
        waited = now;
    }
}

fn waited_for_a_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    text.and_then(|text| text.split(' ').nth(1)?.parse().ok()).map(Duration::from_nanos).unwrap_or_default()
}
