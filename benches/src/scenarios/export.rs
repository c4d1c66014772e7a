//! The cost of a span until it has left the process, under several kinds of load.

use std::time::Duration;

use super::{Layout, Run, Scenario};
use crate::Failure;
use crate::load::{Bursts, Load, Pause};
use crate::reading::{PRODUCED, Reading};
use crate::subjects::{self, Settings, Text};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "export",
    about: "CPU time per exported span: a root with ten nested spans, three attributes each, OTLP/HTTP protobuf to a sink \
            in another process, default queues, nothing lost. The pauses and the cost of the loop are subtracted. If the \
            name of a row does not say otherwise, one thread makes bursts of 440 spans, sleeps 4 ms after each, and the \
            string attribute is a `&'static str`.",
    subjects: &subjects::ALL,
    regimes: &[SPINNING, SLEEPING, TRICKLE, TWO_PRODUCERS, LARGE_BURSTS, LARGE_QUEUE, OWNED],
    layout: Layout::RowPerRegime(&[
        (subjects::TRACED, subjects::SDK),
        (subjects::TELEMARK_API, subjects::SDK),
        (subjects::TRACED, subjects::FASTRACE),
    ]),
    reference: subjects::TRACED,
    measure,
};

const SPINNING: &str = "4 ms of spinning";
pub(super) const SLEEPING: &str = "4 ms of sleeping";
pub(super) const TRICKLE: &str = "a trace a millisecond";
const TWO_PRODUCERS: &str = "two producers of 220";
const LARGE_BURSTS: &str = "bursts of 1,100, 10 ms";
pub(super) const LARGE_QUEUE: &str = "a queue of 204,800";
const OWNED: &str = "an owned string";

struct Regime {
    load: Load,
    /// The number of traces per burst.
    traces: u64,
    bursts: Bursts,
    settings: Settings,
    text: Text,
}

const NESTED: i64 = 10;
const SPANS: u64 = 1 + NESTED as u64;

impl Regime {
    fn named(name: &str) -> Result<Self, Failure> {
        let usual = Regime {
            load: Load { producers: 1, pause: Pause::Sleep(Duration::from_millis(4)) },
            // 440 spans are fewer than the 512 that fill a batch, which is a quarter of the 2,048 that fit into the queue.
            traces: 40,
            bursts: Bursts { warm_up: 50, measured: 300 },
            settings: Settings::default(),
            text: Text::Static,
        };
        Ok(match name {
            SLEEPING => usual,
            SPINNING => Regime { load: Load { pause: Pause::Spin(Duration::from_millis(4)), ..usual.load }, ..usual },
            TRICKLE => Regime {
                load: Load { pause: Pause::Sleep(Duration::from_millis(1)), ..usual.load },
                traces: 1,
                bursts: Bursts { warm_up: 200, measured: 1_200 },
                ..usual
            },
            TWO_PRODUCERS => Regime { load: Load { producers: 2, ..usual.load }, traces: usual.traces / 2, ..usual },
            LARGE_BURSTS => Regime {
                load: Load { pause: Pause::Sleep(Duration::from_millis(10)), ..usual.load },
                traces: 100,
                bursts: Bursts { warm_up: 20, measured: 120 },
                ..usual
            },
            LARGE_QUEUE => Regime { settings: Settings { max_queue_size: Some(204_800) }, ..usual },
            OWNED => Regime { text: Text::Owned, ..usual },
            other => return Err(format!("unknown regime {other:?}").into()),
        })
    }
}

pub(super) fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    let Regime { load, traces, bursts, settings, text } = Regime::named(run.regime)?;
    let bursts = run.shortened(bursts);
    let empty = load.empty(bursts)?;
    let subject = subjects::install(run.subject, run.endpoint, settings)?;
    let cost = load.run(bursts, || (0..traces).for_each(|_| subject.tree(NESTED, text)), || subject.flush())?;
    let made = |bursts: u64| (bursts * load.producers * traces * SPANS) as f64;
    let measured = made(bursts.measured);
    Ok(vec![
        Reading::new("total CPU, ns/span", (cost.process - empty.process) / measured),
        Reading::new("foreground, ns/span", (cost.foreground - empty.foreground) / measured),
        Reading::new(PRODUCED, measured + made(bursts.warm_up)),
    ])
}
