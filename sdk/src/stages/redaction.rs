//! The redaction of spans and of log records: every place in them that holds text of the program.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;

use crate::attributes::{same_key, truncate_all};
use crate::batch::{Stage, Verdict};
use crate::logs::SdkLogRecord;
use crate::redaction::Redaction;
use crate::signal::{Logs, Traces};
use crate::trace::{CallSite, SpanData, SpanRecord};

/// Redacts a span: its name, its attributes with those of its call site, the attributes of its links, its events with their names, and
/// the description of its status. Ids, the trace state and the scope stay as they are; the provider has redacted the scope.
pub(crate) struct SpanRedaction {
    redaction: Redaction,
    /// The limit of a value's length, which applies once the value is redacted.
    max_length: Option<usize>,
    sites: Sites,
}

impl SpanRedaction {
    pub(crate) fn new(redaction: Redaction, max_length: Option<usize>) -> Self {
        SpanRedaction { redaction, max_length, sites: Sites::default() }
    }

    fn attributes(&self, attributes: &mut Vec<KeyValue>) {
        self.redaction.redact(attributes);
        truncate_all(attributes, self.max_length);
    }

    /// Redacts the attributes of the span and those of its call site, and cuts them only then.
    fn own_attributes(&mut self, span: &mut SpanRecord) {
        self.redaction.redact(&mut span.own_attributes);
        self.call_site(span);
        truncate_all(&mut span.own_attributes, self.max_length);
    }

    /// Replaces the attributes of the call site by their redacted copies if the redactor changes any of them.
    fn call_site(&mut self, span: &mut SpanRecord) {
        let Some(site) = span.call_site else { return };
        let Some(redacted) = self.sites.redacted(site, &self.redaction) else { return };
        span.call_site = None;
        for attribute in redacted.iter() {
            if !span.own_attributes.iter().any(|own| same_key(own, attribute)) {
                span.own_attributes.push(attribute.clone());
            }
        }
    }
}

impl Stage<Traces> for SpanRedaction {
    fn process(&mut self, span: &mut SpanData) -> Verdict {
        let span = &mut **span;
        self.redaction.redact_text(&mut span.name);
        self.own_attributes(span);
        for event in span.events.iter_mut() {
            self.redaction.redact_text(&mut event.name);
            self.attributes(&mut event.attributes);
        }
        span.links.iter_mut().for_each(|link| self.attributes(&mut link.attributes));
        if let Status::Error { description } = &mut span.status {
            self.redaction.redact_text(description);
        }
        Verdict::Keep
    }
}

/// Number of call sites whose redacted attributes are remembered.
const SITES: usize = 64;

/// The redacted attributes of call sites. They are constant, so each is redacted once unless two share a place.
struct Sites([Option<Known>; SITES]);

struct Known {
    site: &'static CallSite,
    /// `None` if the redactor changes nothing.
    redacted: Option<Arc<[KeyValue]>>,
}

impl Default for Sites {
    fn default() -> Self {
        Sites([const { None }; SITES])
    }
}

impl Sites {
    #[inline]
    fn redacted(&mut self, site: &'static CallSite, redaction: &Redaction) -> Option<Arc<[KeyValue]>> {
        let place = std::ptr::from_ref(site).addr() / align_of::<CallSite>() % SITES;
        match self.0.get_mut(place) {
            Some(Some(known)) if std::ptr::eq(known.site, site) => known.redacted.clone(),
            Some(other) => {
                let mut attributes = site.attributes().to_vec();
                redaction.redact(&mut attributes);
                let redacted = (attributes != site.attributes()).then(|| attributes.into());
                other.insert(Known { site, redacted }).redacted.clone()
            }
            None => None,
        }
    }
}

/// Redacts a log record: its body and its attributes. Its severity, its target and the name of the event stay as they are.
pub(crate) struct LogRedaction {
    redaction: Redaction,
    max_length: Option<usize>,
}

impl LogRedaction {
    pub(crate) fn new(redaction: Redaction, max_length: Option<usize>) -> Self {
        LogRedaction { redaction, max_length }
    }
}

impl Stage<Logs> for LogRedaction {
    fn process(&mut self, record: &mut SdkLogRecord) -> Verdict {
        let redactor = self.redaction.redactor();
        record.retain_body(|body| redactor.log_value("", body));
        record.retain_attributes(|key, value| redactor.log_value(key.as_str(), value));
        record.limit_values(self.max_length);
        Verdict::Keep
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use opentelemetry::Value;
    use opentelemetry::logs::AnyValue;
    use opentelemetry::trace::SpanContext;

    use super::*;
    use crate::redaction::Redactor;
    use crate::trace::Scope;

    /// Removes the path of the file, and counts the attributes that it has seen.
    #[derive(Debug)]
    struct NoPaths(Arc<AtomicUsize>);

    impl Redactor for NoPaths {
        fn attribute(&self, key: &str, _: &mut Value) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            key != "code.file.path"
        }

        fn log_value(&self, _: &str, _: &mut AnyValue) -> bool {
            true
        }

        fn text(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn attributes_of_a_call_site_are_redacted_once_and_stay_shared_if_nothing_changes() {
        static SITE: CallSite = CallSite::new("shop", "1.0", "shop::checkout", "src/shop.rs", 7);
        static PLAIN: CallSite = CallSite::new("shop", "1.0", "shop::pay", "", 0);
        let seen = Arc::new(AtomicUsize::new(0));
        let mut stage = SpanRedaction::new(Redaction::new(Box::new(NoPaths(seen.clone()))), None);
        let mut process = |site: &'static CallSite, own: Vec<KeyValue>| {
            let mut span = SpanData::new(SpanContext::NONE, "span", Scope::unnamed());
            (span.call_site, span.own_attributes) = (Some(site), own);
            assert_eq!(stage.process(&mut span), Verdict::Keep);
            let text: String = span.attributes().map(|one| format!("{}={} ", one.key, one.value)).collect();
            (text, span.call_site.is_some())
        };
        let expected = ("code.function.name=shop::checkout code.line.number=7 ".to_owned(), false);
        assert_eq!(process(&SITE, Vec::new()), expected);
        assert_eq!(process(&SITE, Vec::new()), expected);
        assert_eq!(seen.load(Ordering::Relaxed), 3);
        let own = vec![KeyValue::new("code.line.number", 9)];
        assert_eq!(process(&SITE, own).0, "code.line.number=9 code.function.name=shop::checkout ");
        assert_eq!(process(&PLAIN, Vec::new()), ("code.function.name=shop::pay ".to_owned(), true));
        let mut limited = SpanRedaction::new(Redaction::new(Box::new(NoPaths(seen))), Some(4));
        let mut span = SpanData::new(SpanContext::NONE, "span", Scope::unnamed());
        span.call_site = Some(&SITE);
        assert_eq!(limited.process(&mut span), Verdict::Keep);
        assert_eq!(span.own_attributes.first().map(|one| one.value.to_string()), Some("shop".to_owned()));
    }
}
