//! How a producer keeps the default queues from overflowing without its waiting being counted as work.

use std::time::Duration;

use crate::clock::{process_cpu, thread_cpu};

/// CPU time of a paced run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// The producing thread inside the work only, ns.
    pub(crate) foreground: u64,
    /// The process until everything has left it, without what the waiting itself costs, ns.
    pub(crate) process: u64,
}

/// Calls `work` as often as `bursts` says with a pause after each call, then `flush`.
pub(crate) fn paced(bursts: u64, pause: Duration, mut work: impl FnMut(), flush: impl FnOnce()) -> Cost {
    let process_before = process_cpu();
    let (mut foreground, mut waiting) = (0, 0);
    for _ in 0..bursts {
        let started = thread_cpu();
        work();
        let ended = thread_cpu();
        std::thread::sleep(pause);
        foreground += ended - started;
        waiting += thread_cpu() - ended;
    }
    flush();
    Cost { foreground, process: (process_cpu() - process_before).saturating_sub(waiting) }
}
