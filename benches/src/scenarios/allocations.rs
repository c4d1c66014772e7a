//! Allocations per recorded span on the application's thread.

use std::time::Duration;

use super::{Layout, Run, Scenario};
use crate::Failure;
use crate::allocations::count;
use crate::load::{Bursts, Pause};
use crate::reading::Reading;
use crate::subjects::{self, Settings, Text};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "allocations",
    about: "Calls of the allocator by the application's thread for one recorded nested span with three attributes (the \
            difference between trees with and without ten nested spans).",
    subjects: &subjects::ALL,
    regimes: super::ONE_REGIME,
    layout: Layout::TablePerValue,
    reference: subjects::TRACED,
    measure,
};

const NESTED: i64 = 10;
const TREES: u64 = 40;
const BURSTS: Bursts = Bursts { warm_up: 100, measured: 100 };

fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    let bursts = run.shortened(BURSTS);
    let subject = subjects::install(run.subject, run.endpoint, Settings::default())?;
    let trees = |nested| count(|| (0..TREES).for_each(|_| subject.tree(nested, Text::Static)));
    let (mut calls, mut bytes) = (0, 0);
    for burst in 0..bursts.warm_up + bursts.measured {
        let (deep, flat) = (trees(NESTED), trees(0));
        if burst >= bursts.warm_up {
            calls += deep.calls.saturating_sub(flat.calls);
            bytes += deep.bytes.saturating_sub(flat.bytes);
        }
        Pause::Sleep(Duration::from_millis(4)).wait();
    }
    let spans = bursts.measured * TREES * NESTED as u64;
    Ok(vec![Reading::per("allocations/span", calls, spans), Reading::per("bytes/span", bytes, spans)])
}
