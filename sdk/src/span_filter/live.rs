//! The filters in use, and the switches that depend on them.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, RwLock};

use super::{Level, SpanFilter};
use crate::process::unless_stuck;

/// Written only with [`DEPENDENTS`] locked.
static FILTERS: LazyLock<RwLock<Filters>> = LazyLock::new(|| RwLock::new(Filters::new(Arc::default(), None)));
static DEPENDENTS: Mutex<Dependents> =
    Mutex::new(Dependents { switches: Vec::new(), listeners: Vec::new(), are_awake: false });
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The filters in use.
#[derive(Clone)]
struct Filters {
    spans: Arc<SpanFilter>,
    records: Arc<SpanFilter>,
    /// True if `records` is the filter of spans without the statements of sqlx.
    is_derived: bool,
}

impl Filters {
    fn new(spans: Arc<SpanFilter>, records: Option<Arc<SpanFilter>>) -> Self {
        let is_derived = records.is_none();
        let records = records.unwrap_or_else(|| Arc::new(spans.as_ref().clone().without_statements()));
        Filters { spans, records, is_derived }
    }

    /// Returns the filters in use, or the default in a forked child whose parent was replacing them.
    fn current() -> Filters {
        let filters = unless_stuck(FILTERS.try_read(), || FILTERS.read());
        filters.map_or_else(|| Filters::new(Arc::default(), None), |filters| filters.clone())
    }

    fn of(&self, kind: Kind) -> &Arc<SpanFilter> {
        match kind {
            Kind::Spans => &self.spans,
            Kind::Records => &self.records,
        }
    }
}

/// What a switch decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Spans,
    Records,
}

struct Dependents {
    /// The switches that have made a decision. Each call site of the program has no more than one.
    switches: Vec<&'static SpanSwitch>,
    listeners: Vec<fn()>,
    /// True once the program has had a tracer. Until then, every switch is off.
    are_awake: bool,
}

impl Dependents {
    fn decide(&self, filters: &Filters) {
        for switch in &self.switches {
            switch.decide_by(filters.of(switch.kind), self.are_awake);
        }
    }
}

/// Returns the filter of spans in use.
pub fn current() -> Arc<SpanFilter> {
    Filters::current().spans
}

/// Replaces the filter for spans that start from now on. Works at any time, both before and after `init`. To restore the
/// default, pass [`SpanFilter::default()`], which keeps more than the filter `info`: it also keeps the spans that some libraries
/// create at `debug`.
///
/// ```
/// use telemark_sdk::span_filter::{self, SpanFilter};
///
/// span_filter::set("info,shop::cart=debug".parse()?);
/// span_filter::set(SpanFilter::default());
/// # Ok::<(), telemark_sdk::ConfigError>(())
/// ```
pub fn set(filter: SpanFilter) {
    replace(|filters| Filters::new(Arc::new(filter), (!filters.is_derived).then_some(filters.records)));
}

/// The filter that selects the events of `tracing` that become log records. Until [`set`](records::set) is called or
/// `OTEL_RUST_LOGS` is set, it is the filter of spans.
///
/// The events of the target `sqlx::query`, which contain statements as they are written, become records only if a directive of this
/// filter names exactly that target, as in `info,sqlx::query=debug`. `sqlx=debug` does not.
pub mod records {
    use std::sync::Arc;

    use super::{Filters, SpanFilter, replace};
    use crate::config::Env;

    pub(crate) const VARIABLE: &str = "OTEL_RUST_LOGS";

    /// Returns the filter in use.
    pub fn current() -> Arc<SpanFilter> {
        Filters::current().records
    }

    /// Replaces the filter for events from now on, or makes it the filter of spans if `filter` is `None`. Works at any time, both
    /// before and after `init`.
    ///
    /// ```
    /// use telemark_sdk::span_filter::records;
    ///
    /// records::set(Some("warn".parse()?));
    /// records::set(None);
    /// # Ok::<(), telemark_sdk::ConfigError>(())
    /// ```
    pub fn set(filter: Option<SpanFilter>) {
        let records = filter.map(|filter| Arc::new(filter.without_unnamed_statements()));
        replace(|filters| Filters::new(filters.spans, records));
    }

    /// Reads `OTEL_RUST_LOGS`, which has the grammar of `OTEL_RUST_SPANS`. Reports and skips directives that do not follow the
    /// grammar. Returns `None` if the variable is not set.
    pub fn from_env(env: &Env) -> Option<SpanFilter> {
        SpanFilter::from_variable(VARIABLE, env)
    }
}

/// Locks what depends on the filters. Returns `None` in a forked child that would have to wait, perhaps forever.
fn dependents() -> Option<MutexGuard<'static, Dependents>> {
    unless_stuck(DEPENDENTS.try_lock(), || DEPENDENTS.lock())
}

fn replace(change: impl FnOnce(Filters) -> Filters) {
    let Some(mut dependents) = dependents() else { return };
    let filters = change(Filters::current());
    dependents.decide(&filters);
    // Locked only for this, because a switch that finds it locked uses the default.
    let Some(mut current) = unless_stuck(FILTERS.try_write(), || FILTERS.write()) else { return };
    *current = filters;
    drop(current);
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
    let Some(mut dependents) = dependents() else { return };
    dependents.are_awake = true;
    dependents.decide(&Filters::current());
    AWAKE.store(true, Ordering::Release);
    let listeners = dependents.listeners.clone();
    drop(dependents);
    listeners.into_iter().for_each(|listener| listener());
}

/// Calls `listener` after each change of the filter, and when the program gets its first tracer, on the thread that makes
/// the change. Each function is called only once per change, even if it was added several times.
pub fn on_change(listener: fn()) {
    let Some(mut dependents) = dependents() else { return };
    let listeners = &mut dependents.listeners;
    if !listeners.iter().any(|known| std::ptr::fn_addr_eq(*known, listener)) {
        listeners.push(listener);
    }
}

/// The target and level of one call site, and the live filter's decision for them, which is updated when the filter
/// changes. The switch is off until the program has had a tracer.
#[derive(Debug)]
pub struct SpanSwitch {
    kind: Kind,
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
        SpanSwitch { kind: Kind::Spans, target, level, state: AtomicU8::new(UNDECIDED) }
    }

    /// Creates a switch for a call site of log records, which the filter of [`records`] decides about.
    pub const fn for_records(target: &'static str, level: Level) -> Self {
        SpanSwitch { kind: Kind::Records, target, level, state: AtomicU8::new(UNDECIDED) }
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
            let filter = FILTERS.try_read().map(|filters| filters.of(self.kind).clone()).unwrap_or_default();
            return filter.enabled(self.target, self.level);
        };
        // The filter cannot change here, so the decision is still up to date when it is stored.
        let filters = Filters::current();
        if self.state.load(Ordering::Relaxed) == UNDECIDED {
            dependents.switches.push(self);
        }
        self.decide_by(filters.of(self.kind), dependents.are_awake)
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
    use crate::sync::unpoisoned;

    #[test]
    fn a_new_filter_reaches_every_switch_and_listener() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        static FINE: SpanSwitch = SpanSwitch::new("live::tests", Level::Debug);
        static COARSE: SpanSwitch = SpanSwitch::new("live::tests", Level::Info);
        static LATE: SpanSwitch = SpanSwitch::new("live::tests", Level::Debug);
        static RECORD: SpanSwitch = SpanSwitch::for_records("live::tests", Level::Debug);
        fn listener() {
            // A listener may read and replace the filter.
            assert!(current().enabled("live", Level::Warn));
            CALLS.fetch_add(1, Ordering::Relaxed);
        }
        wake();
        on_change(listener);
        on_change(listener);
        assert!(!FINE.is_on() && COARSE.is_on() && !RECORD.is_on());
        let before = generation();
        set(SpanFilter::default().with_target("live::tests", Level::Debug));
        assert!(FINE.is_on() && COARSE.is_on() && LATE.is_on() && RECORD.is_on());
        assert_ne!(generation(), before);
        set(SpanFilter::default().with_target("live::tests", None));
        assert!(!FINE.is_on() && !COARSE.is_on() && !LATE.is_on());
        records::set(Some(SpanFilter::up_to(Level::Debug)));
        assert!(!FINE.is_on() && RECORD.is_on());
        set(SpanFilter::default());
        assert!(!FINE.is_on() && COARSE.is_on() && RECORD.is_on());
        records::set(None);
        assert!(!RECORD.is_on() && *records::current() == SpanFilter::default().with_target("sqlx::query", None));
        assert!(Arc::ptr_eq(&records::current(), &records::current()), "made once, not for each event");
        assert_eq!(CALLS.load(Ordering::Relaxed), 5);
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
