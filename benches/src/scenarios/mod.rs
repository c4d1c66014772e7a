//! What is measured: a file a scenario.

pub(crate) mod adoption;
mod allocations;
mod axum;
mod export;
mod metrics;
mod page;
mod sustained;
mod tracing;
mod tracing_fmt;
mod unsampled;

use crate::Failure;
use crate::load::Bursts;
use crate::reading::Reading;

/// A measurement that runs once a round for each subject under each regime, in a process of its own.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// A sentence for the head of the table: what is counted.
    pub(crate) about: &'static str,
    pub(crate) subjects: &'static [&'static str],
    /// The shapes of load under which it runs; [`ONE_REGIME`] where there is nothing to choose.
    pub(crate) regimes: &'static [&'static str],
    pub(crate) layout: Layout,
    /// The subject whose median the others are divided by.
    pub(crate) reference: &'static str,
    /// Measures in this process.
    pub(crate) measure: fn(&Run<'_>) -> Result<Vec<Reading>, Failure>,
}

/// The regimes of a scenario that knows only one.
pub(crate) const ONE_REGIME: &[&str] = &["usual"];

/// One measurement of one subject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) subject: &'a str,
    pub(crate) regime: &'a str,
    /// Host and port of the sink.
    pub(crate) endpoint: &'a str,
    /// True for a look at a change: a fraction of the work, and less certain numbers.
    pub(crate) is_quick: bool,
}

impl Run<'_> {
    /// Returns fewer bursts if the run is quick.
    pub(crate) fn shortened(&self, bursts: Bursts) -> Bursts {
        let divisor = if self.is_quick { 5 } else { 1 };
        Bursts { warm_up: bursts.warm_up.div_ceil(divisor), measured: bursts.measured.div_ceil(divisor) }
    }
}

/// How the tables of a scenario look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A table for each value that is measured, with a row for each subject.
    TablePerValue,
    /// A table for each value that is measured, with a row for each regime, a column for each subject, and one for the first of
    /// each pair as a share of the second. The row with the largest share comes first.
    RowPerRegime(&'static [(&'static str, &'static str)]),
    /// One table, with a row for each value and a column for each subject.
    OneTable,
}

static SCENARIOS: [&Scenario; 8] = [
    &export::SCENARIO,
    &tracing::SCENARIO,
    &unsampled::SCENARIO,
    &allocations::SCENARIO,
    &sustained::SCENARIO,
    &axum::SCENARIO,
    &metrics::SCENARIO,
    &page::SCENARIO,
    &tracing_fmt::SCENARIO,
];

/// Every scenario, the slowest last.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).chain([adoption::NAME])
}

pub(crate) fn named(name: &str) -> Result<&'static Scenario, Failure> {
    SCENARIOS.iter().find(|scenario| scenario.name == name).copied().ok_or_else(|| {
        let accepted: Vec<&str> = names().collect();
        format!("unknown scenario {name:?}; accepted: {}", accepted.join(", ")).into()
    })
}
