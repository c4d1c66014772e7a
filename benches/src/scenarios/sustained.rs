//! How many spans a second one thread can make before the first is lost.

use std::time::{Duration, Instant};

use super::{Layout, Scenario};
use crate::Failure;
use crate::reading::Reading;
use crate::sink::Counter;
use crate::subjects::{self, Subject};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "sustained",
    about: "Spans per second of one thread with default queues: the highest even pace at which the sink received every \
            span, and what is delivered when the thread does nothing but make spans.",
    subjects: &[subjects::TRACED, subjects::SDK, subjects::BRIDGE, subjects::FASTRACE],
    layout: Layout::TablePerValue,
    reference: subjects::TRACED,
    measure,
};

const NESTED: i64 = 10;
const SPANS: f64 = 1.0 + NESTED as f64;
const STEP: Duration = Duration::from_millis(500);
const SETTLED: Duration = Duration::from_millis(3_000);
const FIRST: f64 = 40_000.0;
const GROWTH: f64 = 1.4;
const BISECTIONS: usize = 3;

fn measure(name: &str, endpoint: &str) -> Result<Vec<Reading>, Failure> {
    let subject = subjects::install(name, endpoint)?;
    let mut probe = Probe { subject: &*subject, sink: Counter::connect(endpoint)? };
    probe.run(FIRST)?;
    let (mut kept, mut lost) = (0.0_f64, f64::INFINITY);
    let mut pace = FIRST;
    while lost.is_infinite() {
        let outcome = probe.run(pace)?;
        if outcome.received < outcome.produced {
            lost = pace;
        } else {
            kept = kept.max(outcome.rate());
            if outcome.rate() < pace * 0.8 {
                // The thread cannot make more: the pipeline is not what limits.
                break;
            }
            pace *= GROWTH;
        }
    }
    for _ in 0..BISECTIONS {
        if lost.is_infinite() || kept == 0.0 {
            break;
        }
        let pace = (kept * lost).sqrt();
        let outcome = probe.run(pace)?;
        if outcome.received < outcome.produced { lost = pace } else { kept = outcome.rate() }
    }
    let flat_out = probe.run(f64::INFINITY)?;
    Ok(vec![
        Reading::new("highest pace without a loss, spans/s", kept),
        Reading::new("flat out: made, spans/s", flat_out.rate()),
        Reading::new("flat out: lost, %", 100.0 * (1.0 - flat_out.received / flat_out.produced)),
    ])
}

struct Probe<'a> {
    subject: &'a dyn Subject,
    sink: Counter,
}

struct Outcome {
    produced: f64,
    received: f64,
    elapsed: Duration,
}

impl Outcome {
    fn rate(&self) -> f64 {
        self.produced / self.elapsed.as_secs_f64()
    }
}

impl Probe<'_> {
    /// Produces at `pace` spans a second. A late thread does not catch up: that would be a burst, not a pace.
    fn run(&mut self, pace: f64) -> Result<Outcome, Failure> {
        let before = self.sink.spans()?;
        let interval = Duration::from_secs_f64(SPANS / pace);
        let started = Instant::now();
        let mut next = started;
        let mut trees = 0_u64;
        loop {
            let now = Instant::now();
            if now - started >= STEP {
                break;
            }
            if now < next {
                std::thread::yield_now();
                continue;
            }
            next = (next + interval).max(now);
            self.subject.tree(NESTED);
            trees += 1;
        }
        let elapsed = started.elapsed();
        self.subject.flush();
        let produced = trees as f64 * SPANS;
        let received = self.settled(before as f64 + produced)? - before as f64;
        Ok(Outcome { produced, received, elapsed })
    }

    /// What the sink has once it has `expected`, or once nothing more comes: a flush of fastrace returns while another
    /// report is still under way.
    fn settled(&mut self, expected: f64) -> Result<f64, Failure> {
        let mut last = self.sink.spans()? as f64;
        let mut changed = Instant::now();
        while last < expected && changed.elapsed() < SETTLED {
            std::thread::sleep(Duration::from_millis(10));
            let now = self.sink.spans()? as f64;
            if now != last {
                (last, changed) = (now, Instant::now());
            }
        }
        Ok(last)
    }
}
