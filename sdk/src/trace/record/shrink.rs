//! Makes a span fit into a number of bytes: drops the largest attributes, and if that does not suffice, everything that is not needed to
//! place the span in its trace.

use std::borrow::Cow;

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;

use super::data::SpanData;
use super::size::size;
use crate::attributes::owned_bytes;

/// Maximum number of bytes that are left of a name.
const MAX_NAME: usize = 512;

impl SpanData {
    /// Drops parts of a span that takes up more than `max_bytes`, the largest attributes of the span, its events and its links first, and
    /// counts them in the numbers of dropped attributes, events and links. Returns true if anything was dropped.
    pub(crate) fn shrink(&mut self, max_bytes: usize) -> bool {
        let excess = size(self).saturating_sub(max_bytes);
        if excess == 0 {
            return false;
        }
        let least = self.least_to_drop(excess);
        let record = &mut **self;
        drop_from(&mut record.own_attributes, &mut record.dropped_attributes, least);
        record.events.for_each(|event| drop_from(&mut event.attributes, &mut event.dropped_attributes, least));
        record.links.for_each(|link| drop_from(&mut link.attributes, &mut link.dropped_attributes_count, least));
        if size(record) > max_bytes {
            record.events.drop_all();
            record.links.drop_all();
        }
        if size(record) > max_bytes {
            if let Status::Error { description } = &mut record.status {
                cut(description);
            }
            cut(&mut record.name);
        }
        true
    }

    /// Returns the size of the smallest attribute that must go to save `excess` bytes, if the larger ones go first.
    fn least_to_drop(&self, excess: usize) -> usize {
        let events = self.events.iter().flat_map(|event| &event.attributes);
        let links = self.links.iter().flat_map(|link| &link.attributes);
        let mut sizes: Vec<_> = self.own_attributes.iter().chain(events).chain(links).map(bytes).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = excess;
        let is_enough = |bytes: &usize| {
            left = left.saturating_sub(*bytes);
            left == 0
        };
        sizes.iter().copied().find(is_enough).or(sizes.last().copied()).unwrap_or(0)
    }
}

fn bytes(attribute: &KeyValue) -> usize {
    size_of::<KeyValue>() + owned_bytes(std::slice::from_ref(attribute))
}

fn drop_from(attributes: &mut Vec<KeyValue>, dropped: &mut u32, least: usize) {
    let before = attributes.len();
    attributes.retain(|attribute| bytes(attribute) < least);
    let gone = before - attributes.len();
    if gone > 0 {
        attributes.shrink_to_fit();
        *dropped = dropped.saturating_add(u32::try_from(gone).unwrap_or(u32::MAX));
    }
}

/// Cuts a text that the span owns.
fn cut(text: &mut Cow<'static, str>) {
    if let Cow::Owned(owned) = text {
        let end = (0..=MAX_NAME.min(owned.len())).rev().find(|end| owned.is_char_boundary(*end)).unwrap_or(0);
        owned.truncate(end);
        owned.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{Link, SpanContext};
    use proptest::prelude::*;

    use super::*;
    use crate::time::Timestamp;
    use crate::trace::SpanEvent;

    fn attribute(key: &'static str, bytes: usize) -> KeyValue {
        KeyValue::new(key, "x".repeat(bytes))
    }

    fn span(attributes: Vec<KeyValue>) -> SpanData {
        let scope = InstrumentationScope::builder("test").build().into();
        let mut span = SpanData::new(SpanContext::NONE, "span", scope);
        span.own_attributes = attributes;
        span
    }

    fn keys(attributes: &[KeyValue]) -> String {
        attributes.iter().map(|one| one.key.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_largest_attributes_go_first_wherever_they_are() {
        let mut span = span(vec![attribute("a", 10), attribute("big", 50_000), attribute("c", 100)]);
        let event =
            SpanEvent::new("exception", Timestamp::default(), vec![attribute("stack", 90_000), attribute("m", 20)]);
        span.events.push(event, 8);
        span.links.push(Link::new(SpanContext::NONE, vec![attribute("l", 30)], 0), 8);
        assert!(!span.shrink(200_000), "a span that fits stays as it is");
        assert!(span.shrink(100_000));
        assert_eq!((keys(&span.own_attributes), keys(&span.events[0].attributes)), ("a big c".into(), "m".into()));
        assert_eq!((span.dropped_attributes, span.events[0].dropped_attributes), (0, 1));
        assert!(span.shrink(10_000));
        assert_eq!((keys(&span.own_attributes), span.dropped_attributes), ("a c".into(), 1));
        assert_eq!((span.events.len(), span.links.len(), span.events.dropped()), (1, 1, 0));
    }

    #[test]
    fn what_is_left_of_the_worst_span_is_its_place_in_the_trace() {
        let mut span = span((0..100).map(|_| attribute("k", 10)).collect());
        span.name = "ä".repeat(100_000).into();
        span.status = Status::error("x".repeat(100_000));
        (0..1000).for_each(|_| span.events.push(SpanEvent::new("x".repeat(1000), Timestamp::default(), vec![]), 1000));
        assert!(span.shrink(4096));
        assert!(size(&span) <= 4096, "{}", size(&span));
        assert_eq!((span.name.len(), span.dropped_attributes, span.events.dropped()), (512, 100, 1000));
    }

    proptest! {
        #[test]
        fn a_span_always_fits_and_counts_what_it_loses(
            own in proptest::collection::vec(0usize..5000, 0..20),
            of_event in proptest::collection::vec(0usize..5000, 0..10),
            max in 2048usize..20_000,
        ) {
            let mut span = span(own.iter().map(|bytes| attribute("k", *bytes)).collect());
            let attributes = of_event.iter().map(|bytes| attribute("e", *bytes)).collect();
            span.events.push(SpanEvent::new("event", Timestamp::default(), attributes), 8);
            let fits = size(&span) <= max;
            prop_assert_eq!(span.shrink(max), !fits);
            prop_assert!(size(&span) <= max);
            prop_assert_eq!(span.own_attributes.len() + span.dropped_attributes as usize, own.len());
            let of_left = span.events.first().map_or(of_event.len(), |event| {
                event.attributes.len() + event.dropped_attributes as usize
            });
            prop_assert_eq!(of_left, of_event.len());
        }
    }
}
