//! How often a recorded span asks the allocator for memory on the application's thread.

use super::{Layout, Scenario};
use crate::Failure;
use crate::allocations::count;
use crate::pace::Pace;
use crate::reading::Reading;
use crate::subjects;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "allocations",
    about: "Calls of the allocator by the application's thread for one recorded nested span with three attributes (the \
            difference between trees with and without ten nested spans).",
    subjects: &subjects::ALL,
    layout: Layout::TablePerValue,
    reference: subjects::TRACED,
    measure,
};

const NESTED: i64 = 10;
const TREES: u64 = 40;
const BURSTS: u64 = 100;

fn measure(subject: &str, endpoint: &str) -> Result<Vec<Reading>, Failure> {
    let subject = subjects::install(subject, endpoint)?;
    let (mut calls, mut bytes) = (0, 0);
    let burst = |nested| (0..TREES).for_each(|_| subject.tree(nested));
    let mut pace = Pace::new(endpoint, subject.is_waited_for())?;
    let deep_spans = TREES * (1 + NESTED as u64);
    pace.run(BURSTS, deep_spans, || burst(NESTED), || subject.flush())?;
    pace.run(
        BURSTS,
        deep_spans + TREES,
        || {
            let deep = count(|| burst(NESTED));
            let flat = count(|| burst(0));
            calls += deep.calls.saturating_sub(flat.calls);
            bytes += deep.bytes.saturating_sub(flat.bytes);
        },
        || subject.flush(),
    )?;
    let spans = BURSTS * TREES * NESTED as u64;
    Ok(vec![Reading::per("allocations/span", calls, spans), Reading::per("bytes/span", bytes, spans)])
}
