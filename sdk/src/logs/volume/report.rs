//! The record that says how many records of a call site were suppressed.

use opentelemetry::logs::{AnyValue, LogRecord, Severity};

use super::LogSite;
use super::control::{Reason, Request};
use super::key::start_of;
use crate::limits::LogRecordLimits;
use crate::logs::{Scope, SdkLogRecord};
use crate::time::Timestamp;

/// The number of bytes of each text that a report quotes. A description is kept until the next report, so texts of any length
/// would take memory without a limit.
const TEXT: usize = 256;

/// A call site, as its report describes it.
#[derive(Debug, Default)]
pub(super) struct Description {
    scope: Option<Scope>,
    target: Option<String>,
    severity: Option<Severity>,
    event_name: Option<String>,
    file: Option<AnyValue>,
    line: Option<AnyValue>,
    /// The start of the body of one suppressed record.
    body: Option<String>,
}

impl Description {
    pub(super) fn of_request(request: &Request<'_>) -> Self {
        let target = request.target;
        Description {
            target: Some(target).filter(|target| !target.is_empty() && *target != request.scope.name()).map(quoted),
            scope: Some(request.scope.clone()),
            severity: Some(request.severity),
            event_name: request.event_name.map(quoted),
            ..Description::at(request.site)
        }
    }

    pub(super) fn of_record(record: &SdkLogRecord, scope: &Scope, site: Option<&LogSite>) -> Self {
        let place = Description::at(site);
        let body = match record.body() {
            Some(AnyValue::String(body)) => Some(quoted(body.as_str())),
            _ => None,
        };
        Description {
            scope: Some(scope.clone()),
            target: record.target().map(quoted),
            severity: record.severity_number(),
            event_name: record.event_name().map(quoted),
            file: place.file.or_else(|| record.attribute("code.file.path").and_then(bounded)),
            line: place.line.or_else(|| record.attribute("code.line.number").and_then(bounded)),
            body,
        }
    }

    fn at(site: Option<&LogSite>) -> Self {
        let Some(site) = site else { return Description::default() };
        Description {
            file: Some(site.file).filter(|file| !file.is_empty()).map(AnyValue::from),
            line: Some(i64::from(site.line)).filter(|line| *line > 0).map(AnyValue::from),
            ..Description::default()
        }
    }
}

fn quoted(text: &str) -> String {
    start_of(text, TEXT).to_owned()
}

/// Returns a copy of a bounded size, or `None` for a value that no place has.
fn bounded(value: &AnyValue) -> Option<AnyValue> {
    match value {
        AnyValue::String(text) => Some(quoted(text.as_str()).into()),
        AnyValue::Int(_) => Some(value.clone()),
        _ => None,
    }
}

/// Returns the record. Without a description, the counts are those of several call sites, or of one that another thread was
/// describing.
pub(super) fn record(
    limits: LogRecordLimits,
    now: Timestamp,
    counts: &[u64; Reason::COUNT],
    description: Option<Description>,
) -> SdkLogRecord {
    let whose = if description.is_some() { "this call site" } else { "other call sites" };
    let description = description.unwrap_or_default();
    let mut record = SdkLogRecord::new(limits);
    let total = counts.iter().sum::<u64>();
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let severity = description.severity.unwrap_or(Severity::Info);
    record.set_event_name("telemark.log.suppressed");
    record.set_timestamp(now.into());
    record.set_observed_timestamp(now.into());
    record.set_severity_number(severity);
    record.set_severity_text(severity.name());
    record.set_body(format!("{total} log records of {whose} were suppressed").into());
    if let Some(target) = description.target {
        record.set_target(target);
    }
    if let Some(scope) = description.scope {
        record.scope = scope;
    }
    record.add_attribute("telemark.log.suppressed.count", signed(total));
    for (name, count) in Reason::NAMES.into_iter().zip(counts).filter(|(_, count)| **count > 0) {
        record.add_attribute(name, signed(*count));
    }
    let texts = [
        ("code.file.path", description.file),
        ("code.line.number", description.line),
        ("telemark.log.suppressed.event_name", description.event_name.map(AnyValue::from)),
        ("telemark.log.suppressed.body", description.body.map(AnyValue::from)),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            record.add_attribute(name, value);
        }
    }
    record
}
