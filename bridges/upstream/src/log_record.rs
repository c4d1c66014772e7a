//! Converts log records to `opentelemetry_sdk` log records.

use std::collections::HashSet;

use opentelemetry::logs::{LogRecord, Logger, LoggerProvider};
use opentelemetry_sdk::logs::{SdkLogRecord as Upstream, SdkLogger, SdkLoggerProvider};
use telemark_sdk::logs::SdkLogRecord;

/// The maximum number of texts that live as long as the program, and the maximum length of each.
const MAX_TEXTS: usize = 256;
const MAX_LENGTH: usize = 256;

/// Creates upstream records, because only an upstream logger can do so.
pub(crate) struct Converter {
    logger: SdkLogger,
    /// Event names and severity texts, which upstream stores as `&'static str`. Each distinct text is leaked once, up to a
    /// limit.
    texts: HashSet<&'static str>,
}

impl Converter {
    pub(crate) fn new() -> Self {
        Converter { logger: SdkLoggerProvider::builder().build().logger("telemark"), texts: HashSet::new() }
    }

    /// Converts a record. Once the limit for distinct texts is reached, a new event name becomes the attribute `event.name`,
    /// and a new severity text is omitted.
    pub(crate) fn convert(&mut self, record: &SdkLogRecord) -> Upstream {
        let mut upstream = self.logger.create_log_record();
        if let Some(name) = record.event_name() {
            match self.as_static(name) {
                Some(name) => upstream.set_event_name(name),
                None => upstream.add_attribute("event.name", name.to_owned()),
            }
        }
        if let Some(text) = record.severity_text().and_then(|text| self.as_static(text)) {
            upstream.set_severity_text(text);
        }
        if let Some(severity) = record.severity_number() {
            upstream.set_severity_number(severity);
        }
        if let Some(target) = record.target() {
            upstream.set_target(target.to_owned());
        }
        if let Some(time) = record.timestamp() {
            upstream.set_timestamp(time.into());
        }
        if let Some(time) = record.observed_timestamp() {
            upstream.set_observed_timestamp(time.into());
        }
        if let Some(context) = record.trace_context() {
            upstream.set_trace_context(context.trace_id, context.span_id, context.trace_flags);
        }
        if let Some(body) = record.body() {
            upstream.set_body(body.clone());
        }
        upstream.add_attributes(record.attributes().iter().cloned());
        upstream
    }

    fn as_static(&mut self, text: &str) -> Option<&'static str> {
        if let Some(known) = self.texts.get(text) {
            return Some(known);
        }
        if self.texts.len() >= MAX_TEXTS || text.len() > MAX_LENGTH {
            return None;
        }
        let leaked: &'static str = Box::leak(text.to_owned().into_boxed_str());
        self.texts.insert(leaked);
        Some(leaked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_texts_that_are_leaked_is_bounded() {
        let mut converter = Converter::new();
        for number in 0..MAX_TEXTS * 2 {
            let mut record = SdkLogRecord::default();
            record.set_owned_event_name(format!("event {number}"));
            let upstream = converter.convert(&record);
            assert_eq!(upstream.event_name().is_some(), number < MAX_TEXTS, "{number}");
            assert_eq!(upstream.attributes_iter().count(), usize::from(number >= MAX_TEXTS), "{number}");
        }
        assert_eq!(converter.as_static("event 7"), Some("event 7"));
    }
}
