//! Computes the number of bytes that a span occupies: its place in a chunk, and everything that it owns. Spare capacity is included
//! if the type reveals it.

use std::borrow::Cow;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, Status, TraceState};

use super::chunk::{Head, Rare};
use super::{Bounded, SpanEvent, SpanRecord};
use crate::attributes::{heap, list, owned_bytes};

/// Returns the number of bytes that a span occupies in a chunk.
#[inline]
pub(in crate::trace) fn size(record: &SpanRecord) -> usize {
    let lists = in_lists(record.own_attributes.len());
    let rare = if Rare::is_needed(record) { rare(record) } else { 0 };
    lists + name(&record.name) + owned_bytes(&record.own_attributes) + rare
}

/// Returns the number of bytes that a span with this many attributes occupies in the lists of a chunk.
#[inline]
pub(super) fn in_lists(attributes: usize) -> usize {
    size_of::<Head>() + attributes * size_of::<KeyValue>()
}

#[inline]
#[allow(clippy::ptr_arg, reason = "text that is static takes nothing")]
fn name(name: &Cow<'static, str>) -> usize {
    match name {
        Cow::Borrowed(_) => 0,
        Cow::Owned(text) => heap(text.capacity()),
    }
}

/// Returns the number of bytes that the fields in `Rare` occupy.
#[cold]
fn rare(record: &SpanRecord) -> usize {
    let events: usize = record.events.iter().map(event).sum();
    let links: usize = record.links.iter().map(link).sum();
    let status = match &record.status {
        Status::Error { description } => name(description),
        Status::Unset | Status::Ok => 0,
    };
    heap(size_of::<Rare>())
        + bounded(&record.events)
        + bounded(&record.links)
        + events
        + links
        + status
        + trace_state(record.context.trace_state())
}

/// Returns the number of bytes that a list occupies, without what its items own.
fn bounded<T>(items: &Bounded<T>) -> usize {
    // The box has about the size of two empty lists.
    if items.is_blank() { 0 } else { heap(2 * size_of::<Vec<T>>()) + list::<T>(items.capacity()) }
}

fn event(event: &SpanEvent) -> usize {
    name(&event.name) + list::<KeyValue>(event.attributes.capacity()) + owned_bytes(&event.attributes)
}

fn link(link: &Link) -> usize {
    list::<KeyValue>(link.attributes.capacity())
        + owned_bytes(&link.attributes)
        + trace_state(link.span_context.trace_state())
}

/// Returns the number of bytes that the members occupy. Up to half of the capacity of their list may be unused.
fn trace_state(state: &TraceState) -> usize {
    let members: usize = state.into_iter().map(|(key, value)| heap(key.len()) + heap(value.len())).sum();
    list::<(String, String)>(2 * state.into_iter().len()) + members
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};
    use opentelemetry::{Array, Value};

    use super::*;
    use crate::time::Timestamp;
    use crate::trace::{SpanData, SpanEvent};

    fn span(trace_state: TraceState) -> SpanData {
        let context = SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::SAMPLED, false, trace_state);
        SpanData::new(context, "span", InstrumentationScope::builder("test").build().into())
    }

    /// Checks that `change` increases the size of a span by about `expected` bytes.
    fn check(expected: usize, change: impl FnOnce(&mut SpanData)) {
        let mut changed = span(TraceState::NONE);
        change(&mut changed);
        let added = size(&changed) - size(&span(TraceState::NONE));
        assert!((expected..expected + expected / 2 + 700).contains(&added), "{added} instead of about {expected}");
    }

    #[test]
    fn everything_that_a_span_owns_counts() {
        let big = || "x".repeat(100_000);
        let attribute = || KeyValue::new("key", big());
        check(0, |_| {});
        check(100_000, |span| span.name = big().into());
        check(100_000, |span| span.own_attributes.push(attribute()));
        check(100_000, |span| span.own_attributes.push(KeyValue::new(big(), 1)));
        check(100_000, |span| span.status = Status::error(big()));
        check(100_000, |span| span.events.push(SpanEvent::new(big(), Timestamp::default(), Vec::new()), 8));
        check(200_000, |span| {
            span.events.push(SpanEvent::new(big(), Timestamp::default(), vec![attribute()]), 8);
        });
        check(100_000, |span| span.links.push(Link::new(SpanContext::NONE, vec![attribute()], 0), 8));
        let array = |array: Array| KeyValue::new("key", Value::Array(array));
        check(80_000, |span| span.own_attributes.push(array(Array::I64(vec![1; 10_000]))));
        check(80_000, |span| span.own_attributes.push(array(Array::F64(vec![1.0; 10_000]))));
        check(10_000, |span| span.own_attributes.push(array(Array::Bool(vec![true; 10_000]))));
        check(100_000, |span| span.own_attributes.push(array(Array::String(vec![big().into()]))));
        let members: Vec<_> = (0..32).map(|n| (format!("key{n}"), "x".repeat(250))).collect();
        let state = TraceState::from_key_value(members).unwrap_or_default();
        check(9500, |span| span.context = self::span(state).context.clone());
    }

    #[test]
    fn spare_capacity_counts() {
        check(100_000, |span| span.name = String::with_capacity(100_000).into());
        check(56_000, |span| {
            span.events.push(SpanEvent::new("event", Timestamp::default(), Vec::with_capacity(1000)), 8);
        });
        check(80_000, |span| {
            let list = Vec::<i64>::with_capacity(10_000);
            span.own_attributes.push(KeyValue::new("key", Value::Array(Array::I64(list))));
        });
    }

    #[test]
    fn an_ordinary_span_is_small() {
        let mut span = span(TraceState::NONE);
        span.own_attributes = (0..4).map(|n| KeyValue::new("cart.items", n)).collect();
        assert!((300..600).contains(&size(&span)), "{}", size(&span));
    }
}
