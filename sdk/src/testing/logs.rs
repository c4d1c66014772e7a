//! Log records as text: one line per record.

use std::fmt::Write;

use opentelemetry::logs::AnyValue;

use crate::logs::SdkLogRecord;

/// Formats the records in order. Each line shows the severity, the name of the event in parentheses, the body, and the
/// attributes in the order in which they were set. Maps are sorted by key.
pub fn logs_text(records: &[SdkLogRecord]) -> String {
    let mut text = String::new();
    for record in records {
        let severity = record.severity_text().or(record.severity_number().map(|number| number.name()));
        let event = record.event_name().map(|name| format!("({name})"));
        let body = record.body().map(value);
        let attributes = record.attributes().iter().map(|(key, own)| format!("{key}={}", value(own)));
        let dropped = match record.dropped_attributes() {
            0 => None,
            dropped => Some(format!("({dropped} attributes dropped)")),
        };
        let parts: Vec<_> =
            severity.map(str::to_owned).into_iter().chain(event).chain(body).chain(attributes).chain(dropped).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", parts.join(" "));
    }
    text
}

fn value(own: &AnyValue) -> String {
    match own {
        AnyValue::Int(number) => number.to_string(),
        AnyValue::Double(number) => format!("{number:?}"),
        AnyValue::String(text) => text.as_str().to_owned(),
        AnyValue::Boolean(boolean) => boolean.to_string(),
        AnyValue::Bytes(bytes) => format!("{bytes:?}"),
        AnyValue::ListAny(list) => format!("[{}]", list.iter().map(value).collect::<Vec<_>>().join(",")),
        AnyValue::Map(map) => {
            let mut fields: Vec<_> = map.iter().map(|(key, own)| format!("{key}:{}", value(own))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
        other => format!("{other:?}"),
    }
}
