//! Ended spans end to end in memory: their heads in one list, their attributes in another.
//!
//! At the end of a span its fields are moved here, and the record stays where it was built. So a thread that makes spans writes
//! two streams, and the worker reads them from front to back.

use std::borrow::Cow;
use std::ops::Range;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};

use super::{Events, Links, SpanData, SpanRecord, SpanView};
use crate::signal::{Chunk, Traces};
use crate::time::Timestamp;
use crate::trace::{CallSite, Scope};

/// Ended spans, end to end in memory. Collected from [`SpanData`], and seen as [`SpanView`].
#[derive(Debug, Default)]
pub struct SpanChunk {
    heads: Vec<Head>,
    /// The attributes of all spans, in the order of the heads.
    attributes: Vec<KeyValue>,
}

/// The fields that every span has.
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
    /// The end of this span's attributes in the list of all; they begin where those of the span before end.
    attributes_end: u32,
    pub(super) trace_flags: TraceFlags,
    pub(super) kind: SpanKind,
    pub(super) is_remote: bool,
    pub(super) parent_is_remote: bool,
}

/// The fields that most spans lack.
#[derive(Debug)]
pub(super) struct Rare {
    pub(super) trace_state: TraceState,
    pub(super) status: Status,
    pub(super) events: Events,
    pub(super) links: Links,
    pub(super) dropped_attributes: u32,
}

impl Rare {
    /// Takes the rare fields of a record, if it has any.
    #[inline]
    fn take(record: &mut SpanRecord) -> Option<Box<Self>> {
        let has_none = record.status == Status::Unset
            && record.dropped_attributes == 0
            && record.events.is_blank()
            && record.links.is_blank()
            && *record.context.trace_state() == TraceState::NONE;
        if has_none { None } else { Some(Self::take_some(record)) }
    }

    #[cold]
    fn take_some(record: &mut SpanRecord) -> Box<Self> {
        let context = std::mem::replace(&mut record.context, SpanContext::NONE);
        let state = context.trace_state().clone();
        // The identity stays: the head is made from it.
        record.context = SpanContext::new(
            context.trace_id(),
            context.span_id(),
            context.trace_flags(),
            context.is_remote(),
            TraceState::NONE,
        );
        Box::new(Rare {
            trace_state: state,
            status: std::mem::take(&mut record.status),
            events: std::mem::take(&mut record.events),
            links: std::mem::take(&mut record.links),
            dropped_attributes: std::mem::take(&mut record.dropped_attributes),
        })
    }
}

impl SpanChunk {
    /// Returns the spans.
    pub fn iter(&self) -> impl Iterator<Item = SpanView<'_>> + Clone {
        self.views(0..self.heads.len())
    }

    #[inline]
    fn view(&self, index: usize) -> Option<SpanView<'_>> {
        let head = self.heads.get(index)?;
        let start =
            index.checked_sub(1).and_then(|before| self.heads.get(before)).map_or(0, |head| head.attributes_end);
        let attributes = self.attributes.get(start as usize..head.attributes_end as usize)?;
        Some(SpanView::new(head, attributes))
    }
}

impl Chunk<Traces> for SpanChunk {
    #[inline]
    fn len(&self) -> usize {
        self.heads.len()
    }

    #[inline]
    fn views(&self, range: Range<usize>) -> impl Iterator<Item = SpanView<'_>> + Clone {
        range.map_while(|index| self.view(index))
    }

    #[inline]
    fn push(&mut self, mut span: SpanData) {
        let record = &mut *span;
        let rare = Rare::take(record);
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
            kind: record.kind.clone(),
            parent_is_remote: record.parent_is_remote,
        });
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.attributes.clear();
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
        spans.into_iter().for_each(|span| self.push(span));
    }
}
