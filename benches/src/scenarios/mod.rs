//! The scenarios, one per file.

pub(crate) mod adoption;
mod allocations;
mod axum;
mod export;
mod grpc;
mod logs;
mod metrics;
mod outgoing;
mod page;
mod sustained;
mod tracing;
mod unsampled;

use crate::Failure;
use crate::load::Bursts;
use crate::reading::Reading;

/// A measurement that runs once per round for each subject and regime, each time in a separate process.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// A sentence above the table that explains the numbers.
    pub(crate) about: &'static str,
    pub(crate) subjects: &'static [&'static str],
    /// The load shapes under which the scenario runs, or [`ONE_REGIME`] if there is only one.
    pub(crate) regimes: &'static [&'static str],
    pub(crate) layout: Layout,
    /// The subject by whose median the other medians are divided.
    pub(crate) reference: &'static str,
    /// Runs the measurement in this process.
    pub(crate) measure: fn(&Run<'_>) -> Result<Vec<Reading>, Failure>,
}

/// The regimes of a scenario that has only one.
pub(crate) const ONE_REGIME: &[&str] = &["usual"];

/// A single measurement of one subject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) subject: &'a str,
    pub(crate) regime: &'a str,
    /// The sink's host and port.
    pub(crate) endpoint: &'a str,
    /// True for a quick check of a change, with a fraction of the work and less precise numbers.
    pub(crate) is_quick: bool,
}

impl Scenario {
    /// Returns the word for what the sink counts.
    pub(crate) fn item(&self) -> &'static str {
        if self.name == logs::events::NAME { "record" } else { "span" }
    }
}

impl Run<'_> {
    /// Returns fewer bursts if the run is quick.
    pub(crate) fn shortened(&self, bursts: Bursts) -> Bursts {
        let divisor = if self.is_quick { 5 } else { 1 };
        Bursts { warm_up: bursts.warm_up.div_ceil(divisor), measured: bursts.measured.div_ceil(divisor) }
    }
}

/// The layout of a scenario's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One table per measured value, with a row per subject.
    TablePerValue,
    /// One table per measured value, with a row per regime, a column per subject, and a column per pair that shows the first as
    /// a share of the second. The row with the largest share is first.
    RowPerRegime(&'static [(&'static str, &'static str)]),
    /// One table, with a row per value and a column per subject.
    OneTable,
}

static SCENARIOS: [&Scenario; 15] = [
    &export::SCENARIO,
    &tracing::SCENARIO,
    &logs::events::SCENARIO,
    &logs::flood::SCENARIO,
    &unsampled::SCENARIO,
    &allocations::SCENARIO,
    &sustained::SCENARIO,
    &axum::SCENARIO,
    &grpc::SCENARIO,
    &outgoing::hyper::SCENARIO,
    &outgoing::reqwest::SCENARIO,
    &outgoing::sqlx::SCENARIO,
    &metrics::SCENARIO,
    &page::SCENARIO,
    &logs::lines::SCENARIO,
];

/// Returns the names of all scenarios, with the slowest last.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).chain([adoption::NAME])
}

pub(crate) fn named(name: &str) -> Result<&'static Scenario, Failure> {
    SCENARIOS.iter().find(|scenario| scenario.name == name).copied().ok_or_else(|| {
        let accepted: Vec<&str> = names().collect();
        format!("unknown scenario {name:?}; accepted: {}", accepted.join(", ")).into()
    })
}
