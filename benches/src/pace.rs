//! How a producer keeps the default queues from overflowing without its waiting being counted as work.

use std::time::{Duration, Instant};

use crate::Failure;
use crate::clock::{process_cpu, thread_cpu};
use crate::sink::Counter;

/// CPU time of a paced run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// The producing thread inside the work only, ns.
    pub(crate) foreground: u64,
    /// The process until everything has left it, without what the waiting itself costs, ns.
    pub(crate) process: u64,
}

/// Spans on their way beyond which a producer waits: half of a default queue.
const ON_THEIR_WAY: u64 = 1024;
const PAUSE: Duration = Duration::from_millis(2);
/// A pipeline that does not move for so long has lost something; the parent will say so.
const STUCK: Duration = Duration::from_secs(8);

/// Makes spans in bursts, with a pause after each that lasts until the sink has received enough of them.
pub(crate) struct Pace {
    sink: Counter,
    waits: bool,
    produced: u64,
}

impl Pace {
    /// Waits for the sink, or only pauses, for a library that holds spans back longer than a producer can wait.
    pub(crate) fn new(endpoint: &str, waits: bool) -> Result<Self, Failure> {
        Ok(Self { sink: Counter::connect(endpoint)?, waits, produced: 0 })
    }

    /// Calls `burst`, which makes `spans` spans, as often as `bursts` says, then `flush`.
    pub(crate) fn run(
        &mut self,
        bursts: u64,
        spans: u64,
        mut burst: impl FnMut(),
        flush: impl FnOnce(),
    ) -> Result<Cost, Failure> {
        let process_before = process_cpu();
        let (mut foreground, mut waiting) = (0, 0);
        for _ in 0..bursts {
            let started = thread_cpu();
            burst();
            let ended = thread_cpu();
            self.produced += spans;
            self.wait()?;
            foreground += ended - started;
            waiting += thread_cpu() - ended;
        }
        flush();
        Ok(Cost { foreground, process: (process_cpu() - process_before).saturating_sub(waiting) })
    }

    /// How many spans have been made in all runs.
    pub(crate) fn produced(&self) -> u64 {
        self.produced
    }

    fn wait(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            std::thread::sleep(PAUSE);
            let on_their_way = self.produced.saturating_sub(self.sink.spans()?);
            if !self.waits || on_their_way <= ON_THEIR_WAY || started.elapsed() > STUCK {
                return Ok(());
            }
        }
    }
}
