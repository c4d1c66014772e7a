//! What a span costs until it has left the process.

use super::{Layout, Scenario};
use crate::Failure;
use crate::pace::Pace;
use crate::reading::{PRODUCED, Reading};
use crate::subjects;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "export",
    about: "CPU time per exported span: a root with ten nested spans, three attributes each, OTLP/HTTP protobuf to a sink \
            in another process, default queues, bursts of 440 spans, each followed by a pause until the sink has what came before (its cost is subtracted), nothing lost.",
    subjects: &subjects::ALL,
    layout: Layout::TablePerValue,
    reference: subjects::TRACED,
    measure,
};

const NESTED: i64 = 10;
const SPANS: u64 = 1 + NESTED as u64;
/// A burst is less than the 512 spans that make a batch, a quarter of the 2,048 that fit into a queue.
const TREES: u64 = 40;
const WARM_UP: u64 = 60;
const MEASURED: u64 = 500;

fn measure(subject: &str, endpoint: &str) -> Result<Vec<Reading>, Failure> {
    let subject = subjects::install(subject, endpoint)?;
    let burst = || (0..TREES).for_each(|_| subject.tree(NESTED));
    let mut pace = Pace::new(endpoint, subject.is_waited_for())?;
    pace.run(WARM_UP, TREES * SPANS, burst, || subject.flush())?;
    let cost = pace.run(MEASURED, TREES * SPANS, burst, || subject.flush())?;
    let spans = MEASURED * TREES * SPANS;
    Ok(vec![
        Reading::per("total CPU, ns/span", cost.process, spans),
        Reading::per("foreground, ns/span", cost.foreground, spans),
        Reading::new(PRODUCED, pace.produced() as f64),
    ])
}
