//! The parts that decide which meters of a provider record, and that may change while it runs.

use crate::switches::{Flags, Switch, Switches};

/// Decides which meters of a provider record.
#[derive(Debug)]
pub(crate) struct Meters {
    switches: Switches,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Meters { switches: Switches::new(false, Flags(0)) }
    }

    pub(crate) fn set_enabled(&self, switch: Switch, is_enabled: bool) {
        self.switches.set(switch, is_enabled);
    }

    pub(crate) fn is_enabled(&self, switch: Switch) -> bool {
        self.switches.state().is_on(switch)
    }

    /// Returns true if no meter records.
    #[inline(always)]
    pub(crate) fn are_off(&self) -> bool {
        self.switches.state().is_off()
    }
}
