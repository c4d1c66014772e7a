//! Propagators by name, as `OTEL_PROPAGATORS` lists them.

use std::fmt;

use opentelemetry::propagation::TextMapPropagator;

use super::composite::Member;
use super::{B3Propagator, BaggagePropagator, JaegerPropagator, OtTracePropagator, TraceContextPropagator};
use crate::error::ConfigError;

pub(super) const VARIABLE: &str = "OTEL_PROPAGATORS";

type Make = fn() -> Box<dyn TextMapPropagator + Send + Sync>;

/// Creates the propagator with this name, for formats that this crate does not have.
#[derive(Clone, Copy)]
pub struct PropagatorFactory {
    name: &'static str,
    /// Holds advice instead of a function if the propagator is not compiled in.
    make: Result<Make, &'static str>,
}

impl PropagatorFactory {
    /// Creates a registry row. `make` runs each time a configuration with this name is built.
    pub const fn new(name: &'static str, make: fn() -> Box<dyn TextMapPropagator + Send + Sync>) -> Self {
        PropagatorFactory { name, make: Ok(make) }
    }

    /// Creates the row of a propagator that is known but not compiled in. A configuration with this name is told `remedy`, such
    /// as "enable the feature `xray` of telemark".
    pub const fn missing(name: &'static str, remedy: &'static str) -> Self {
        PropagatorFactory { name, make: Err(remedy) }
    }

    /// Returns the propagator's name in the configuration.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for PropagatorFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Returns all known names: those of this crate and those of `factories`.
pub(super) fn names(factories: &[PropagatorFactory]) -> impl Iterator<Item = &'static str> {
    let more = factories.iter().map(|factory| factory.name);
    let more = more.filter(|name| !PROPAGATORS.iter().any(|(known, _)| known == name)).collect::<Vec<_>>();
    PROPAGATORS.iter().map(|(name, _)| *name).chain(more)
}

/// Creates the propagator called `name`. A factory takes precedence over a propagator of this crate.
pub(super) fn make(name: &str, factories: &[PropagatorFactory]) -> Result<Member, ConfigError> {
    if let Some(factory) = factories.iter().find(|factory| factory.name == name) {
        return match factory.make {
            Ok(make) => Ok(Member::foreign(make())),
            Err(remedy) => {
                Err(ConfigError::invalid(VARIABLE, name, format!("a propagator that is compiled in: {remedy}")))
            }
        };
    }
    match PROPAGATORS.iter().find(|(known, _)| *known == name) {
        Some((_, make)) => Ok(make()),
        None => {
            let names: Vec<_> = names(factories).collect();
            Err(ConfigError::invalid(VARIABLE, name, format!("one of {}", names.join(", "))))
        }
    }
}

/// Creates a propagator of this crate.
type Own = fn() -> Member;

/// The propagators of this crate, with one row per name.
const PROPAGATORS: &[(&str, Own)] = &[
    ("tracecontext", || Member::Own(Box::new(TraceContextPropagator::new()))),
    ("baggage", || Member::Baggage(BaggagePropagator::new())),
    ("b3", || Member::Own(Box::new(B3Propagator::single()))),
    ("b3multi", || Member::Own(Box::new(B3Propagator::multi()))),
    ("jaeger", || Member::Own(Box::new(JaegerPropagator::new()))),
    ("ottrace", || Member::Own(Box::new(OtTracePropagator::new()))),
];
