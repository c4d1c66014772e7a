//! A span's data, which is the item type of the traces signal.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceId};

use super::stock;
use super::view::all_attributes;
use crate::time::Timestamp;
use crate::trace::{CallSite, Scope};

/// A span's data: the fields set so far if the span is still recording, and all fields once it has ended. Reuses its
/// memory.
///
/// Dereferences to the [`SpanRecord`] that contains the fields.
pub struct SpanData(
    /// `None` only during the drop.
    Option<Box<SpanRecord>>,
);

impl SpanData {
    /// Creates a span with only a context, a name and a scope, for tests of exporters and for adapters.
    pub fn new(context: SpanContext, name: impl Into<Cow<'static, str>>, scope: Scope) -> Self {
        let mut data = SpanData::blank();
        let record = &mut *data;
        record.context = context;
        record.name = name.into();
        record.scope = scope;
        (record.start, record.end) = (Timestamp::default(), Timestamp::default());
        data
    }

    /// Returns the id of the span's trace.
    pub fn trace_id(&self) -> TraceId {
        self.context.trace_id()
    }

    /// Returns the id of the span.
    pub fn span_id(&self) -> SpanId {
        self.context.span_id()
    }

    /// Creates a blank span. The context, name, scope and times are unspecified, because every span sets them when it
    /// starts and ends.
    #[inline]
    pub(in crate::trace) fn blank() -> Self {
        let mut record = stock::take();
        record.parent_span_id = SpanId::INVALID;
        record.parent_is_remote = false;
        record.call_site = None;
        SpanData(Some(record))
    }

    /// Returns the record, from which the caller moves the fields out.
    #[inline]
    pub(super) fn into_record(mut self) -> Box<SpanRecord> {
        self.0.take().unwrap_or_else(stock::fresh)
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
        self.0.get_or_insert_with(stock::fresh)
    }
}

impl Drop for SpanData {
    #[inline]
    fn drop(&mut self) {
        if let Some(mut record) = self.0.take() {
            record.release();
            stock::give_back(record);
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
    /// The span kind.
    pub kind: SpanKind,
    /// The name.
    pub name: Cow<'static, str>,
    /// The start time.
    pub start: Timestamp,
    /// The end time, never before `start`.
    pub end: Timestamp,
    /// The span's own attributes, without duplicate keys. The attributes of the call site are not included; see
    /// [`Self::attributes`].
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
    /// The call site of `#[traced]`, which provides the `code.*` attributes. `None` for other spans, and if those
    /// attributes are disabled.
    pub call_site: Option<&'static CallSite>,
}

impl SpanRecord {
    /// Returns all attributes: the span's own attributes, followed by those call-site attributes whose keys the span
    /// has not set itself.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyValue> {
        all_attributes(&self.own_attributes, self.call_site)
    }

    /// Returns the duration.
    pub fn duration(&self) -> Duration {
        self.end.since(self.start)
    }

    /// Releases everything except the memory of the attribute list.
    fn release(&mut self) {
        self.own_attributes.clear();
        self.dropped_attributes = 0;
        self.context = SpanContext::NONE;
        self.name = Cow::Borrowed("");
        self.scope = Scope::unnamed();
        self.kind = SpanKind::Internal;
        self.status = Status::Unset;
        self.events = Events::default();
        self.links = Links::default();
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
    /// The attributes, without duplicate keys.
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

/// The events of a span. Most spans have none, in which case nothing is allocated.
pub type Events = Bounded<SpanEvent>;

/// The links of a span.
pub type Links = Bounded<Link>;

/// A list with a limit, which counts the items that it drops. One pointer in size, because most spans have neither events
/// nor links, and a record should occupy few cache lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounded<T>(
    /// `None` until the first push.
    Option<Box<Items<T>>>,
);

#[derive(Clone, Debug, PartialEq)]
struct Items<T> {
    list: Vec<T>,
    dropped: u32,
}

impl<T> Bounded<T> {
    pub(super) const fn new() -> Self {
        Bounded(None)
    }

    /// Returns true if nothing has ever been added.
    #[inline]
    pub(super) fn is_blank(&self) -> bool {
        self.0.is_none()
    }

    /// Adds an item. If the list already has `limit` items, drops the new item and counts it.
    pub fn push(&mut self, item: T, limit: usize) {
        let items = self.0.get_or_insert_with(|| Box::new(Items { list: Vec::new(), dropped: 0 }));
        if items.list.len() < limit {
            items.list.push(item);
        } else {
            items.dropped = items.dropped.saturating_add(1);
        }
    }

    /// Calls `change` for each item.
    pub(super) fn for_each(&mut self, change: impl FnMut(&mut T)) {
        self.0.iter_mut().flat_map(|items| &mut items.list).for_each(change);
    }

    /// Drops all items and counts them.
    pub(super) fn drop_all(&mut self) {
        if let Some(items) = &mut self.0 {
            let gone = std::mem::take(&mut items.list).len();
            items.dropped = items.dropped.saturating_add(u32::try_from(gone).unwrap_or(u32::MAX));
        }
    }

    /// Returns the number of items for which the list has memory.
    pub(super) fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |items| items.list.capacity())
    }

    /// Returns the number of dropped items.
    pub fn dropped(&self) -> u32 {
        self.0.as_ref().map_or(0, |items| items.dropped)
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
        self.0.as_ref().map_or(&[], |items| &items.list)
    }
}

impl<T> DerefMut for Bounded<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut().map_or(&mut [], |items| &mut items.list)
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
