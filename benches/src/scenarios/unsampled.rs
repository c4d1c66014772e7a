//! The cost of instrumented code when nothing is recorded.

use super::{Layout, Run, Scenario};
use crate::Failure;
use crate::clock::thread_cpu;
use crate::reading::Reading;
use crate::subjects::{self, Settings};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "unsampled",
    about: "CPU time of one call that makes one span with three attributes: under a parent that is not sampled, and in a \
            process where nothing is installed.",
    subjects: &subjects::ALL,
    regimes: super::ONE_REGIME,
    layout: Layout::TablePerValue,
    reference: subjects::TRACED,
    measure,
};

const WARM_UP: u64 = 100_000;
const CALLS: u64 = 3_000_000;

fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    let bare = subjects::not_installed(run.subject)?;
    let nothing = timed(|calls| bare.calls(calls));
    let installed = subjects::install(run.subject, run.endpoint, Settings::default())?;
    let unsampled = timed(|calls| installed.unsampled(calls));
    Ok(vec![
        Reading::per("unsampled parent, ns/call", unsampled, CALLS),
        Reading::per("nothing installed, ns/call", nothing, CALLS),
    ])
}

fn timed(calls: impl Fn(u64)) -> u64 {
    calls(WARM_UP);
    let started = thread_cpu();
    calls(CALLS);
    thread_cpu() - started
}
