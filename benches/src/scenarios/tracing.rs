//! The cost of a `tracing` span until it has left the process, with Telemark's layer and with tracing-opentelemetry's.

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
