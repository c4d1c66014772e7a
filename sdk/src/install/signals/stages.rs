//! The stages of one signal, as the model holds them.

use std::fmt;

use crate::batch::Stage;
use crate::signal::Signal;

/// The stages of a signal, which run before its exporters.
pub(super) struct Stages<S: Signal>(pub(super) Vec<Box<dyn Stage<S>>>);

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
