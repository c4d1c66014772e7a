//! The data of a span: the item of the traces signal.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceState};

use super::pool;
use super::view::all_attributes;
use crate::time::Timestamp;
use crate::trace::{CallSite, Scope};

/// The data of a span: while the span records, the fields set so far; in an exporter, all of them. Reuses its memory.
///
/// Dereferences to the [`SpanRecord`] with its fields.
pub struct SpanData(
    /// `None` only while being dropped.
    Option<Box<SpanRecord>>,
);

impl SpanData {
    /// Creates a span with nothing but its identity, for tests of exporters and for adapters.
    pub fn new(context: SpanContext, name: impl Into<Cow<'static, str>>, scope: Scope) -> Self {
        let mut data = SpanData::blank();
        let record = &mut *data;
        record.context = context;
        record.name = name.into();
        record.scope = scope;
        data
    }

    /// Creates a blank span.
    #[inline]
    pub(in crate::trace) fn blank() -> Self {
        let mut record = pool::take();
        record.reset();
        SpanData(Some(record))
    }
}

impl Deref for SpanData {
    type Target = SpanRecord;

    #[inline]
    fn deref(&self) -> &SpanRecord {
        match &self.0 {
            Some(record) => record,
            None => unreachable!("a span has its record until it is dropped"),
        }
    }
}

impl DerefMut for SpanData {
    #[inline]
    fn deref_mut(&mut self) -> &mut SpanRecord {
        self.0.get_or_insert_with(Box::default)
    }
}

impl Drop for SpanData {
    #[inline]
    fn drop(&mut self) {
        if let Some(record) = self.0.take() {
            pool::give_back(record);
        }
    }
}

impl Clone for SpanData {
    fn clone(&self) -> Self {
        SpanData(self.0.clone())
    }
}

impl fmt::Debug for SpanData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The fields of a [`SpanData`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpanRecord {
    /// Trace id, span id, flags and trace state.
    pub context: SpanContext,
    /// The parent's span id; [`SpanId::INVALID`] for a root span.
    pub parent_span_id: SpanId,
    /// True if the parent is in another process.
    pub parent_is_remote: bool,
    /// The role of the span.
    pub kind: SpanKind,
    /// The name.
    pub name: Cow<'static, str>,
    /// The start time.
    pub start: Timestamp,
    /// The end time, never before `start`.
    pub end: Timestamp,
    /// The span's own attributes, each key once, without those of the call site: see [`Self::attributes`].
    pub own_attributes: Vec<KeyValue>,
    /// Number of attributes dropped because of the limit.
    pub dropped_attributes: u32,
    /// Events in the order in which they were added.
    pub events: Events,
    /// Links in the order in which they were added.
    pub links: Links,
    /// The status.
    pub status: Status,
    /// The instrumentation scope.
    pub scope: Scope,
    /// The call site of `#[traced]`, for the `code.*` attributes; `None` for other spans, and if those attributes are off.
    pub call_site: Option<&'static CallSite>,
}

impl SpanRecord {
    /// Returns every attribute: the span's own, then those of the call site that the span does not set itself.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyValue> {
        all_attributes(&self.own_attributes, self.call_site)
    }

    /// Returns the duration.
    pub fn duration(&self) -> Duration {
        self.end.since(self.start)
    }

    /// Frees everything but the memory of the attribute list, and that, too, if it is large. The other fields keep their values
    /// until [`Self::reset`]: this runs on the worker, and every cache line that it writes must travel back to the thread that
    /// uses the record next.
    pub(super) fn release(&mut self) {
        const LARGE: usize = 64;
        self.own_attributes.clear();
        if self.own_attributes.capacity() > LARGE {
            self.own_attributes = Vec::new();
        }
        if self.context.trace_state() != &TraceState::NONE {
            self.context = SpanContext::NONE;
        }
        if let Cow::Owned(_) = self.name {
            self.name = Cow::Borrowed("");
        }
        if let Scope::Shared(_) = self.scope {
            self.scope = Scope::unnamed();
        }
        if self.status != Status::Unset {
            self.status = Status::Unset;
        }
        if !self.events.is_empty() {
            self.events = Events::default();
        }
        if !self.links.is_empty() {
            self.links = Links::default();
        }
    }

    /// Clears the record after [`Self::release`].
    #[inline]
    fn reset(&mut self) {
        self.parent_span_id = SpanId::INVALID;
        self.parent_is_remote = false;
        self.kind = SpanKind::Internal;
        (self.start, self.end) = (Timestamp::default(), Timestamp::default());
        self.dropped_attributes = 0;
        self.events.reset_dropped();
        self.links.reset_dropped();
        self.call_site = None;
    }
}

impl Default for SpanRecord {
    fn default() -> Self {
        SpanRecord {
            context: SpanContext::NONE,
            parent_span_id: SpanId::INVALID,
            parent_is_remote: false,
            kind: SpanKind::Internal,
            name: Cow::Borrowed(""),
            start: Timestamp::default(),
            end: Timestamp::default(),
            own_attributes: Vec::new(),
            dropped_attributes: 0,
            events: Events::default(),
            links: Links::default(),
            status: Status::Unset,
            scope: Scope::unnamed(),
            call_site: None,
        }
    }
}

/// An event during a span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// The name.
    pub name: Cow<'static, str>,
    /// The time.
    pub time: Timestamp,
    /// The attributes, each key once.
    pub attributes: Vec<KeyValue>,
    /// Number of attributes dropped because of the limit.
    pub dropped_attributes: u32,
}

impl SpanEvent {
    /// Creates an event.
    pub fn new(name: impl Into<Cow<'static, str>>, time: Timestamp, attributes: Vec<KeyValue>) -> Self {
        SpanEvent { name: name.into(), time, attributes, dropped_attributes: 0 }
    }
}

/// The events of a span. Most spans have none, which costs no allocation.
pub type Events = Bounded<SpanEvent>;

/// The links of a span.
pub type Links = Bounded<Link>;

/// A list with a limit that counts dropped items.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounded<T> {
    items: Vec<T>,
    dropped: u32,
}

impl<T> Bounded<T> {
    pub(super) const fn new() -> Self {
        Bounded { items: Vec::new(), dropped: 0 }
    }

    /// Returns true if nothing was ever added.
    #[inline]
    pub(super) fn is_blank(&self) -> bool {
        self.items.is_empty() && self.dropped == 0
    }

    /// Adds an item. Beyond `limit`, drops and counts it.
    pub fn push(&mut self, item: T, limit: usize) {
        if self.items.len() < limit {
            self.items.push(item);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    #[inline]
    fn reset_dropped(&mut self) {
        self.dropped = 0;
    }

    /// Returns the number of dropped items.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }
}

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Bounded::new()
    }
}

impl<T> std::ops::Deref for Bounded<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::InstrumentationScope;

    #[test]
    fn call_site_attributes_yield_to_the_spans_own() {
        static SITE: CallSite = CallSite::new("shop", "1.0", "shop::checkout", "src/shop.rs", 7);
        let scope = Scope::from(InstrumentationScope::builder("test").build());
        let mut span = SpanData::new(SpanContext::NONE, "checkout", scope);
        span.call_site = Some(&SITE);
        span.own_attributes = vec![KeyValue::new("code.line.number", 99), KeyValue::new("items", 3)];
        let text: Vec<_> = span.attributes().map(|a| format!("{}={}", a.key, a.value)).collect();
        assert_eq!(
            text.join(" "),
            "code.line.number=99 items=3 code.function.name=shop::checkout code.file.path=src/shop.rs"
        );
        assert_eq!(SITE.scope().name(), "shop");
    }

    #[test]
    fn a_bounded_list_counts_what_it_drops() {
        let mut list = Bounded::default();
        (0..5).for_each(|n| list.push(n, 3));
        assert_eq!((&*list, list.dropped()), (&[0, 1, 2][..], 2));
    }
}
