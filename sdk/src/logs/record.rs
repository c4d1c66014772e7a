//! A log record: what a bridge fills in, processors edit and exporters send.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord, Severity};
use opentelemetry::{Key, SpanId, TraceFlags, TraceId};

use super::chunk::new_list;
use super::{Exception, LogSite, Scope, values};
use crate::limits::LogRecordLimits;
use crate::time::Timestamp;

/// A log record. Limits apply when something is set, so what a record holds is always bounded.
///
/// spec: logs/data-model.md
#[derive(Clone, Debug, PartialEq)]
pub struct SdkLogRecord {
    pub(super) scope: Scope,
    pub(super) timestamp: Option<Timestamp>,
    pub(super) observed_timestamp: Option<Timestamp>,
    pub(super) trace_context: Option<TraceContext>,
    pub(super) severity_number: Option<Severity>,
    pub(super) severity_text: Option<Cow<'static, str>>,
    pub(super) event_name: Option<Cow<'static, str>>,
    pub(super) target: Option<Cow<'static, str>>,
    pub(super) body: Option<AnyValue>,
    pub(super) attributes: Vec<(Key, AnyValue)>,
    pub(super) dropped_attributes: u32,
    limits: LogRecordLimits,
    /// The place in the program, until the record is emitted.
    pub(super) site: Option<&'static LogSite>,
    /// True if the volume rules have taken the record before it was made.
    pub(super) is_taken: bool,
}

/// The span that was current when a record was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span; invalid if only the trace is known.
    pub span_id: SpanId,
    /// The W3C flags, if they are known.
    pub trace_flags: Option<TraceFlags>,
}

impl TraceContext {
    /// Returns true if the span is known to be left out of its trace. A record outside of any span is not.
    pub(super) fn is_unsampled(&self) -> bool {
        self.span_id != SpanId::INVALID && self.trace_flags.is_some_and(|flags| !flags.is_sampled())
    }
}

impl SdkLogRecord {
    /// Creates an empty record with these limits.
    pub fn new(limits: LogRecordLimits) -> Self {
        SdkLogRecord::begun(limits, Scope::unnamed(), None, None, (None, false))
    }

    /// Creates a record in place. `site` and `is_taken` are the fields of these names.
    #[inline]
    pub(super) fn begun(
        limits: LogRecordLimits,
        scope: Scope,
        time: Option<Timestamp>,
        trace_context: Option<TraceContext>,
        (site, is_taken): (Option<&'static LogSite>, bool),
    ) -> Self {
        SdkLogRecord {
            scope,
            timestamp: time,
            observed_timestamp: time,
            trace_context,
            severity_number: None,
            severity_text: None,
            event_name: None,
            target: None,
            body: None,
            attributes: new_list(),
            dropped_attributes: 0,
            limits,
            site,
            is_taken,
        }
    }

    /// Returns the scope of the logger that emitted the record; before that, a scope with an empty name.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the part of the program that logs, such as a module. OTLP sends it as the name of the scope.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Returns the time of the event.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// Returns the time at which the record was emitted, unless a bridge has set another one.
    pub fn observed_timestamp(&self) -> Option<Timestamp> {
        self.observed_timestamp
    }

    /// Returns the span that was current when the record was emitted, unless a bridge has set another one.
    pub fn trace_context(&self) -> Option<&TraceContext> {
        self.trace_context.as_ref()
    }

    /// Returns the severity.
    pub fn severity_number(&self) -> Option<Severity> {
        self.severity_number
    }

    /// Returns the severity as the logging library calls it.
    pub fn severity_text(&self) -> Option<&str> {
        self.severity_text.as_deref()
    }

    /// Returns the name of the event. A record without one is not an event.
    pub fn event_name(&self) -> Option<&str> {
        self.event_name.as_deref()
    }

    /// Returns the body.
    pub fn body(&self) -> Option<&AnyValue> {
        self.body.as_ref()
    }

    /// Returns the attributes in the order in which they were first set. Keys are unique and not empty.
    pub fn attributes(&self) -> &[(Key, AnyValue)] {
        &self.attributes
    }

    /// Returns the value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&AnyValue> {
        self.attributes.iter().find(|(own, _)| own.as_str() == key).map(|(_, value)| value)
    }

    /// Returns the number of attributes dropped because of the limits or an empty key.
    pub fn dropped_attributes(&self) -> u32 {
        self.dropped_attributes
    }

    /// Sets the name of an event that is known only at run time. An empty name is ignored.
    pub fn set_owned_event_name(&mut self, name: impl Into<Cow<'static, str>>) {
        self.event_name = Some(name.into()).filter(|name| !name.is_empty());
    }

    /// Sets a severity text that is known only at run time. An empty text is ignored.
    pub fn set_owned_severity_text(&mut self, text: impl Into<Cow<'static, str>>) {
        self.severity_text = Some(text.into()).filter(|text| !text.is_empty());
    }

    /// Sets `exception.type`, `exception.message` and `exception.stacktrace`, except for those that are set already.
    ///
    /// spec: logs/sdk.md#emit-a-logrecord, semconv exceptions/exceptions-logs.md
    pub fn set_exception(&mut self, exception: &Exception) {
        for (key, value) in exception.attributes() {
            if self.attribute(key).is_none() {
                self.add_attribute(key, value);
            }
        }
    }

    /// Keeps only the attributes for which `keep` returns true. `keep` may also change a value, for instance to redact it.
    pub fn retain_attributes(&mut self, mut keep: impl FnMut(&Key, &mut AnyValue) -> bool) {
        self.attributes.retain_mut(|(key, value)| keep(key, value));
    }

    /// Removes the body unless `keep` returns true. `keep` may also change the body, for instance to redact it.
    pub fn retain_body(&mut self, keep: impl FnOnce(&mut AnyValue) -> bool) {
        if self.body.as_mut().is_some_and(|body| !keep(body)) {
            self.body = None;
        }
    }

    /// Replaces the limit of a value's length, and applies it.
    pub(crate) fn limit_values(&mut self, length: Option<usize>) {
        if self.limits.attributes.value_length == length {
            return;
        }
        self.limits.attributes.value_length = length;
        let depth = self.limits.value_depth;
        self.attributes.iter_mut().for_each(|(_, value)| values::limit(value, length, depth));
    }

    /// Adds an attribute without searching the record for its key. Meant for bridges, which know all keys of a call site.
    ///
    /// The key must not be empty, and the record must not have it yet. Otherwise, the record has the key twice.
    #[inline]
    pub fn add_new_attribute(&mut self, key: &'static str, mut value: AnyValue) {
        if self.attributes.len() >= self.limits.attributes.count {
            self.dropped_attributes = self.dropped_attributes.saturating_add(1);
            return;
        }
        self.limit(&mut value);
        self.attributes.push((Key::from_static_str(key), value));
    }

    #[inline]
    fn limit(&self, value: &mut AnyValue) {
        values::limit(value, self.limits.attributes.value_length, self.limits.value_depth);
    }

    fn set(&mut self, key: Key, mut value: AnyValue) {
        if key.as_str().is_empty() {
            self.dropped_attributes = self.dropped_attributes.saturating_add(1);
            return;
        }
        self.limit(&mut value);
        let is_full = self.attributes.len() >= self.limits.attributes.count;
        match self.attributes.iter_mut().find(|(own, _)| own.as_str() == key.as_str()) {
            Some((_, own)) => *own = value,
            None if !is_full => self.attributes.push((key, value)),
            None => self.dropped_attributes = self.dropped_attributes.saturating_add(1),
        }
    }
}

impl Default for SdkLogRecord {
    fn default() -> Self {
        SdkLogRecord::new(LogRecordLimits::DEFAULT)
    }
}

impl LogRecord for SdkLogRecord {
    fn set_event_name(&mut self, name: &'static str) {
        self.set_owned_event_name(name);
    }

    fn set_target<T: Into<Cow<'static, str>>>(&mut self, target: T) {
        self.target = Some(target.into()).filter(|target| !target.is_empty());
    }

    fn set_timestamp(&mut self, timestamp: SystemTime) {
        self.timestamp = Some(timestamp.into());
    }

    fn set_observed_timestamp(&mut self, timestamp: SystemTime) {
        self.observed_timestamp = Some(timestamp.into());
    }

    fn set_severity_text(&mut self, text: &'static str) {
        self.set_owned_severity_text(text);
    }

    fn set_severity_number(&mut self, number: Severity) {
        self.severity_number = Some(number);
    }

    /// Sets the body. Its length is not limited, but lists and maps nested deeper than [`LogRecordLimits::MAX_DEPTH`] are
    /// emptied.
    fn set_body(&mut self, mut body: AnyValue) {
        values::limit(&mut body, None, LogRecordLimits::MAX_DEPTH);
        self.body = Some(body);
    }

    fn add_attributes<I, K, V>(&mut self, attributes: I)
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<Key>,
        V: Into<AnyValue>,
    {
        for (key, value) in attributes {
            self.set(key.into(), value.into());
        }
    }

    /// Sets an attribute. A later value of the same key replaces the earlier one.
    fn add_attribute<K: Into<Key>, V: Into<AnyValue>>(&mut self, key: K, value: V) {
        self.set(key.into(), value.into());
    }

    /// Sets the trace context, which otherwise is that of the current span. An invalid trace id removes it.
    fn set_trace_context(&mut self, trace_id: TraceId, span_id: SpanId, trace_flags: Option<TraceFlags>) {
        let context = TraceContext { trace_id, span_id, trace_flags };
        self.trace_context = Some(context).filter(|context| context.trace_id != TraceId::INVALID);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::AttributeLimits;

    /// Compares the attributes that remain of `given`, and the number of dropped ones, with `expected`.
    fn check(given: &[(&'static str, &'static str)], count: usize, length: Option<usize>, expected: &str) {
        let limits = LogRecordLimits::DEFAULT.with_attributes(AttributeLimits::new(count, length));
        let mut record = SdkLogRecord::new(limits);
        record.add_attributes(given.iter().copied());
        assert_eq!(shown(&record), expected);
    }

    fn shown(record: &SdkLogRecord) -> String {
        let text = |value: &AnyValue| match value {
            AnyValue::String(text) => text.as_str().to_owned(),
            other => format!("{other:?}"),
        };
        let list: Vec<_> = record.attributes().iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
        format!("{} dropped {}", list.join(" "), record.dropped_attributes())
    }

    #[test]
    fn keys_are_unique_and_the_last_value_wins() {
        check(&[("a", "1"), ("b", "2"), ("a", "3")], 128, None, "a=3 b=2 dropped 0");
    }

    #[test]
    fn a_new_key_beyond_the_limit_and_an_empty_key_are_dropped_and_counted() {
        check(&[("a", "1"), ("", "x"), ("b", "2"), ("c", "3"), ("b", "4")], 2, None, "a=1 b=4 dropped 2");
        check(&[("a", "1")], 0, None, " dropped 1");
    }

    #[test]
    fn an_attribute_that_is_known_to_be_new_has_the_same_limits() {
        let limits = LogRecordLimits::DEFAULT.with_attributes(AttributeLimits::new(2, Some(3)));
        let mut record = SdkLogRecord::new(limits);
        for (key, value) in [("a", "größe"), ("b", "2"), ("c", "3")] {
            record.add_new_attribute(key, value.into());
        }
        assert_eq!(shown(&record), "a=grö b=2 dropped 1");
    }

    #[test]
    fn long_values_are_cut_and_the_body_is_not() {
        check(&[("a", "größe")], 128, Some(3), "a=grö dropped 0");
        let mut record =
            SdkLogRecord::new(LogRecordLimits::DEFAULT.with_attributes(AttributeLimits::new(128, Some(3))));
        record.set_body("größe".into());
        assert_eq!(record.body(), Some(&AnyValue::from("größe")));
    }

    #[test]
    fn a_body_that_nests_too_deeply_is_cut() {
        let mut body = AnyValue::from(1);
        for _ in 0..100_000 {
            body = AnyValue::from_iter([body]);
        }
        let mut record = SdkLogRecord::default();
        record.set_body(body);
        let (mut depth, mut value) = (0, record.body());
        while let Some(AnyValue::ListAny(list)) = value {
            (depth, value) = (depth + 1, list.first());
        }
        // The emptied list is the one after the last allowed depth.
        assert_eq!(depth, LogRecordLimits::MAX_DEPTH + 1);
    }

    #[test]
    fn an_exception_fills_what_is_missing() {
        let mut record = SdkLogRecord::default();
        record.add_attribute("exception.message", "own");
        record.set_exception(&Exception::new("shop::Error", "out of stock").with_stacktrace("at shop"));
        assert_eq!(
            shown(&record),
            "exception.message=own exception.type=shop::Error exception.stacktrace=at shop dropped 0"
        );
    }

    #[test]
    fn what_is_empty_counts_as_missing() {
        let mut record = SdkLogRecord::default();
        record.set_target("");
        record.set_event_name("");
        record.set_owned_severity_text(String::new());
        record.set_trace_context(TraceId::INVALID, SpanId::from(1), None);
        assert_eq!(record, SdkLogRecord::default());
    }
}
