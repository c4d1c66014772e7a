//! The reservoir seam: the reservoir trait, and the offers it receives.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::{self, Debug};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{Context, KeyValue};

use super::filter::Eligible;
use crate::context;
use crate::metrics::data::{Attributes, Exemplar, Number, is_same_value};
use crate::redaction::Redaction;
use crate::time::{Clock, Timestamp};

/// Keeps some of the measurements of a series.
///
/// A view creates one reservoir per series. `offer` is called on recording threads, one call at a time, and
/// only for measurements accepted by the [`ExemplarFilter`](crate::metrics::ExemplarFilter). It must not block
/// and should not allocate.
///
/// spec: metrics/sdk.md#exemplarreservoir
pub trait ExemplarReservoir: Debug + Send + 'static {
    /// Offers a measurement. The reservoir may keep or discard it.
    fn offer(&mut self, offer: &Offer<'_>);

    /// Returns the kept exemplars. If `is_delta` is true, the reservoir must be cleared; otherwise, it may keep
    /// exemplars until newer ones arrive.
    fn collect(&mut self, is_delta: bool) -> Vec<Exemplar>;
}

/// A measurement that may become an exemplar.
#[derive(Debug)]
pub struct Offer<'a> {
    pub(crate) value: Number,
    pub(crate) given: Given<'a>,
    pub(crate) of_series: &'a [KeyValue],
    pub(crate) span: Eligible,
    pub(crate) clock: &'a Clock,
}

impl Offer<'_> {
    /// Returns the measurement.
    pub fn value(&self) -> Number {
        self.value
    }

    /// Returns all attributes of the measurement, redacted, including any that a view removes.
    pub fn attributes(&self) -> &[KeyValue] {
        self.given.shown()
    }

    /// Returns the trace ID of the current span, or [`TraceId::INVALID`] outside of spans.
    pub fn trace_id(&self) -> TraceId {
        self.span.trace_id
    }

    /// Returns the ID of the current span, or [`SpanId::INVALID`] outside of spans.
    pub fn span_id(&self) -> SpanId {
        self.span.span_id
    }

    /// Returns a copy of the measurement's context, including its baggage.
    pub fn context(&self) -> Context {
        // Offers are made on the measuring thread, so the current context is the measurement's context.
        context::while_alive(Context::current).unwrap_or_default()
    }

    /// Reads the clock and returns the time.
    pub fn time(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns an exemplar of this measurement, with the attributes that the series does not have.
    pub fn exemplar(&self) -> Exemplar {
        let is_of_series = |one: &&KeyValue| {
            self.of_series.iter().any(|other| one.key == other.key && is_same_value(&one.value, &other.value))
        };
        let filtered = self.attributes().iter().filter(|one| !is_of_series(one)).cloned();
        Exemplar::new(self.value, self.time())
            .in_span(self.span.trace_id, self.span.span_id)
            .with_filtered_attributes(Attributes::new(filtered))
    }
}

/// The attributes of a measurement. They are redacted when they are first asked for: most offers are discarded unseen.
pub(crate) struct Given<'a> {
    list: &'a [KeyValue],
    redaction: Option<&'a Redaction>,
    redacted: OnceCell<Cow<'a, [KeyValue]>>,
}

impl<'a> Given<'a> {
    pub(crate) fn new(list: &'a [KeyValue], redaction: Option<&'a Redaction>) -> Self {
        Given { list, redaction, redacted: OnceCell::new() }
    }

    /// Returns the attributes as exporters may see them.
    pub(crate) fn shown(&self) -> &[KeyValue] {
        match self.redaction {
            None => self.list,
            Some(redaction) => self.redacted.get_or_init(|| redaction.attributes(self.list)),
        }
    }
}

impl Debug for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}
