//! The parts of a batch. Each request contains as many items as fit.

/// The part of a batch to send in one request.
#[derive(Clone, Copy, Debug)]
pub struct Part<P> {
    /// The place of the first item.
    pub(crate) from: P,
    /// The maximum length of the request in bytes. A request with a single large item may exceed it.
    pub(crate) limit: usize,
}

impl<P: Default> Part<P> {
    /// Returns the whole batch as one part.
    pub(crate) fn whole() -> Self {
        Part { from: P::default(), limit: usize::MAX }
    }
}

/// A part that has been encoded.
#[derive(Clone, Copy, Debug)]
pub struct Written<P> {
    /// The number of items, as counted by [`Encode::count`](super::Encode::count).
    pub(crate) items: usize,
    /// The place of the first item that did not fit, or `None` at the end of the batch.
    pub(crate) next: Option<P>,
}

/// The maximum number of bytes by which the length field of a protobuf message can exceed its guessed width.
pub(super) const WIDER: usize = 4;

/// The room left in a request.
pub(super) struct Room {
    /// The maximum length of the buffer before the end of the request is written.
    end: usize,
    items: usize,
}

impl Room {
    /// Returns the room in a request of at most `limit` bytes that begins at `start` and ends with `tail` reserved bytes.
    pub(super) fn new(start: usize, limit: usize, tail: usize) -> Self {
        Room { end: start.saturating_add(limit).saturating_sub(tail), items: 0 }
    }

    /// Writes an item after which the enclosing messages need another `tail` bytes. Removes it and returns false if it does not
    /// fit. The first item always fits.
    #[inline]
    pub(super) fn write(&mut self, out: &mut Vec<u8>, tail: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = out.len();
        write(out);
        if out.len() + tail > self.end && self.items > 0 {
            out.truncate(start);
            return false;
        }
        self.items += 1;
        true
    }

    /// Returns the number of items in the request.
    pub(super) fn items(&self) -> usize {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
    use opentelemetry::trace::SpanContext;
    use opentelemetry::{InstrumentationScope, KeyValue};
    use telemark_sdk::logs::LogChunk;
    use telemark_sdk::metrics::{Attributes, Metric, MetricData, NumberPoint, ScopeMetrics};
    use telemark_sdk::signal::{Logs, Metrics, Traces};
    use telemark_sdk::testing::TestTelemetry;
    use telemark_sdk::trace::{SpanChunk, SpanData};
    use telemark_sdk::{Batch, Resource};

    use super::super::Encode;
    use super::*;

    /// In JSON, every byte of this schema URL takes six, so that the room reserved for the end of a request has no byte to
    /// spare.
    const ESCAPED: &str = "\u{1}\u{1}\u{1}\u{1}";

    fn scope(name: &'static str) -> InstrumentationScope {
        InstrumentationScope::builder(name).with_schema_url(ESCAPED).build()
    }

    /// Encodes the batch in parts. The exporter would halve a request that is too long, so its requests do not show a mistake.
    fn check<S: Encode>(batch: Batch<'_, S>) {
        let (mut cache, mut out) = (S::Cache::default(), Vec::new());
        S::begin(batch, &mut cache);
        S::json_part(batch, &mut cache, Part::whole(), &mut out);
        let mut reached = 0;
        for limit in 1..out.len() {
            let mut from = Some(S::Position::default());
            while let Some(place) = from {
                out.clear();
                let written = S::json_part(batch, &mut cache, Part { from: place, limit }, &mut out);
                assert!(out.len() <= limit || written.items == 1, "{} bytes of {limit}", out.len());
                reached += usize::from(out.len() == limit && written.items > 1);
                from = written.next;
            }
        }
        assert!(reached > 0, "some requests have exactly the maximum length");
    }

    #[test]
    fn no_part_in_json_is_a_byte_too_long() {
        let resource = Resource::with_schema_url([KeyValue::new("service.name", "shop")], Some(ESCAPED.to_owned()));
        let span = |index: usize| SpanData::new(SpanContext::NONE, "span", scope(["a", "b"][index / 4]).into());
        let spans: SpanChunk = (0..7).map(span).collect();
        check::<Traces>(Batch::new(&resource, &spans));

        let telemetry = TestTelemetry::new();
        let loggers = ["a", "b"].map(|name| telemetry.logger_provider().logger_with_scope(scope(name)));
        let record = |index: usize| {
            let mut record = loggers[index / 4].create_log_record();
            record.set_body(AnyValue::from("text"));
            loggers[index / 4].emit(record);
        };
        (0..7).for_each(record);
        let records: LogChunk = telemetry.log_records().into_iter().collect();
        check::<Logs>(Batch::new(&resource, &records));

        let point = |number: i64| NumberPoint::new(Attributes::new([KeyValue::new("n", number)]), 1.5);
        let gauge = |_| Metric::new("depth", MetricData::Gauge { points: (0..3).map(point).collect() });
        let metrics = ["a", "b"].map(|name| ScopeMetrics::new(scope(name), (0..2).map(gauge).collect()));
        check::<Metrics>(Batch::new(&resource, &metrics.into()));
    }
}
