//! The seam of the reservoirs: what is offered to them, and what they give back.

use std::fmt::Debug;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{Context, KeyValue};

use super::filter::Eligible;
use crate::context;
use crate::metrics::data::{Attributes, Exemplar, Number, is_same_value};
use crate::time::{Clock, Timestamp};

/// Keeps some of the measurements of one series.
///
/// A view makes one for each series. `offer` is called on the threads that record, one at a time and only for what the
/// [`ExemplarFilter`](super::ExemplarFilter) lets pass; it must not block, nor allocate where that can be avoided.
///
/// spec: metrics/sdk.md#exemplarreservoir
pub trait ExemplarReservoir: Debug + Send + 'static {
    /// A measurement was made; keep it or not.
    fn offer(&mut self, offer: &Offer<'_>);

    /// Hands out what is kept. After a delta nothing is kept; a cumulative series may keep it until something newer comes.
    fn collect(&mut self, is_delta: bool) -> Vec<Exemplar>;
}

/// A measurement that may become an exemplar.
#[derive(Debug)]
pub struct Offer<'a> {
    pub(crate) value: Number,
    pub(crate) given: &'a [KeyValue],
    pub(crate) of_series: &'a [KeyValue],
    pub(crate) span: Eligible,
    pub(crate) clock: &'a Clock,
}

impl Offer<'_> {
    /// The measurement.
    pub fn value(&self) -> Number {
        self.value
    }

    /// Every attribute of the measurement, as it was given.
    pub fn attributes(&self) -> &[KeyValue] {
        self.given
    }

    /// The trace of the current span; [`TraceId::INVALID`] outside of spans.
    pub fn trace_id(&self) -> TraceId {
        self.span.trace_id
    }

    /// The current span; [`SpanId::INVALID`] outside of spans.
    pub fn span_id(&self) -> SpanId {
        self.span.span_id
    }

    /// The context of the measurement, with its baggage: it costs a copy, and only who asks for it pays.
    pub fn context(&self) -> Context {
        // Offers are made where the measurement is, so that the current one is it.
        context::while_alive(Context::current).unwrap_or_default()
    }

    /// The time: the clock is read only when it is asked for.
    pub fn time(&self) -> Timestamp {
        self.clock.now()
    }

    /// The exemplar that this measurement is, with the attributes that its series does not have.
    pub fn exemplar(&self) -> Exemplar {
        let is_of_series = |one: &&KeyValue| {
            self.of_series.iter().any(|other| one.key == other.key && is_same_value(&one.value, &other.value))
        };
        let filtered = self.given.iter().filter(|one| !is_of_series(one)).cloned();
        Exemplar::new(self.value, self.time())
            .in_span(self.span.trace_id, self.span.span_id)
            .with_filtered_attributes(Attributes::new(filtered))
    }
}
