//! The stages of one signal, in their order.

use std::fmt;

use crate::batch::Stage;
use crate::signal::Signal;

/// The places of stages, in the order in which an item passes them. This is the only list of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The redaction, so that no other stage sees or holds what it hides.
    Redaction,
    /// Stages of the program, which filter and enrich.
    Program,
    /// The decision about the trace. It comes late, so that stages before it may add what policies look at, and holds the item, so that
    /// nothing that an earlier stage removes stays in memory.
    Tail,
    /// The limits of a trace and of bytes, which apply to what is left.
    Limits,
}

/// The stages of a signal, which run before its exporters.
pub(super) struct Stages<S: Signal>(Vec<(Place, Box<dyn Stage<S>>)>);

impl<S: Signal> Stages<S> {
    /// Adds a stage, behind those of the same place.
    pub(super) fn add(&mut self, place: Place, stage: Box<dyn Stage<S>>) {
        self.0.push((place, stage));
    }

    /// Returns the stages in their order.
    pub(super) fn in_order(mut self) -> Vec<Box<dyn Stage<S>>> {
        self.0.sort_by_key(|(place, _)| *place);
        self.0.into_iter().map(|(_, stage)| stage).collect()
    }
}

impl<S: Signal> Default for Stages<S> {
    fn default() -> Self {
        Stages(Vec::new())
    }
}

impl<S: Signal> fmt::Debug for Stages<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stages", self.0.len())
    }
}
