//! What is measured: a file a scenario.

pub(crate) mod adoption;
mod allocations;
mod axum;
mod export;
mod metrics;
mod page;
mod sustained;
mod unsampled;

use crate::Failure;
use crate::reading::Reading;

/// A measurement that runs once a round for each subject, in a process of its own.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// A sentence for the head of the table: what is counted.
    pub(crate) about: &'static str,
    pub(crate) subjects: &'static [&'static str],
    pub(crate) layout: Layout,
    /// The subject whose median the others are divided by.
    pub(crate) reference: &'static str,
    /// Measures the subject of that name in this process, exporting to the sink at that address.
    pub(crate) measure: fn(&str, &str) -> Result<Vec<Reading>, Failure>,
}

/// How the tables of a scenario look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A table for each value that is measured, with a row for each subject.
    TablePerValue,
    /// One table, with a row for each value and a column for each subject.
    OneTable,
}

static SCENARIOS: [&Scenario; 7] = [
    &export::SCENARIO,
    &unsampled::SCENARIO,
    &allocations::SCENARIO,
    &sustained::SCENARIO,
    &axum::SCENARIO,
    &metrics::SCENARIO,
    &page::SCENARIO,
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
