//! The functions that record the events of some targets in their own way.

use std::fmt;
use std::sync::Arc;

use tracing::Event;

/// Records an event.
pub(crate) type Handler = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// The handlers of a layer, at most one for each target.
#[derive(Clone, Default)]
pub(crate) struct Handlers(Vec<(&'static str, Handler)>);

impl Handlers {
    /// Sets the handler of a target.
    pub(crate) fn set(&mut self, target: &'static str, handler: Handler) {
        self.0.retain(|(own, _)| *own != target);
        self.0.push((target, handler));
    }

    /// Returns the handler of a target. There are one or two, so that a list is faster than a map.
    #[inline]
    pub(crate) fn find(&self, target: &str) -> Option<&Handler> {
        self.0.iter().find(|(own, _)| *own == target).map(|(_, handler)| handler)
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(target, _)| target)).finish()
    }
}
