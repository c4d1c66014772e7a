//! Ended spans, stored contiguously in memory: the fields that every span has in one list, the attributes in another.
//!
//! When a span ends, its fields are moved here, and the record from which they come stays on its thread. A thread that
//! creates spans therefore writes two sequential streams, which the worker reads from front to back.

use std::borrow::Cow;
use std::mem::ManuallyDrop;
use std::ops::Range;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};

use super::size::{in_lists, size};
use super::{Events, Links, SpanData, SpanRecord, SpanView, stock};
use crate::signal::{Chunk, Traces};
use crate::time::Timestamp;
use crate::trace::{CallSite, Scope};

/// The number of spans at which a chunk is full, which is a quarter of the default batch size.
const SPANS: usize = 128;
/// The number of attributes at which a chunk is full.
const ATTRIBUTES: usize = 4 * SPANS;

/// Ended spans, stored contiguously in memory. Created by collecting [`SpanData`]; its spans are read as
/// [`SpanView`]s.
#[derive(Debug, Default)]
pub struct SpanChunk {
    heads: Heads,
    /// The attributes of all spans, in the same order as `heads`.
    attributes: Vec<KeyValue>,
    /// The number of bytes that the spans own in addition to these lists.
    owned: usize,
}

/// The heads of spans. Most own nothing, and have left the CPU's caches by the time at which they are freed, so freeing a list of such
/// heads does not look at them.
#[derive(Debug, Default)]
struct Heads {
    list: Vec<ManuallyDrop<Head>>,
    /// True if a head in the list owns something.
    is_owner: bool,
}

impl Heads {
    #[inline]
    fn push(&mut self, head: Head) {
        self.is_owner |= head.is_owner();
        self.list.push(ManuallyDrop::new(head));
    }

    /// Takes all heads, also those that the caller leaves in the iterator.
    fn drain(&mut self) -> impl Iterator<Item = Head> {
        self.is_owner = false;
        Drain(self.list.drain(..))
    }

    #[inline]
    fn clear(&mut self) {
        if std::mem::take(&mut self.is_owner) {
            drop(Drain(self.list.drain(..)));
        }
        self.list.clear();
    }
}

impl Drop for Heads {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Takes heads out of their list, and frees those that are left.
struct Drain<'a>(std::vec::Drain<'a, ManuallyDrop<Head>>);

impl Iterator for Drain<'_> {
    type Item = Head;

    #[inline]
    fn next(&mut self) -> Option<Head> {
        self.0.next().map(ManuallyDrop::into_inner)
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// The fields of a span, except for its attributes and rare fields.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) parent_span_id: SpanId,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) name: Cow<'static, str>,
    pub(super) scope: Scope,
    pub(super) call_site: Option<&'static CallSite>,
    pub(super) rare: Option<Box<Rare>>,
    /// The index at which this span's attributes end in the list of all attributes. They start where the previous
    /// span's attributes end.
    attributes_end: u32,
    pub(super) trace_flags: TraceFlags,
    pub(super) kind: SpanKind,
    pub(super) is_remote: bool,
    pub(super) parent_is_remote: bool,
}

/// The fields that most spans do not use.
#[derive(Debug)]
pub(super) struct Rare {
    pub(super) trace_state: TraceState,
    pub(super) status: Status,
    pub(super) events: Events,
    pub(super) links: Links,
    pub(super) dropped_attributes: u32,
}

impl Rare {
    /// Returns true if a record uses any of these fields.
    #[inline]
    pub(super) fn is_needed(record: &SpanRecord) -> bool {
        !matches!(record.status, Status::Unset)
            || record.dropped_attributes > 0
            || !record.events.is_blank()
            || !record.links.is_blank()
            || *record.context.trace_state() != TraceState::NONE
    }

    /// Moves these fields out of a record.
    #[cold]
    fn take(record: &mut SpanRecord) -> Box<Self> {
        let context = std::mem::replace(&mut record.context, SpanContext::NONE);
        // The ids and flags stay in the record, because the head is built from them.
        record.context = SpanContext::new(
            context.trace_id(),
            context.span_id(),
            context.trace_flags(),
            context.is_remote(),
            TraceState::NONE,
        );
        Box::new(Rare {
            trace_state: context.trace_state().clone(),
            status: std::mem::take(&mut record.status),
            events: std::mem::take(&mut record.events),
            links: std::mem::take(&mut record.links),
            dropped_attributes: std::mem::take(&mut record.dropped_attributes),
        })
    }
}

impl Head {
    /// Returns true if memory must be freed with the head.
    #[inline]
    fn is_owner(&self) -> bool {
        matches!(self.name, Cow::Owned(_)) || matches!(self.scope, Scope::Shared(_)) || self.rare.is_some()
    }

    /// Creates a record from the head and the span's own attributes.
    fn into_data(self, own: impl Iterator<Item = KeyValue>) -> SpanData {
        let rare = self.rare.map(|rare| *rare);
        let state = rare.as_ref().map_or(TraceState::NONE, |rare| rare.trace_state.clone());
        let context = SpanContext::new(self.trace_id, self.span_id, self.trace_flags, self.is_remote, state);
        let mut data = SpanData::new(context, self.name, self.scope);
        let record = &mut *data;
        (record.parent_span_id, record.parent_is_remote) = (self.parent_span_id, self.parent_is_remote);
        (record.start, record.end) = (self.start, self.end);
        (record.kind, record.call_site) = (self.kind, self.call_site);
        record.own_attributes.extend(own);
        if let Some(Rare { status, events, links, dropped_attributes, .. }) = rare {
            (record.status, record.events, record.links) = (status, events, links);
            record.dropped_attributes = dropped_attributes;
        }
        data
    }
}

impl SpanChunk {
    /// Returns the spans.
    pub fn iter(&self) -> impl Iterator<Item = SpanView<'_>> + Clone {
        self.views(0..self.len())
    }

    /// Returns the total number of attributes of all spans before the span at `index`.
    #[inline]
    fn attributes_before(&self, index: usize) -> u32 {
        index.checked_sub(1).and_then(|before| self.heads.list.get(before)).map_or(0, |head| head.attributes_end)
    }
}

/// Iterates over the spans of a chunk, from front to back.
#[derive(Clone)]
struct Views<'a> {
    heads: std::slice::Iter<'a, ManuallyDrop<Head>>,
    /// The attributes of the remaining spans.
    attributes: &'a [KeyValue],
    /// The number of attributes that come before these.
    before: u32,
}

impl<'a> Iterator for Views<'a> {
    type Item = SpanView<'a>;

    #[inline]
    fn next(&mut self) -> Option<SpanView<'a>> {
        let head = self.heads.next()?;
        let (own, others) = self.attributes.split_at_checked((head.attributes_end - self.before) as usize)?;
        (self.attributes, self.before) = (others, head.attributes_end);
        Some(SpanView::new(head, own))
    }
}

impl Chunk<Traces> for SpanChunk {
    #[inline]
    fn len(&self) -> usize {
        self.heads.list.len()
    }

    #[inline]
    fn views(&self, range: Range<usize>) -> impl Iterator<Item = SpanView<'_>> + Clone {
        let before = self.attributes_before(range.start);
        Views {
            heads: self.heads.list.get(range).unwrap_or_default().iter(),
            attributes: self.attributes.get(before as usize..).unwrap_or_default(),
            before,
        }
    }

    #[inline]
    fn push(&mut self, span: SpanData, size: usize) {
        let mut boxed = span.into_record();
        let record = &mut *boxed;
        self.owned += size.saturating_sub(in_lists(record.own_attributes.len()));
        let rare = Rare::is_needed(record).then(|| Rare::take(record));
        self.attributes.append(&mut record.own_attributes);
        let context = &record.context;
        self.heads.push(Head {
            trace_id: context.trace_id(),
            span_id: context.span_id(),
            parent_span_id: record.parent_span_id,
            start: record.start,
            end: record.end,
            trace_flags: context.trace_flags(),
            is_remote: context.is_remote(),
            name: std::mem::replace(&mut record.name, Cow::Borrowed("")),
            scope: record.scope.take(),
            call_site: record.call_site,
            rare,
            attributes_end: u32::try_from(self.attributes.len()).unwrap_or(u32::MAX),
            kind: std::mem::replace(&mut record.kind, SpanKind::Internal),
            parent_is_remote: record.parent_is_remote,
        });
        stock::give_back(boxed);
    }

    fn make_room(&mut self, span: &SpanData) {
        make_room(&mut self.heads.list, 1);
        make_room(&mut self.attributes, span.own_attributes.len());
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.len() >= SPANS || self.attributes.len() >= ATTRIBUTES
    }

    fn bytes(&self) -> usize {
        let heads = self.heads.list.capacity() * size_of::<Head>();
        heads + self.attributes.capacity() * size_of::<KeyValue>() + self.owned
    }

    fn drain(&mut self) -> impl Iterator<Item = SpanData> {
        self.owned = 0;
        let mut attributes = self.attributes.drain(..);
        let mut taken = 0;
        self.heads.drain().map(move |head| {
            let own = attributes.by_ref().take((head.attributes_end - taken) as usize);
            taken = head.attributes_end;
            head.into_data(own)
        })
    }

    fn shrink(&mut self) {
        self.heads.list.shrink_to_fit();
        self.attributes.shrink_to_fit();
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.attributes.clear();
        self.owned = 0;
        if self.heads.list.capacity() > 2 * SPANS {
            self.heads = Heads::default();
        }
        if self.attributes.capacity() > 2 * ATTRIBUTES {
            self.attributes = Vec::new();
        }
    }
}

/// Makes room for `more` items. Grows by half of the list, but never by more than a small list needs.
fn make_room<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / 2));
    }
}

impl FromIterator<SpanData> for SpanChunk {
    fn from_iter<I: IntoIterator<Item = SpanData>>(spans: I) -> Self {
        let mut chunk = SpanChunk::default();
        chunk.extend(spans);
        chunk
    }
}

impl Extend<SpanData> for SpanChunk {
    fn extend<I: IntoIterator<Item = SpanData>>(&mut self, spans: I) {
        for span in spans {
            let size = size(&span);
            self.push(span, size);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::Link;

    use super::*;
    use crate::trace::SpanEvent;

    static SITE: CallSite = CallSite::new("shop", "1.0", "shop::checkout", "src/shop.rs", 7);

    fn plain(name: &'static str, attributes: usize) -> SpanData {
        let state = TraceState::NONE;
        let context = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, false, state);
        let mut span = SpanData::new(context, name, InstrumentationScope::builder("test").build().into());
        span.own_attributes = (0..attributes).map(|n| KeyValue::new("key", n as i64)).collect();
        span
    }

    fn full(name: &str) -> SpanData {
        let state = TraceState::from_key_value([("vendor", "x")]).unwrap_or_default();
        let context = SpanContext::new(TraceId::from(3), SpanId::from(4), TraceFlags::SAMPLED, true, state);
        let mut span = SpanData::new(context, name.to_owned(), InstrumentationScope::builder("other").build().into());
        let record = &mut *span;
        (record.parent_span_id, record.parent_is_remote) = (SpanId::from(5), true);
        (record.start, record.end) = (Timestamp::from_nanos(6), Timestamp::from_nanos(7));
        (record.kind, record.call_site) = (SpanKind::Server, Some(&SITE));
        record.own_attributes = vec![KeyValue::new("a", 1), KeyValue::new("b", "two".to_owned())];
        record.dropped_attributes = 8;
        record.status = Status::error("no".to_owned());
        (0..2).for_each(|_| record.events.push(SpanEvent::new("event", Timestamp::from_nanos(9), Vec::new()), 1));
        (0..2).for_each(|_| record.links.push(Link::new(SpanContext::NONE, vec![KeyValue::new("c", 3)], 4), 1));
        span
    }

    #[test]
    fn every_field_comes_out_as_it_went_in() {
        let spans = [plain("a", 3), full("b"), plain("c", 0), full("d"), plain("e", 1)];
        let expected = format!("{spans:?}");
        let mut chunk: SpanChunk = spans.into_iter().collect();
        let copies: Vec<SpanData> = chunk.iter().map(SpanData::from).collect();
        assert_eq!(format!("{copies:?}"), expected);
        let moved: Vec<_> = chunk.drain().collect();
        assert_eq!(format!("{moved:?}"), expected);
        assert_eq!((chunk.len(), chunk.owned), (0, 0));
    }

    #[test]
    fn what_heads_own_is_freed_however_the_chunk_is_emptied() {
        let scope = Arc::new(InstrumentationScope::default());
        let shared = || SpanData::new(SpanContext::NONE, "shared", Scope::Shared(scope.clone()));
        let ways: [fn(SpanChunk); 4] = [
            drop,
            |mut chunk| chunk.clear(),
            |mut chunk| drop(chunk.drain().next()),
            |mut chunk| chunk.drain().for_each(drop),
        ];
        for empty in ways {
            let mut chunk: SpanChunk = (0..3).map(|_| shared()).collect();
            chunk.extend([plain("static", 1)]);
            assert_eq!(Arc::strong_count(&scope), 4);
            empty(chunk);
            assert_eq!(Arc::strong_count(&scope), 1);
        }
        let is_owner = |span: SpanData| SpanChunk::from_iter([span]).heads.is_owner;
        let mut failed = plain("failed", 0);
        failed.status = Status::error("no".to_owned());
        let owners = [plain("static", 1), SpanData::new(SpanContext::NONE, "n".to_owned(), Scope::unnamed()), failed];
        assert_eq!(owners.map(is_owner), [false, true, true]);
    }

    #[test]
    fn a_record_that_was_moved_from_is_blank_for_the_next_span() {
        let mut chunk = SpanChunk::default();
        chunk.extend([full("used")]);
        let context = SpanContext::NONE;
        let next = SpanData::new(context.clone(), "next", Scope::unnamed());
        let new = SpanRecord { context, name: "next".into(), ..SpanRecord::default() };
        assert_eq!(format!("{next:?}"), format!("{new:?}"));
    }

    #[test]
    fn the_head_of_a_span_takes_less_than_two_cache_lines() {
        assert_eq!((size_of::<Head>(), size_of::<KeyValue>()), (112, 56));
    }

    #[test]
    fn a_chunk_that_has_grown_shrinks() {
        let mut chunk: SpanChunk = (0..4).map(|_| plain("wide", 1000)).collect();
        assert!(chunk.is_full() && chunk.bytes() > 4000 * size_of::<KeyValue>());
        chunk.clear();
        assert!(chunk.bytes() < 2 * SPANS * in_lists(8));
    }

    #[test]
    fn the_bytes_of_a_chunk_are_at_least_those_of_its_spans() {
        let spans: Vec<_> = (0..100).map(|n| plain("span", n)).chain([full("full")]).collect();
        let sizes: usize = spans.iter().map(|span| size(span)).sum();
        let chunk: SpanChunk = spans.into_iter().collect();
        assert!(chunk.bytes() >= sizes && chunk.bytes() < 3 * sizes);
    }
}
