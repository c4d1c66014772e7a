//! What is measured: a file a scenario.

pub(crate) mod adoption;
mod allocations;
mod axum;
mod export;
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
    /// The subject whose median the others are divided by.
    pub(crate) reference: &'static str,
    /// Measures the subject of that name in this process, exporting to the sink at that address.
    pub(crate) measure: fn(&str, &str) -> Result<Vec<Reading>, Failure>,
}

static SCENARIOS: [&Scenario; 5] =
    [&export::SCENARIO, &unsampled::SCENARIO, &allocations::SCENARIO, &sustained::SCENARIO, &axum::SCENARIO];

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
