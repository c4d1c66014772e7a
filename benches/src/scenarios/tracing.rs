//! What a span of the `tracing` crate costs until it has left the process, through Telemark's layer and through the usual one.

use super::{Layout, Scenario, export};
use crate::subjects;

pub(super) static SCENARIO: Scenario = Scenario {
    name: "tracing",
    about: "CPU time per exported span of `#[tracing::instrument]`: a root with ten nested spans, three fields each, on a registry \
            with one layer, OTLP/HTTP protobuf to a sink in another process, default settings, nothing lost. The loads are \
            those of the scenario `export`.",
    subjects: &[subjects::LAYER, subjects::BRIDGE],
    regimes: &[export::SLEEPING, export::TRICKLE, export::LARGE_QUEUE],
    layout: Layout::RowPerRegime(&[(subjects::LAYER, subjects::BRIDGE)]),
    reference: subjects::BRIDGE,
    measure: export::measure,
};
