//! The filter in use, and the switches that depend on it.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::{Level, SpanFilter};
use crate::sync::unpoisoned;

/// `None` stands for the default filter. Written only while [`DEPENDENTS`] is locked.
static FILTER: RwLock<Option<Arc<SpanFilter>>> = RwLock::new(None);
static DEPENDENTS: Mutex<Dependents> = Mutex::new(Dependents { switches: Vec::new(), listeners: Vec::new() });
static GENERATION: AtomicU32 = AtomicU32::new(0);

struct Dependents {
    /// The switches that have decided, at most one for each call site of the program.
    switches: Vec<&'static SpanSwitch>,
    listeners: Vec<fn()>,
}

/// Returns the filter in use.
pub fn current() -> Arc<SpanFilter> {
    unpoisoned(FILTER.read()).clone().unwrap_or_default()
}

/// Replaces the filter, for spans that start from now on. Works at any time, before and after `init`.
pub fn set(filter: SpanFilter) {
    let mut dependents = unpoisoned(DEPENDENTS.lock());
    for switch in &dependents.switches {
        switch.decide_by(&filter);
    }
    *unpoisoned(FILTER.write()) = Some(Arc::new(filter));
    GENERATION.fetch_add(1, Ordering::Release);
    let listeners = std::mem::take(&mut dependents.listeners);
    dependents.listeners.clone_from(&listeners);
    drop(dependents);
    listeners.into_iter().for_each(|listener| listener());
}

/// Returns a number that changes with each new filter. Read it before [`current`]: a decision is up to date as long as the
/// number is the same.
#[inline]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Acquire)
}

/// Calls `listener` after each change of the filter, on the thread that changes it. Each function is called once per change,
/// however often it was added.
pub fn on_change(listener: fn()) {
    let listeners = &mut unpoisoned(DEPENDENTS.lock()).listeners;
    if !listeners.iter().any(|known| std::ptr::fn_addr_eq(*known, listener)) {
        listeners.push(listener);
    }
}

/// The target and level of one call site, and the decision of the live filter, which a new filter updates.
#[derive(Debug)]
pub struct SpanSwitch {
    target: &'static str,
    level: Level,
    state: AtomicU8,
}

const UNDECIDED: u8 = 0;
const ON: u8 = 1;
const OFF: u8 = 2;

impl SpanSwitch {
    /// Creates the switch of a call site, for a `static`.
    pub const fn new(target: &'static str, level: Level) -> Self {
        SpanSwitch { target, level, state: AtomicU8::new(UNDECIDED) }
    }

    /// Returns true if the filter keeps the spans of this call site.
    #[inline]
    pub fn is_on(&'static self) -> bool {
        match self.state.load(Ordering::Relaxed) {
            ON => true,
            OFF => false,
            _ => self.decide(),
        }
    }

    #[cold]
    fn decide(&'static self) -> bool {
        // A forked child must not wait for a lock that its parent's threads held.
        let Ok(mut dependents) = DEPENDENTS.try_lock() else {
            let filter = FILTER.try_read().ok().and_then(|filter| filter.clone()).unwrap_or_default();
            return filter.enabled(self.target, self.level);
        };
        // The filter cannot change now, so that the decision is not outdated when it is stored.
        let filter = unpoisoned(FILTER.read()).clone().unwrap_or_default();
        if self.state.load(Ordering::Relaxed) == UNDECIDED {
            dependents.switches.push(self);
        }
        self.decide_by(&filter)
    }

    fn decide_by(&self, filter: &SpanFilter) -> bool {
        let is_on = filter.enabled(self.target, self.level);
        self.state.store(if is_on { ON } else { OFF }, Ordering::Relaxed);
        is_on
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_new_filter_reaches_every_switch_and_listener() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        static FINE: SpanSwitch = SpanSwitch::new("live::tests", Level::Debug);
        static COARSE: SpanSwitch = SpanSwitch::new("live::tests", Level::Info);
        static LATE: SpanSwitch = SpanSwitch::new("live::tests", Level::Debug);
        fn listener() {
            // A listener may read and write the filter.
            assert!(current().enabled("live", Level::Warn));
            CALLS.fetch_add(1, Ordering::Relaxed);
        }
        on_change(listener);
        on_change(listener);
        assert!(!FINE.is_on() && COARSE.is_on());
        let before = generation();
        set(SpanFilter::default().with_target("live::tests", Level::Debug));
        assert!(FINE.is_on() && COARSE.is_on() && LATE.is_on());
        assert_ne!(generation(), before);
        set(SpanFilter::default().with_target("live::tests", None));
        assert!(!FINE.is_on() && !COARSE.is_on() && !LATE.is_on());
        set(SpanFilter::default());
        assert!(!FINE.is_on() && COARSE.is_on());
        assert_eq!(CALLS.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_switch_waits_for_no_lock() {
        static SWITCH: SpanSwitch = SpanSwitch::new("locked::tests", Level::Info);
        let held = unpoisoned(DEPENDENTS.lock());
        assert!(SWITCH.is_on());
        drop(held);
        assert!(SWITCH.is_on());
    }
}
