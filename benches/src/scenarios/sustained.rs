//! The number of spans per second that one thread can create before the first span is lost.

use std::time::{Duration, Instant};

use super::{Layout, Run, Scenario};
use crate::Failure;
use crate::reading::Reading;
use crate::sink::Counter;
use crate::subjects::{self, Settings, Subject, Text};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "sustained",
    about: "Spans per second of one thread with default queues: the highest even pace at which the sink received every \
            span, that at which it received all but 1 %, and what is delivered when the thread does nothing but make spans.",
    subjects: &[subjects::TRACED, subjects::SDK, subjects::BRIDGE, subjects::FASTRACE],
    regimes: super::ONE_REGIME,
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

/// The share of spans that may be lost: none, or a small share, so that the result is not determined by a scheduler that
/// occasionally delays the exporting thread by a few milliseconds.
const TOLERATED: [(f64, &str); 2] =
    [(0.0, "highest pace without a loss, spans/s"), (0.01, "highest pace with at most 1 % lost, spans/s")];

fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    let subject = subjects::install(run.subject, run.endpoint, Settings::default())?;
    let mut probe = Probe { subject: &*subject, sink: Counter::connect(run.endpoint)? };
    probe.run(FIRST)?;
    let mut readings = Vec::new();
    let mut first = FIRST;
    for (tolerated, what) in TOLERATED {
        let kept = probe.highest(first, tolerated)?;
        readings.push(Reading::new(what, kept));
        first = kept.max(FIRST);
    }
    let flat_out = probe.run(f64::INFINITY)?;
    readings.push(Reading::new("flat out: made, spans/s", flat_out.rate()));
    readings.push(Reading::new("flat out: lost, %", 100.0 * flat_out.lost()));
    Ok(readings)
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

    /// Returns the share of spans that the sink has not received.
    fn lost(&self) -> f64 {
        1.0 - self.received / self.produced
    }
}

impl Probe<'_> {
    /// Searches upwards from `pace` for the highest pace at which at most this share is lost.
    fn highest(&mut self, mut pace: f64, tolerated: f64) -> Result<f64, Failure> {
        let (mut kept, mut lost) = (0.0_f64, f64::INFINITY);
        while lost.is_infinite() {
            let outcome = self.run(pace)?;
            if outcome.lost() > tolerated {
                lost = pace;
            } else {
                kept = kept.max(outcome.rate());
                if outcome.rate() < pace * 0.8 {
                    // The thread cannot create more spans, so the pipeline is not the bottleneck.
                    return Ok(kept);
                }
                pace *= GROWTH;
            }
        }
        for _ in 0..BISECTIONS {
            if kept == 0.0 {
                break;
            }
            let pace = (kept * lost).sqrt();
            let outcome = self.run(pace)?;
            if outcome.lost() > tolerated { lost = pace } else { kept = outcome.rate() }
        }
        Ok(kept)
    }

    /// Produces `pace` spans per second. A late thread does not catch up, because that would be a burst.
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
            self.subject.tree(NESTED, Text::Static);
            trees += 1;
        }
        let elapsed = started.elapsed();
        self.subject.flush();
        let produced = trees as f64 * SPANS;
        let received = self.settled(before as f64 + produced)? - before as f64;
        Ok(Outcome { produced, received, elapsed })
    }

    /// Waits until the sink has received `expected` spans or receives no more, and returns their number. Waiting is
    /// necessary because fastrace's flush returns while another report is still in progress.
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
