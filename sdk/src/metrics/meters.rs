//! The parts of a meter provider that decide which meters record, and that may change while it runs.

use std::sync::{Arc, Mutex};

use opentelemetry::InstrumentationScope;

use super::config::MeterConfig;
use crate::control::{ConfigOf, Configs, Configurator};
use crate::control::{Flags, Switch, Switches};
use crate::sync::unpoisoned;

/// Some meters may be disabled.
const HAS_CONFIGS: Flags = Flags(Flags::FIRST);

/// Decides which meters of a provider record.
#[derive(Debug)]
pub(crate) struct Meters {
    switches: Switches,
    configs: Configs<MeterConfig>,
    /// Locked while the configurator is replaced.
    changes: Mutex<()>,
}

impl Meters {
    pub(crate) fn new(configurator: Configurator<MeterConfig>) -> Self {
        let configs = Configs::new(configurator);
        let flags = if configs.are_default() { Flags(0) } else { HAS_CONFIGS };
        Meters { switches: Switches::new(false, flags), configs, changes: Mutex::new(()) }
    }

    pub(crate) fn set_enabled(&self, switch: Switch, is_enabled: bool) {
        self.switches.set(switch, is_enabled);
    }

    pub(crate) fn is_enabled(&self, switch: Switch) -> bool {
        self.switches.state().is_on(switch)
    }

    pub(crate) fn set_configurator(&self, configurator: Configurator<MeterConfig>) {
        let turn = unpoisoned(self.changes.lock());
        let before = self.configs.replace_behind(&self.switches, HAS_CONFIGS, configurator);
        drop(turn);
        before.dispose();
    }

    /// Returns true if no meter records.
    pub(crate) fn are_off(&self) -> bool {
        self.switches.state().is_off()
    }

    /// Returns true if the meter with this scope records. May call a function of the program.
    pub(crate) fn takes(&self, scope: &InstrumentationScope, config: &ConfigOf<MeterConfig>) -> bool {
        !self.are_off() && self.configs.get(config, scope).is_enabled()
    }
}

/// One of the meters, as its instruments and callbacks see it.
#[derive(Clone)]
pub(crate) struct OneMeter {
    meters: Arc<Meters>,
    scope: Arc<InstrumentationScope>,
    config: ConfigOf<MeterConfig>,
}

impl OneMeter {
    pub(crate) fn new(meters: &Arc<Meters>, scope: &Arc<InstrumentationScope>) -> Self {
        OneMeter { meters: meters.clone(), scope: scope.clone(), config: ConfigOf::new() }
    }

    /// Returns true if every meter of the provider records, which costs a relaxed load. Otherwise, [`Self::is_on`] decides.
    #[inline(always)]
    pub(crate) fn all_are_on(&self) -> bool {
        self.meters.switches.state().is_on_without(HAS_CONFIGS)
    }

    /// Returns true if the meter records.
    pub(crate) fn is_on(&self) -> bool {
        self.all_are_on() || self.meters.takes(&self.scope, &self.config)
    }
}
