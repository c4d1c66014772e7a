//! The shape of a load: the number of threads that produce it, and what they do between bursts.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::clock::{process_cpu, thread_cpu};

/// The producers of a load, and their pauses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) producers: u64,
    pub(crate) pause: Pause,
}

/// The pause between two bursts from the same producer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pause {
    /// The producer keeps its core, like a thread with other work, so that the caches stay warm and the clock rate
    /// stays high.
    Spin(Duration),
    /// The producer yields its core, like an idle server.
    Sleep(Duration),
}

/// The number of bursts per producer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bursts {
    /// Before the measurement.
    pub(crate) warm_up: u64,
    pub(crate) measured: u64,
}

/// CPU time in nanoseconds, excluding the pauses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// The CPU time of the producers during their bursts.
    pub(crate) foreground: f64,
    /// The CPU time of the process until it has sent everything.
    pub(crate) process: f64,
}

impl Load {
    /// Returns the cost of the same loop with an empty body. Call this before other threads are started.
    pub(crate) fn empty(&self, bursts: Bursts) -> Result<Cost, Failure> {
        // Measuring a quarter of the loop is enough to extrapolate its full cost.
        let measured = bursts.measured.div_ceil(4);
        let cost = self.run(Bursts { warm_up: 1, measured }, || (), || ())?;
        let factor = bursts.measured as f64 / measured as f64;
        Ok(Cost { foreground: cost.foreground * factor, process: cost.process * factor })
    }

    /// Runs `burst` on every producer; `flush` ends the warm-up and the measurement.
    pub(crate) fn run(&self, bursts: Bursts, burst: impl Fn() + Sync, flush: impl Fn()) -> Result<Cost, Failure> {
        // The additional participant is this thread, which flushes while the producers wait.
        let gate = Barrier::new(usize::try_from(self.producers)? + 1);
        std::thread::scope(|scope| {
            let producer = || {
                self.bursts(bursts.warm_up, &burst);
                gate.wait();
                gate.wait();
                let spent = self.bursts(bursts.measured, &burst);
                gate.wait();
                gate.wait();
                spent
            };
            let producers: Vec<_> = (0..self.producers).map(|_| scope.spawn(producer)).collect();
            gate.wait();
            flush();
            let before = process_cpu();
            gate.wait();
            gate.wait();
            flush();
            let process = process_cpu() - before;
            gate.wait();
            let mut spent = Spent::default();
            for producer in producers {
                let of_one = producer.join().map_err(|_| "a producer has panicked")?;
                spent.bursts += of_one.bursts;
                spent.pauses += of_one.pauses;
            }
            Ok(Cost { foreground: spent.bursts as f64, process: process.saturating_sub(spent.pauses) as f64 })
        })
    }

    fn bursts(&self, count: u64, burst: &impl Fn()) -> Spent {
        let mut spent = Spent::default();
        for _ in 0..count {
            let started = thread_cpu();
            burst();
            let ended = thread_cpu();
            self.pause.wait();
            spent.bursts += ended - started;
            spent.pauses += thread_cpu() - ended;
        }
        spent
    }
}

impl Pause {
    pub(crate) fn wait(self) {
        match self {
            Pause::Sleep(duration) => std::thread::sleep(duration),
            Pause::Spin(duration) => {
                let started = Instant::now();
                while started.elapsed() < duration {
                    std::hint::spin_loop();
                }
            }
        }
    }
}

/// The CPU time used by one producer.
#[derive(Default)]
struct Spent {
    bursts: u64,
    pauses: u64,
}
