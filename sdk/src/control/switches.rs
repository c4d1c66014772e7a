//! The switches of a provider: its end, and the pauses that a program makes.

use std::sync::atomic::{AtomicU16, Ordering};

/// What a program switches off and on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    /// The telemetry as a whole.
    Telemetry,
    /// One signal of it.
    Signal,
}

impl Switch {
    fn bit(self) -> u16 {
        match self {
            Switch::Telemetry => 1 << 1,
            Switch::Signal => 1 << 2,
        }
    }
}

/// The bit that is set by the end of the provider.
const ENDED: u16 = 1;

/// The bits each of which stops the recording.
const OFF: u16 = 0b111;

/// The switches of a provider, and [`Flags`] that the provider reads with them, all in one load.
#[derive(Debug)]
pub(crate) struct Switches(AtomicU16);

/// Facts that a provider keeps beside its switches. The bits are those from [`Flags::FIRST`] on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u16);

impl Flags {
    /// The lowest bit.
    pub(crate) const FIRST: u16 = 1 << 3;
}

/// The switches and flags at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(u16);

impl Switches {
    /// Creates switches that are on, or those of a provider that never records.
    pub(crate) fn new(has_ended: bool, flags: Flags) -> Self {
        Switches(AtomicU16::new(if has_ended { ENDED | flags.0 } else { flags.0 }))
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        State(self.0.load(Ordering::Relaxed))
    }

    /// Ends the recording for good. Returns true if it had already ended. Consists of one atomic operation, because it runs in forked
    /// children.
    pub(crate) fn end(&self) -> bool {
        self.0.fetch_or(ENDED, Ordering::AcqRel) & ENDED != 0
    }

    pub(crate) fn set(&self, switch: Switch, is_on: bool) {
        match is_on {
            true => self.0.fetch_and(!switch.bit(), Ordering::Relaxed),
            false => self.0.fetch_or(switch.bit(), Ordering::Relaxed),
        };
    }

    /// Sets the flags of `mask` to those of `flags`.
    pub(crate) fn set_flags(&self, mask: Flags, flags: Flags) {
        // In one step: a flag that stays set must not be seen unset.
        let next = |state: u16| Some(state & !mask.0 | flags.0 & mask.0);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

impl State {
    /// Returns true if nothing is recorded, be it for a while or for good.
    #[inline]
    pub(crate) fn is_off(self) -> bool {
        self.0 & OFF != 0
    }

    /// Returns true if everything is recorded and the flag is not set.
    #[inline]
    pub(crate) fn is_on_without(self, flag: Flags) -> bool {
        self.0 & (OFF | flag.0) == 0
    }

    /// Returns true if nothing is ever recorded again.
    #[inline]
    pub(crate) fn has_ended(self) -> bool {
        self.0 & ENDED != 0
    }

    /// Returns the state for what has started already, which a pause does not stop.
    pub(crate) fn without_pauses(self) -> State {
        State(self.0 & !(OFF & !ENDED))
    }

    #[inline]
    pub(crate) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn is_on(self, switch: Switch) -> bool {
        self.0 & switch.bit() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_stops_the_recording_and_flags_do_not() {
        const FLAG: Flags = Flags(Flags::FIRST << 2);
        let switches = Switches::new(false, FLAG);
        let check = |is_off: bool, has_flag: bool| {
            let state = switches.state();
            assert_eq!((state.is_off(), state.has(FLAG)), (is_off, has_flag));
            assert_eq!(state.is_on_without(FLAG), !is_off && !has_flag);
        };
        check(false, true);
        switches.set(Switch::Telemetry, false);
        switches.set(Switch::Signal, false);
        switches.set(Switch::Telemetry, true);
        check(true, true);
        assert!(switches.state().is_on(Switch::Telemetry) && !switches.state().is_on(Switch::Signal));
        switches.set_flags(FLAG, Flags(0));
        switches.set(Switch::Signal, true);
        check(false, false);
        switches.set(Switch::Telemetry, false);
        assert!(switches.state().is_off() && !switches.state().without_pauses().is_off());
        switches.set(Switch::Telemetry, true);
        assert!(!switches.end() && switches.end());
        assert!(switches.state().without_pauses().is_off());
        switches.set(Switch::Signal, true);
        check(true, false);
        assert!(Switches::new(true, FLAG).state().has_ended());
    }

    #[test]
    fn a_flag_that_stays_set_is_never_seen_unset() {
        const FLAG: Flags = Flags(Flags::FIRST << 1);
        let switches = Switches::new(false, FLAG);
        std::thread::scope(|scope| {
            let changes = scope.spawn(|| (0..100_000).for_each(|_| switches.set_flags(FLAG, FLAG)));
            while !changes.is_finished() {
                assert!(switches.state().has(FLAG));
            }
        });
    }
}
