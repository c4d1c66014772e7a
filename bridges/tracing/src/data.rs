//! What the layer keeps for each span.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use opentelemetry::logs::AnyValue;
use opentelemetry::{Context, KeyValue};
use telemark_sdk::instrument::bridge::BridgedSpan;
use telemark_sdk::time::Timestamp;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::options::Options;

/// A span's data. The registry's extensions keep it until the span is closed. A thread that has entered the span also keeps it,
/// so that leaving the span takes neither a look-up nor a lock.
#[derive(Debug)]
pub(crate) struct Data {
    /// True if the filter removes the span or telemetry is off, and `span` only passes a parent on.
    pub(crate) is_passing: bool,
    /// The layer that created this, because a registry may have several.
    pub(crate) layer: usize,
    pub(crate) span: BridgedSpan,
    /// True if the layer records the place, for the case that the span starts again.
    pub(crate) location: bool,
    /// True once the span's identity has been used, by a child or by code that requested the context.
    is_used: AtomicBool,
    is_closed: AtomicBool,
    /// Zero until the first exit.
    last_exit: AtomicU64,
    /// `None` unless an option requires it.
    extra: Option<Box<Extra>>,
    /// True once the span was given another parent, and thereby other data.
    is_replaced: AtomicBool,
    /// Exists once the span was given another parent.
    newest: OnceLock<Arc<NewestOf>>,
}

/// Leads from the data that a span had before to those it has now. All data of the span share it, so that replaced data are kept only
/// by the threads that entered the span with them, however many parents the span is given.
#[derive(Debug, Default)]
struct NewestOf(Mutex<Weak<Data>>);

/// The newest data of a span, borrowed unless they were replaced.
#[derive(Debug)]
pub(crate) enum Newest<'a> {
    Own(&'a Data),
    Other(Arc<Data>),
}

impl Deref for Newest<'_> {
    type Target = Data;

    #[inline]
    fn deref(&self) -> &Data {
        match self {
            Newest::Own(data) => data,
            Newest::Other(data) => data,
        }
    }
}

/// What some options require.
#[derive(Debug, Default)]
struct Extra {
    times: Option<Mutex<Times>>,
    /// The fields to copy to log records within the span.
    for_records: Mutex<Vec<(&'static str, AnyValue)>>,
}

/// The total time for which a span was entered on at least one thread, and the total time for which it was not.
#[derive(Clone, Debug)]
struct Times {
    entered: u32,
    last: Timestamp,
    busy: u64,
    idle: u64,
}

impl Data {
    pub(crate) fn new(layer: usize, span: BridgedSpan, options: &Options) -> Self {
        let extra = (options.times || !options.span_fields.is_empty()).then(|| {
            let times = || Mutex::new(Times { entered: 0, last: span.clock().now(), busy: 0, idle: 0 });
            Box::new(Extra { times: options.times.then(times), ..Extra::default() })
        });
        Data {
            is_passing: false,
            layer,
            span,
            location: options.location,
            is_used: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            last_exit: AtomicU64::new(0),
            extra,
            is_replaced: AtomicBool::new(false),
            newest: OnceLock::new(),
        }
    }

    /// Creates the data of a span that is not recorded, but passes a parent on.
    pub(crate) fn passing(layer: usize, parent: &Context) -> Self {
        let span = BridgedSpan::passing_through(parent);
        Data { is_passing: true, ..Data::new(layer, span, &Options::default()) }
    }

    /// Returns the data of this span with another parent.
    ///
    /// An entry or an exit at the same moment may count for the old data, which delays the end of the span until it is closed.
    pub(crate) fn restarted(&self, span: BridgedSpan) -> Data {
        let extra = self.extra.as_ref().map(|extra| {
            let times = extra.times.as_ref().map(|times| Mutex::new(locked(times).clone()));
            Box::new(Extra { times, for_records: Mutex::new(locked(&extra.for_records).clone()) })
        });
        Data {
            is_passing: self.is_passing,
            layer: self.layer,
            span,
            location: self.location,
            is_used: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            last_exit: AtomicU64::new(self.last_exit.load(Ordering::Relaxed)),
            extra,
            is_replaced: AtomicBool::new(false),
            newest: OnceLock::new(),
        }
    }

    /// Makes `data`, which no other thread has yet, the newest data of this span.
    fn succeed(&self, data: &Arc<Data>) {
        let newest = self.newest.get_or_init(Arc::default);
        let _ = data.newest.set(newest.clone());
        *locked(&newest.0) = Arc::downgrade(data);
        self.is_replaced.store(true, Ordering::Release);
    }

    /// Returns true unless the span was closed or given another parent since. The registry reuses the ids of closed spans.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        !self.is_replaced.load(Ordering::Acquire) && !self.is_closed.load(Ordering::Acquire)
    }

    /// Returns the newest data of this span, or these if the span is gone.
    #[inline]
    pub(crate) fn newest(&self) -> Newest<'_> {
        match self.is_replaced.load(Ordering::Acquire) {
            false => Newest::Own(self),
            true => self.successor().map_or(Newest::Own(self), Newest::Other),
        }
    }

    /// Returns the newest data of this span after they were replaced, unless the span is gone.
    #[cold]
    fn successor(&self) -> Option<Arc<Data>> {
        self.newest.get().and_then(|newest| locked(&newest.0).upgrade())
    }

    /// Marks a span whose identity has been used, so that its parent can no longer change.
    #[inline]
    pub(crate) fn mark_used(&self) {
        self.is_used.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn mark_closed(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        match self.is_replaced.load(Ordering::Acquire) {
            false => self.is_closed.load(Ordering::Acquire),
            true => self.successor().is_none_or(|newest| newest.is_closed.load(Ordering::Acquire)),
        }
    }

    /// Takes back an entry that failed, for which there is no exit.
    #[cold]
    pub(crate) fn remove_entry(&self) {
        if let Some(times) = self.times() {
            let mut times = locked(times);
            times.entered = times.entered.saturating_sub(1);
        }
    }

    /// Returns true if a thread may have entered the span, given the only reference apart from the registry's. Also returns true
    /// while another thread uses the data in another way.
    #[inline]
    pub(crate) fn is_entered(own: &Arc<Data>) -> bool {
        // Data that were replaced exist for as long as a thread that has entered the span with them.
        Arc::strong_count(own) > 2 || own.newest.get().is_some_and(|newest| Arc::strong_count(newest) > 1)
    }

    /// Records an entry, if the times are recorded.
    #[inline]
    pub(crate) fn entered(&self) {
        if let Some(times) = self.times() {
            let now = self.span.clock().now();
            let mut times = locked(times);
            if times.entered == 0 {
                times.idle += times.advance(now);
            }
            times.entered = times.entered.saturating_add(1);
        }
    }

    /// Records an exit.
    #[inline]
    pub(crate) fn exited(&self, now: Timestamp) {
        self.last_exit.fetch_max(now.as_nanos(), Ordering::Relaxed);
        if let Some(times) = self.times() {
            let mut times = locked(times);
            times.entered = times.entered.saturating_sub(1);
            if times.entered == 0 {
                times.busy += times.advance(now);
            }
        }
    }

    /// Returns the time of the last exit, or `None` if the span was never entered.
    #[inline]
    pub(crate) fn end(&self) -> Option<Timestamp> {
        let nanos = self.last_exit.load(Ordering::Relaxed);
        (nanos != 0).then(|| Timestamp::from_nanos(nanos))
    }

    #[inline]
    fn times(&self) -> Option<&Mutex<Times>> {
        self.extra.as_ref().and_then(|extra| extra.times.as_ref())
    }

    /// Returns the attributes for the busy and idle times, if they are recorded.
    pub(crate) fn recorded_times(&self) -> Option<Vec<KeyValue>> {
        let times = locked(self.times()?);
        let nanos = |nanos| i64::try_from(nanos).unwrap_or(i64::MAX);
        Some(vec![KeyValue::new("busy_ns", nanos(times.busy)), KeyValue::new("idle_ns", nanos(times.idle))])
    }

    /// Keeps fields that are copied to log records.
    pub(crate) fn keep_for_records(&self, fields: Vec<(&'static str, AnyValue)>) {
        let Some(extra) = &self.extra else { return };
        let mut kept = locked(&extra.for_records);
        for (name, value) in fields {
            kept.retain(|(own, _)| *own != name);
            kept.push((name, value));
        }
    }

    /// Calls `copy` for each field that is copied to log records.
    pub(crate) fn for_records(&self, mut copy: impl FnMut(&'static str, &AnyValue)) {
        let Some(extra) = &self.extra else { return };
        locked(&extra.for_records).iter().for_each(|(name, value)| copy(name, value));
    }
}

impl Times {
    fn advance(&mut self, now: Timestamp) -> u64 {
        let passed = now.as_nanos().saturating_sub(self.last.as_nanos());
        self.last = self.last.max(now);
        passed
    }
}

/// Locks a mutex under which no code of the program runs.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The data in the extensions of a span, which are locked only to copy or to replace it.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<Data>);

/// Gives a span other data. Returns false if it had none.
pub(crate) fn replace<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, data: &Arc<Data>) -> bool {
    let mut extensions = span.extensions_mut();
    let before = extensions.replace(Shared(data.clone()));
    // While the extensions are locked, because two threads may set a parent at the same time.
    if let Some(Shared(before)) = &before {
        before.succeed(data);
    }
    // The old data are dropped without the lock.
    drop(extensions);
    before.is_some()
}

/// Returns the data of a span.
#[inline]
pub(crate) fn any<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Option<Arc<Data>> {
    span.extensions().get::<Shared>().map(|shared| shared.0.clone())
}

/// Returns the data of a span, if this layer records it.
#[inline]
pub(crate) fn of<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, layer: usize) -> Option<Arc<Data>> {
    span.extensions().get::<Shared>().filter(|shared| shared.0.layer == layer).map(|shared| shared.0.clone())
}

/// Returns the nearest span that the layer records, or that passes a parent on: the span itself or one around it.
pub(crate) fn nearest<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, layer: usize) -> Option<SpanRef<'a, R>> {
    span.scope().find(|span| of(span, layer).is_some())
}

/// Returns the context of a span, if this layer records it.
#[inline]
pub(crate) fn context<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, layer: usize) -> Option<Context> {
    of(span, layer).map(|data| data.span.context().clone())
}
