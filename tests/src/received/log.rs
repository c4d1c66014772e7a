//! Log records in the form that all receivers share, and parsers that convert each receiver's output to that form.

use std::fmt::Write;

use opentelemetry::SpanId;
use opentelemetry::logs::AnyValue;
use serde_json::Value;
use telemark_sdk::logs::SdkLogRecord;

use super::{mockotlpserver, rotel};

/// A record that a receiver accepted. The number of dropped attributes is left out, because rotel does not show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The name of the service.
    pub service: String,
    /// The name and version of the scope.
    pub scope: String,
    /// The severity: the number's short name, and the text.
    pub severity: String,
    /// The name of the event.
    pub event: String,
    /// The body in the common notation.
    pub body: String,
    /// The attributes in the common notation.
    pub attributes: Vec<String>,
    /// The trace id, the span id and the flags.
    pub trace: String,
    /// The timestamp and the observed timestamp.
    pub times: String,
}

impl Record {
    /// Returns a record in the form that the receivers should show.
    pub fn expected(service: &str, record: &SdkLogRecord) -> Self {
        let severity = record.severity_number().map_or("UNSPECIFIED", |number| number.name());
        let nanos = |time: Option<telemark_sdk::time::Timestamp>| time.map_or(0, |time| time.as_nanos());
        let ids = record.trace_context().map(|context| {
            let span = if context.span_id == SpanId::INVALID { String::new() } else { context.span_id.to_string() };
            format!("{} {span} {}", context.trace_id, context.trace_flags.map_or(0, |flags| flags.to_u8()))
        });
        let scope = match record.target() {
            Some(target) if target != record.scope().name() => target.to_owned(),
            _ => format!("{} {}", record.scope().name(), record.scope().version().unwrap_or_default()),
        };
        Record {
            service: service.to_owned(),
            scope: scope.trim().to_owned(),
            severity: format!("{severity} {}", record.severity_text().unwrap_or_default()),
            event: record.event_name().unwrap_or_default().to_owned(),
            body: record.body().map(notation).unwrap_or_default(),
            attributes: record.attributes().iter().map(|(key, value)| format!("{key}={}", notation(value))).collect(),
            trace: ids.unwrap_or_else(|| "  0".to_owned()),
            times: format!("{} {}", nanos(record.timestamp()), nanos(record.observed_timestamp())),
        }
    }
}

/// Formats a value in the common notation.
fn notation(value: &AnyValue) -> String {
    match value {
        AnyValue::Int(number) => number.to_string(),
        AnyValue::Double(number) => format!("{number:?}"),
        AnyValue::String(text) => format!("{:?}", text.as_str()),
        AnyValue::Boolean(boolean) => boolean.to_string(),
        AnyValue::Bytes(bytes) => bytes.iter().fold("0x".to_owned(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
        AnyValue::ListAny(list) => format!("[{}]", list.iter().map(notation).collect::<Vec<_>>().join(", ")),
        AnyValue::Map(map) => {
            let fields = map.iter().map(|(key, value)| format!("{:?}: {}", key.as_str(), notation(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

/// Reads the output of rotel, whose values must not span several lines.
pub(crate) fn of_rotel(output: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let (mut service, mut scope) = (String::new(), String::new());
    let (mut is_log, mut is_record) = (false, false);
    for line in output.lines() {
        if let Some(kind) = line.strip_prefix("Resource").filter(|rest| rest.contains(" #")) {
            (is_log, is_record) = (kind.starts_with("Log #"), false);
        } else if !is_log {
            // The line belongs to another signal.
        } else if line.starts_with("ScopeLogs #") {
            is_record = false;
        } else if line.starts_with("LogRecord #") {
            is_record = true;
            let (service, scope) = (service.clone(), scope.clone());
            records.push(Record { service, scope, times: "0".to_owned(), ..Record::default() });
        } else if let Some((key, value)) = line.strip_prefix(rotel::ITEM).and_then(rotel::pair) {
            match records.last_mut() {
                Some(record) if is_record => record.attributes.push(format!("{key}={value}")),
                _ if key == "service.name" => service = value.trim_matches('"').to_owned(),
                _ => {}
            }
        } else if let Some(name) = line.strip_prefix("InstrumentationScope ") {
            if !is_record && !name.starts_with("attributes") {
                scope = name.trim().to_owned();
            }
        } else if let Some((field, value)) = line.split_once(':') {
            if let (true, Some(record)) = (is_record, records.last_mut()) {
                rotel_field(record, field.trim(), value.trim());
            }
        }
    }
    records
}

fn rotel_field(record: &mut Record, field: &str, value: &str) {
    match field {
        "ObservedTimestamp" => record.times = value.to_owned(),
        "Timestamp" => record.times = format!("{value} {}", record.times),
        "SeverityText" => record.severity = value.to_owned(),
        "SeverityNumber" => {
            let name = value.trim_start_matches("SEVERITY_NUMBER_").split('(').next().unwrap_or_default();
            record.severity = format!("{name} {}", record.severity);
        }
        "EventName" => record.event = value.to_owned(),
        // rotel's word for a missing body.
        "Body" if value == "Empty" => {}
        "Body" => record.body = rotel::value(value),
        "Trace ID" => record.trace = value.to_owned(),
        "Span ID" => record.trace = format!("{} {value}", record.trace),
        "Flags" => record.trace = format!("{} {value}", record.trace),
        _ => {}
    }
}

/// Reads the output of mockotlpserver.
pub(crate) fn of_mockotlpserver(output: &str) -> Vec<Record> {
    use mockotlpserver::list;

    let complete = output.rsplit_once('\n').map_or("", |(complete, _)| complete);
    let mut records = Vec::new();
    for request in complete.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        for of_resource in list(&request, "resourceLogs") {
            let resource = mockotlpserver::attributes(&of_resource["resource"]);
            let service = resource.get("service.name").map_or("", |name| name.trim_matches('"'));
            for of_scope in list(of_resource, "scopeLogs") {
                let [name, version] = ["/scope/name", "/scope/version"].map(|at| mockotlpserver::text(of_scope, at));
                for json in list(of_scope, "logRecords") {
                    let scope = format!("{name} {version}").trim().to_owned();
                    records.push(Record { service: service.to_owned(), scope, ..mockotlpserver_record(json) });
                }
            }
        }
    }
    records
}

fn mockotlpserver_record(json: &Value) -> Record {
    use mockotlpserver::{hex, list, nanos, pairs, text, value};

    // Ids in JSON are already hexadecimal.
    let id = |json: &Value| {
        json.as_str().filter(|id| [0, 16, 32].contains(&id.len())).map_or_else(|| hex(json), str::to_lowercase)
    };
    let severity = match &json["severityNumber"] {
        Value::String(name) => name.trim_start_matches("SEVERITY_NUMBER_").to_owned(),
        number => severity_name(number.as_u64().unwrap_or_default()),
    };
    let is_there = |body: &&Value| body.as_object().is_some_and(|object| !object.is_empty());
    Record {
        severity: format!("{severity} {}", text(json, "/severityText")),
        event: text(json, "/eventName").to_owned(),
        body: Some(&json["body"]).filter(is_there).map(value).unwrap_or_default(),
        attributes: pairs(list(json, "attributes")).map(|(key, value)| format!("{key}={value}")).collect(),
        trace: format!(
            "{} {} {}",
            id(&json["traceId"]),
            id(&json["spanId"]),
            json["flags"].as_u64().unwrap_or_default()
        ),
        times: format!("{} {}", nanos(&json["timeUnixNano"]), nanos(&json["observedTimeUnixNano"])),
        ..Record::default()
    }
}

fn severity_name(number: u64) -> String {
    let Some(index) = number.checked_sub(1) else { return "UNSPECIFIED".to_owned() };
    let names = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let name = usize::try_from(index / 4).ok().and_then(|range| names.get(range)).unwrap_or(&"");
    if index % 4 == 0 { (*name).to_owned() } else { format!("{name}{}", index % 4 + 1) }
}
