//! The filter in use, and the switches that depend on it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::{Level, SpanFilter};
use crate::sync::unpoisoned;

/// `None` represents the default filter. Written only with [`DEPENDENTS`] locked.
static FILTER: RwLock<Option<Arc<SpanFilter>>> = RwLock::new(None);
static DEPENDENTS: Mutex<Dependents> =
    Mutex::new(Dependents { switches: Vec::new(), listeners: Vec::new(), are_awake: false });
static GENERATION: AtomicU32 = AtomicU32::new(0);

struct Dependents {
    /// The switches that have made a decision. Each call site of the program has no more than one.
    switches: Vec<&'static SpanSwitch>,
    listeners: Vec<fn()>,
    /// True once the program has had a tracer. Until then, every switch is off.
    are_awake: bool,
}

impl Dependents {
    fn decide(&self, filter: &SpanFilter) {
        self.switches.iter().for_each(|switch| _ = switch.decide_by(filter, self.are_awake));
    }
}

/// Returns the filter in use.
pub fn current() -> Arc<SpanFilter> {
    unpoisoned(FILTER.read()).clone().unwrap_or_default()
}

/// Replaces the filter for spans that start from now on. Works at any time, both before and after `init`.
pub fn set(filter: SpanFilter) {
    let mut dependents = unpoisoned(DEPENDENTS.lock());
    dependents.decide(&filter);
    *unpoisoned(FILTER.write()) = Some(Arc::new(filter));
    GENERATION.fetch_add(1, Ordering::Release);
    let listeners = std::mem::take(&mut dependents.listeners);
    dependents.listeners.clone_from(&listeners);
    drop(dependents);
    listeners.into_iter().for_each(|listener| listener());
}

/// Returns a number that changes with each new filter. Read it before [`current`]: a decision is up to date as long as
/// the number has not changed.
#[inline]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Acquire)
}

/// Enables the switches, because there is now a tracer, and calls the listeners. Call this whenever the number of tracers
/// changes from zero to one, without a lock that a listener may need.
pub(crate) fn wake() {
    static AWAKE: AtomicBool = AtomicBool::new(false);
    if AWAKE.load(Ordering::Acquire) {
        return;
    }
    let mut dependents = unpoisoned(DEPENDENTS.lock());
    dependents.are_awake = true;
    dependents.decide(&current());
    AWAKE.store(true, Ordering::Release);
    let listeners = dependents.listeners.clone();
    drop(dependents);
    listeners.into_iter().for_each(|listener| listener());
}

/// Calls `listener` after each change of the filter, and when the program gets its first tracer, on the thread that makes
/// the change. Each function is called only once per change, even if it was added several times.
pub fn on_change(listener: fn()) {
    let listeners = &mut unpoisoned(DEPENDENTS.lock()).listeners;
    if !listeners.iter().any(|known| std::ptr::fn_addr_eq(*known, listener)) {
        listeners.push(listener);
    }
}

/// The target and level of one call site, and the live filter's decision for them, which is updated when the filter
/// changes. The switch is off until the program has had a tracer.
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
    /// Creates a switch for a call site, to be stored in a `static`.
    pub const fn new(target: &'static str, level: Level) -> Self {
        SpanSwitch { target, level, state: AtomicU8::new(UNDECIDED) }
    }

    /// Returns true if the filter keeps this call site's spans and there may be a tracer.
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
        // A forked child must not wait for a lock that a thread of its parent held.
        let Ok(mut dependents) = DEPENDENTS.try_lock() else {
            let filter = FILTER.try_read().ok().and_then(|filter| filter.clone()).unwrap_or_default();
            return filter.enabled(self.target, self.level);
        };
        // The filter cannot change here, so the decision is still up to date when it is stored.
        let filter = unpoisoned(FILTER.read()).clone().unwrap_or_default();
        if self.state.load(Ordering::Relaxed) == UNDECIDED {
            dependents.switches.push(self);
        }
        self.decide_by(&filter, dependents.are_awake)
    }

    fn decide_by(&self, filter: &SpanFilter, are_awake: bool) -> bool {
        let is_on = are_awake && filter.enabled(self.target, self.level);
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
            // A listener may read and replace the filter.
            assert!(current().enabled("live", Level::Warn));
            CALLS.fetch_add(1, Ordering::Relaxed);
        }
        wake();
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
        wake();
        static SWITCH: SpanSwitch = SpanSwitch::new("locked::tests", Level::Info);
        let held = unpoisoned(DEPENDENTS.lock());
        assert!(SWITCH.is_on());
        drop(held);
        assert!(SWITCH.is_on());
    }
}
